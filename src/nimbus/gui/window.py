"""A page as a person opens it: in a browser or in a notebook, and beside other windows."""

from __future__ import annotations

from typing import Any, Protocol

import panel as pn

from . import notebook
from .echo import no_echo
from .lost import tell_when_lost
from .saving import Saving
from .ticks import Ticks


class Shared(Protocol):
    """What all windows of the same work share."""

    @property
    def saving(self) -> Saving[Any]:
        """Who is told of every change."""


class Window(Protocol):
    """One person's view of a desk."""

    ticks: Ticks

    @property
    def desk(self) -> Shared:
        """What it shares with others."""

    def refresh(self) -> None:
        """Show the state."""

    def take_over(self) -> None:
        """Show what another window did."""


def present(window: Window, layout: Any) -> Any:
    """The layout of a page, which from now on shows what happens; a notebook can draw it."""
    if window.ticks.in_notebook:
        notebook.load()
        layout.append(no_echo())
    window.refresh()
    window.ticks.show(layout)

    def told() -> None:
        window.ticks.soon(window.take_over)

    window.desk.saving.listen(told)
    if window.ticks.served:
        tell_when_lost(pn.state.curdoc)
        pn.state.on_session_destroyed(lambda _context: window.desk.saving.leave(told))
    return layout
