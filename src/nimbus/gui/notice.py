"""A line of the page that tells why something cannot be done."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import TypeVar

from .controls import html

Result = TypeVar("Result")


class Notice:
    """A line that is empty where all is well.

    Parameters
    ----------
    name
        CSS class, by which a test finds it.
    """

    def __init__(self, name: str) -> None:
        self.root = html(name, height=18)

    def say(self, problem: str) -> None:
        """Tell what went wrong; an empty text takes it back."""
        told = f'<span class="wrong">{escape(problem)}</span>' if problem else ""
        if self.root.object != told:
            self.root.object = told

    def tried(self, call: Callable[[], Result]) -> Result | None:
        """What `call` gives; where it refuses, that is told, and there is ``None``."""
        try:
            return call()
        except ValueError as error:
            self.say(str(error))
            return None
