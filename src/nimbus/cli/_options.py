"""Values of options: lists, mappings, whether to show progress."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def names(given: Sequence[str] | None) -> list[str] | None:
    """Names from options that may be repeated and hold several, with commas between.

    A name that holds a comma stands in quotes.

    Examples
    --------
    >>> names(["CD3,CD8", "Ki-67"]), names(['"a,b",c']), names(None)
    (['CD3', 'CD8', 'Ki-67'], ['a,b', 'c'], None)
    """
    if not given:
        return None
    parts = [part.strip() for line in csv.reader(given, skipinitialspace=True) for part in line]
    return [part for part in parts if part]


def numbers(option: str, given: str | None) -> dict[str, Any] | None:
    """Numbers by name, from ``CD3=120,CD8=80`` or from a JSON file.

    Raises
    ------
    ValueError
        Neither of both.

    Examples
    --------
    >>> numbers("--scales", "CD3=120, CD8=80.5")
    {'CD3': 120.0, 'CD8': 80.5}
    """
    if given is None:
        return None
    if given.endswith(".json"):
        return _from_json(option, Path(given))
    values = {}
    for part in names([given]) or []:
        name, equals, number = part.rpartition("=")
        try:
            values[name.strip()] = float(number)
        except ValueError:
            equals = ""
        if not equals or not name.strip():
            raise ValueError(
                f"{option} {given!r} is not understood; write CD3=120,CD8=80 or the path of a "
                ".json file"
            )
    return values


def layer_or_x(given: str) -> str | None:
    """The layer as verbs take it: ``None`` for ``X``."""
    return None if given == "X" else given


def show_progress(wanted: bool | None) -> bool:
    """As wanted; otherwise only where a person watches."""
    return sys.stderr.isatty() if wanted is None else wanted


def _from_json(option: str, path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{option} {path}: not JSON ({error})") from error
    if not isinstance(values, dict):
        raise ValueError(f'{option} {path} must hold an object, such as {{"CD3": 120}}')
    return values
