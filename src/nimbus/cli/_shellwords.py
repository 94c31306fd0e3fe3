"""Errors of the verbs in the words of a shell: options instead of arguments."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import partial, wraps
from typing import Any

from ._report import FORESEEN, message_of

ALIASES = {
    "random_state": "--seed",
    "baseline_layer": "--baseline",
    "n_cells": "--cells",
    "n_steps": "--steps",
    "show_progress_bar": "--progress",
}
"""Options that are called otherwise than the argument that they give."""


def in_shell_words(command: Any) -> Any:
    """The same command, whose errors name its options where they named arguments of a verb.

    Parameters
    ----------
    command
        A command of Typer, of which the callback is replaced.
    """
    options = options_by_argument(command)
    work: Callable[..., Any] = command.callback

    @wraps(work)
    def run(*args: Any, **given: Any) -> Any:
        try:
            return work(*args, **given)
        except FORESEEN as error:
            message = message_of(error)
            told = with_options(message, options)
            if told == message:
                raise
            raise ValueError(told) from error

    command.callback = run
    return command


def options_by_argument(command: Any) -> dict[str, str]:
    """Option of each argument, as it is typed."""
    own = {one.name: one.opts[0] for one in command.params if one.opts[0].startswith("--")}
    return own | {name: flag for name, flag in ALIASES.items() if flag in own.values()}


def with_options(message: str, options: Mapping[str, str]) -> str:
    """A message with options instead of arguments.

    An argument is known by its ``=``, or by its underscore where a clause begins. Within paths and
    at the start of what is quoted nothing is changed: that is what somebody typed.

    Examples
    --------
    >>> options = {"pixel_size": "--pixel-size", "nan": "--nan", "tta": "--tta"}
    >>> with_options("pass pixel_size= in um, or nan='zero'", options)
    "pass --pixel-size in um, or --nan 'zero'"
    >>> with_options("pixel_size must be above 0, not -1; or give tta=True", options)
    '--pixel-size must be above 0, not -1; or give --tta'
    >>> with_options("--scales 'nan=five,tta=1' is not understood", options)
    "--scales 'nan=five,tta=1' is not understood"
    """
    as_option = partial(_as_option, options)
    words = "|".join(map(re.escape, options))
    message = re.sub(rf"(?<![\w'\"/\\,.-])({words})=(True\b)?(?=(.?))", as_option, message)
    telling = "|".join(re.escape(name) for name in options if "_" in name)
    if not telling:
        return message
    return re.sub(rf"(^|; )({telling})(?= )", lambda one: one[1] + options[one[2]], message)


def _as_option(options: Mapping[str, str], found: re.Match[str]) -> str:
    """``tta=True`` is a flag, ``nan='zero'`` an option with its value."""
    has_value = found[2] is None and found[3].strip(" ,;.:)")
    return f"{options[found[1]]} " if has_value else options[found[1]]
