"""Settings classes from TOML: every key is checked, every error names the table and the key."""

from __future__ import annotations

import dataclasses
import tomllib
import typing
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Any, TypeVar

from nimbus._check import require_known

Settings = TypeVar("Settings")


def read_toml(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises
    ------
    FileNotFoundError
        No such file.
    ValueError
        It is not TOML; the message has line and column.
    """
    if not path.is_file():
        raise FileNotFoundError(f"there is no configuration {str(path)!r}")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{str(path)!r} is not TOML: {error}") from error


def settings_from(values: Mapping[str, Any], kind: type[Settings], *, where: str) -> Settings:
    """A settings class of a TOML table; keys that are not given keep their default.

    Parameters
    ----------
    values
        The table. Lists become tuples; a table within it becomes the settings class that the
        field is annotated with.
    kind
        A dataclass.
    where
        How messages name the table.

    Raises
    ------
    ValueError
        A key that the class does not have, one that is missing, or a value of the wrong type or
        out of its range.

    Examples
    --------
    >>> from nimbus.train import FitSettings
    >>> settings_from({"n_steps": 100}, FitSettings, where="fit").n_steps
    100
    >>> settings_from({"steps": 100}, FitSettings, where="fit")
    Traceback (most recent call last):
    ValueError: key of [fit] 'steps' does not exist; did you mean 'n_steps'? There is: ...
    """
    hints = typing.get_type_hints(kind)
    names = [field.name for field in dataclasses.fields(kind)]  # type: ignore[arg-type]
    require_known(f"key of [{where}]", list(values), names)
    given = {
        name: _value(value, hints[name], where=f"{where}.{name}") for name, value in values.items()
    }
    try:
        return kind(**given)
    except (TypeError, ValueError) as error:  # a field is missing, or a value out of its range
        raise ValueError(f"[{where}]: {error}") from error


def _value(value: Any, hint: Any, *, where: str) -> Any:
    """`value` as a field of type `hint` wants it."""
    options = _options(hint)
    nested = [option for option in options if dataclasses.is_dataclass(option)]
    if isinstance(value, Mapping) and nested:
        return settings_from(value, typing.cast(type, nested[0]), where=where)
    if isinstance(value, list):
        value = _tuple(value, options)
    if _is_whole(value) and float in options:
        value = float(value)
    if not any(_fits(value, option) for option in options):
        wanted = " or ".join(_name(option) for option in options if option is not type(None))
        raise ValueError(f"[{where}] must be {wanted}, not {value!r}")
    return value


def _tuple(values: list[Any], options: tuple[Any, ...]) -> tuple[Any, ...]:
    """A list as a tuple; whole numbers as floats, where all of its values are to be floats."""
    of_floats = any(set(typing.get_args(option)) - {...} == {float} for option in options)
    return tuple(float(v) if of_floats and _is_whole(v) else v for v in values)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _options(hint: Any) -> tuple[Any, ...]:
    """The members of a union; else the type alone."""
    is_union = typing.get_origin(hint) in (typing.Union, UnionType)
    return typing.get_args(hint) if is_union else (hint,)


def _fits(value: Any, option: Any) -> bool:
    if typing.get_origin(option) is typing.Literal:
        return value in typing.get_args(option)
    plain = typing.get_origin(option) or option
    if isinstance(value, bool):
        return plain is bool
    of = typing.get_args(option)
    if plain is tuple and isinstance(value, tuple):
        each = of[:1] * len(value) if of[1:] == (...,) else of
        return len(each) == len(value) and all(map(_fits, value, each))
    return isinstance(value, plain)


def _name(option: Any) -> str:
    if typing.get_origin(option) is typing.Literal:
        return " or ".join(repr(one) for one in typing.get_args(option))
    if typing.get_origin(option) is tuple:
        first, *others = typing.get_args(option)
        size = "" if others == [...] else f"{1 + len(others)} "
        return f"a list of {size}{_name(first)}"
    return str(getattr(option, "__name__", option))
