"""Calls at a moment when the document of a page may be changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import panel as pn

from .notebook import hear, kernel, send

LATER_MS = 150
"""What may wait is done when nobody has asked for it for so long."""


class Ticks:
    """The clock of one page; without a server or a kernel calls are made at once.

    Panel runs callbacks of widgets without the lock of the document, and Bokeh refuses changes of
    figures then; the next tick has it. In a notebook it has the main thread, and sends figures.
    """

    def __init__(self) -> None:
        self._document: Any = pn.state.curdoc
        self._kernel = None if self.served else kernel()
        self._root: Any = None
        self._next: set[Callable[[], None]] = set()
        self._later: set[Callable[[], None]] = set()

    @property
    def served(self) -> bool:
        """Whether a server shows the page."""
        return self._document is not None and self._document.session_context is not None

    @property
    def in_notebook(self) -> bool:
        """Whether a notebook shows the page."""
        return self._kernel is not None

    def show(self, root: Any) -> None:
        """Send what calls change of this layout, and hear it, where it is shown in a notebook."""
        self._root = root
        if self._kernel is not None:
            hear(root, self._kernel)

    def soon(self, call: Callable[[], None]) -> None:
        """Call from any thread, when the page is not at work."""
        if self.served:
            self._document.add_next_tick_callback(lambda: self._at_once(call))
        elif self._kernel is not None:
            self._kernel.soon(lambda: send(self._root, call))
        else:
            call()

    def _at_once(self, call: Callable[[], None]) -> None:
        """Call, and send all that it changes as one: the browser lays the page out once."""
        with pn.io.hold(self._document):
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
        if call in self._later:
            return
        self._later.add(call)

        def run() -> None:
            self._later.discard(call)
            call()

        if self.served:
            self._document.add_timeout_callback(run, LATER_MS)
        elif self._kernel is not None:
            self._kernel.soon(lambda: send(self._root, run), LATER_MS / 1000)
        else:
            run()
