"""The page: a cell, buttons, and how far one is; it holds no logic of labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import panel as pn

from nimbus.data.annotations import JUDGEMENTS
from nimbus.gui.controls import html
from nimbus.gui.heading import Heading
from nimbus.gui.notice import Notice
from nimbus.gui.sheets import card, sheet, top_bar
from nimbus.gui.style import WRAPPED
from nimbus.gui.ticks import Ticks
from nimbus.gui.window import present

from .bar import bar
from .desk import Desk
from .exporting import export_buttons
from .eyepiece import Eyepiece
from .look import Look
from .panels import PROGRESS, agreement_text, cell_text, left_text, page_text, progress
from .settings import Settings
from .state import State

STEPS = {"back": State.back, "next": State.next_marker}
"""What buttons do that need no cell."""


class Page:
    """One window of an annotator's desk.

    Parameters
    ----------
    desk
        What all windows share.
    look
        How cells are shown at first.
    """

    def __init__(self, desk: Desk, look: Look) -> None:
        self.desk, self.state, self.look = desk, desk.state, look
        self.ticks, facts = Ticks(), desk.facts
        self.heading = Heading("Labels by eye", export_buttons(desk))
        self.notice = Notice("message")
        self.eyepiece = Eyepiece(
            facts.microscope,
            facts.side,
            on_cell=lambda row: self.do(lambda s: s.look_at(row)),
            say=self.notice.say,
            later=self.ticks.later,
        )
        self.settings = Settings(self.do, self.show, self.state, facts.channels)
        self.bar = bar(self.on_action)
        self.cell, self.left = html("cell-text", height=22), html("left-text", height=20)
        self.progress = html("progress-table", stylesheets=[PROGRESS])
        self.agreement = html("agreement")

    def do(self, step: Callable[[State], State]) -> bool:
        """Make a step and show what became of it; one that cannot be made says why.

        It begins at the desk: another window may just have gone on, which is not shown yet.
        """
        state = self.notice.tried(lambda: step(self.desk.state))
        if state is None:
            return False
        self.notice.say("")
        self.state = state
        self.desk.commit(state)
        self.ticks.once(self.refresh)
        return True

    def show(self, change: Callable[[Look], Look]) -> None:
        """Show cells in another way."""
        self.look = change(self.look)
        self.ticks.once(self.refresh)

    def on_action(self, action: str, shown: str) -> None:
        """What a button or key does; a judgement is of the cell that was on the screen."""
        if action == "outlines":
            self.show(lambda look: replace(look, outlines=not look.outlines))
        elif action in STEPS:
            self.do(STEPS[action])
        elif shown == _token(self.desk.state) and action == "skip":
            self.do(State.skip)
        elif shown == _token(self.desk.state) and action in JUDGEMENTS:
            self.do(lambda s: s.judge(action))

    def refresh(self) -> None:
        """Show the state: the cell first, then that it may be judged."""
        state = self.state
        self.look = self.eyepiece.draw(state, self.look)
        self.settings.refresh(state, self.look, self.eyepiece.brightest(state.marker))
        self.cell.object = cell_text(self.desk.facts, state, score=self.look.score)
        self.left.object = left_text(state)
        self.progress.object = progress(state)
        self._refresh_status()
        self.bar.param.update(label=state.label or "", shown=_token(state))

    def take_over(self) -> None:
        """Take what another window did, and the status."""
        if self.desk.state is not self.state:
            self.state = self.desk.state
            self.refresh()
        self._refresh_status()

    def _refresh_status(self) -> None:
        self.heading.tell(page_text(self.desk.facts, self.state), self.desk.saving.status)
        self.agreement.object = agreement_text(self.desk, self.state.marker)


def _token(state: State) -> str:
    """Names the pair that is judged."""
    return "" if state.cell is None else f"{state.cell}/{state.marker}"


def build(desk: Desk, look: Look) -> Any:
    """A page of a desk, as a Panel layout for a notebook or a server."""
    page = Page(desk, look)
    return present(page, _layout(page))


def _layout(page: Page) -> Any:
    return sheet(
        top_bar(page.heading.root),
        pn.Row(_cell(page), _side(page), margin=0, stylesheets=[WRAPPED]),
    )


def _cell(page: Page) -> Any:
    """The cell, above it what is shown, below it the judgements."""
    own = page.settings
    return card(
        pn.Row(own.marker, own.second, own.range, own.auto, margin=0),
        page.cell,
        pn.pane.Bokeh(page.eyepiece.crop.root),
        page.bar,
        page.notice.root,
        width=640,
        margin=(0, 10, 0, 0),
    )


def _side(page: Page) -> Any:
    """The field and how far one is."""
    own = page.settings
    return card(
        page.left,
        pn.pane.Bokeh(page.eyepiece.field.root),
        page.progress,
        pn.Row(own.goal, pn.Column(own.score, align="end", margin=0), margin=0),
        page.agreement,
        width=330,
    )
