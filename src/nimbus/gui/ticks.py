"""Calls at a moment when the document of a page may be changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn

LATER_MS = 150
"""What may wait is done when nobody has asked for it for so long."""


class Ticks:
    """The clock of one page; in a notebook and in tests calls are made at once.

    Panel runs callbacks of widgets without the lock of the document, and Bokeh refuses changes of
    figures then; the next tick has it.
    """

    def __init__(self) -> None:
        self._document: Any = pn.state.curdoc
        self._next: set[Callable[[], None]] = set()
        self._later: set[Callable[[], None]] = set()

    @property
    def served(self) -> bool:
        """Whether a server shows the page."""
        return self._document is not None and self._document.session_context is not None

    def soon(self, call: Callable[[], None]) -> None:
        """Call from any thread, when the page is not at work."""
        if self.served:
            self._document.add_next_tick_callback(call)
        else:
            call()

    def once(self, call: Callable[[], None]) -> None:
        """Call soon, once, however often it is asked until then."""
        if call in self._next:
            return
        self._next.add(call)

        def run() -> None:
            self._next.discard(call)
            call()

        self.soon(run)

    def later(self, call: Callable[[], None]) -> None:
        """Call after a while, once, however often it is asked until then."""
        if not self.served:
            call()
        elif call not in self._later:
            self._later.add(call)

            def run() -> None:
                self._later.discard(call)
                call()

            self._document.add_timeout_callback(run, LATER_MS)
