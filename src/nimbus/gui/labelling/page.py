"""The page: a cell, buttons, and how far one is; it holds no logic of labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from html import escape
from typing import Any

import panel as pn

from nimbus.data.annotations import JUDGEMENTS
from nimbus.gui.controls import button, html, pressed, select, span
from nimbus.gui.look import FIELDS, SHEET, TEXT
from nimbus.gui.ticks import Ticks
from nimbus.gui.tissue import Window
from nimbus.gui.window import present

from .bar import bar
from .cropplot import CropPlot, FieldPlot
from .desk import Desk
from .exporting import export_buttons
from .intensity import Intensities
from .look import Look
from .panels import agreement_text, cell_text, left_text, progress
from .state import State

NONE = "none"
"""Stands for no second channel."""

STEPS = {"back": State.back, "next": State.next_marker}
"""What buttons do that need no cell."""

PROGRESS = (
    TEXT
    + """
.progress { border-collapse: collapse; width: 100%; font-size: 12.5px; }
.progress td, .progress th { padding: 3px 6px; }
.progress th { color: #66727f; font-weight: 500; font-size: 11px; }
.progress .n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.progress .track { width: 45%; }
.progress .full { background: #e6eaee; border-radius: 4px; height: 7px; }
.progress .done { background: #27455c; border-radius: 4px; height: 7px; }
.progress .now { background: #fff6d6; }
.progress .now .marker { font-weight: 650; }
.progress .plus { color: #b93c0b; }
.progress .minus { color: #27455c; }
.left { font-weight: 600; }
"""
)


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
        self.ticks = Ticks()
        self._quiet = False
        self._drawn: tuple[int, str, str | None] | None = None
        self._intensities = Intensities(desk.facts.microscope)
        self.crop = CropPlot(
            on_place=self._clicked, on_window=lambda: self.ticks.later(self._moved)
        )
        self.field = FieldPlot(on_place=self._clicked)
        self.bar = bar(self.on_action)
        markers = list(desk.state.queues.markers)
        self.marker = select("Marker", "marker", width=130, options=markers)
        self.second = select(
            "Second channel", "second", width=130, options=[NONE, *desk.facts.channels]
        )
        self.range = span("Intensity drawn black and white", "range", width=230)
        self.auto = button("Auto", "auto")
        self.score = pn.widgets.Checkbox(
            label="Show the score", stylesheets=[FIELDS], css_classes=["score"], margin=(3, 4)
        )
        self.goal = pn.widgets.IntInput(
            label="Cells of each marker",
            value=desk.state.goal,
            start=1,
            width=120,
            stylesheets=[FIELDS],
            css_classes=["goal"],
            margin=(3, 4),
        )
        self.title, self.status = (
            html("title-bar", align="center"),
            html("status", width=420, sizing_mode="fixed", align="center"),
        )
        self.cell, self.left = html("cell-text", height=22), html("left-text", height=20)
        self.message = html("message", height=18)
        self.progress = html("progress-table", stylesheets=[PROGRESS])
        self.agreement = html("agreement")
        self._watch()

    def do(self, step: Callable[[State], State]) -> bool:
        """Make a step and show what became of it; one that cannot be made says why."""
        try:
            state = step(self.state)
        except ValueError as error:
            self.say(str(error))
            return False
        self.say("")
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
        elif shown == self._token() and action == "skip":
            self.do(State.skip)
        elif shown == self._token() and action in JUDGEMENTS:
            self.do(lambda s: s.judge(action))

    def say(self, problem: str) -> None:
        """Tell what went wrong; an empty text takes it back."""
        told = f'<span class="wrong">{escape(problem)}</span>' if problem else ""
        if self.message.object != told:
            self.message.object = told

    def refresh(self) -> None:
        """Show the state: the cell first, then that it may be judged."""
        state = self.state
        self._quiet = True
        self.marker.value, self.second.value = state.marker, self.look.second or NONE
        self.goal.value, self.score.value = state.goal, self.look.score
        self._draw()
        self.cell.object = cell_text(self.desk.facts, state, score=self.look.score)
        self.left.object = left_text(state)
        self.progress.object = progress(state)
        self._refresh_status()
        self.bar.param.update(label=state.label or "", shown=self._token())
        self._quiet = False

    def take_over(self) -> None:
        """Take what another window did, and the status."""
        if self.desk.state is not self.state:
            self.state = self.desk.state
            self.refresh()
        self._refresh_status()

    def _token(self) -> str:
        """Names the pair that is judged."""
        return "" if self.state.cell is None else f"{self.state.cell}/{self.state.marker}"

    def _draw(self) -> None:
        """Read the cell where another one is shown, and set intensities and outlines."""
        cell, marker, second = self.state.cell, self.state.marker, self.look.second
        if cell is None:
            self.crop.clear()
            self._drawn = None
            return
        microscope = self.desk.facts.microscope
        field = microscope.field(cell)
        if marker not in self.look.limits:
            limits = self._intensities.limits(field, marker)
            self.look = self.look.with_limits(marker, *limits)
        if self._drawn != (cell, marker, second):
            before, self._drawn = self._drawn, (cell, marker, second)
            if before is None or before[0] != cell:
                self.crop.view.look_at(self._window(cell))
            self._read(cell)
            values, extent = self._intensities.overview(field, marker)
            self.field.view.show(values, extent)
            if before is None or microscope.field(before[0]) != field:
                self.field.view.look_at(extent)
        self._limit(field)
        self.crop.show_outlines(self.look.outlines)
        self.field.mark(self.crop.view.window)

    def _read(self, cell: int) -> None:
        microscope, second = self.desk.facts.microscope, self.look.second
        there = microscope.tissue.channels(microscope.field(cell))
        crop = microscope.crop(
            cell,
            self.state.marker,
            second if second in there else None,
            self.crop.view.window,
        )
        self.crop.show(crop)
        self._intensities.saw(self.state.marker, crop.values)
        if not crop.own[0]:
            self.say(
                f"cell {int(microscope.ids[cell])} is not in the labels that are seen; zoom out, "
                "or skip it"
            )

    def _window(self, cell: int) -> Window:
        """Around the cell, as large as what was looked at before."""
        left, right, *_ = self.crop.view.window
        side = self.desk.facts.side if self.crop.view.pixels.data["image"] == [] else right - left
        return self.desk.facts.microscope.around(cell, side)

    def _limit(self, field: str) -> None:
        low, high = self.look.limits[self.state.marker]
        second = self.look.second
        there = self.desk.facts.microscope.tissue.channels(field)
        over = self._intensities.limits(field, second) if second in there and second else None
        self.crop.limit(low, high, second=over)
        self.field.view.mapper.update(low=low, high=high)
        end = max(self._intensities.largest(self.state.marker), high)
        self.range.param.update(start=min(0.0, low), end=end, step=end / 500, value=(low, high))

    def _moved(self) -> None:
        if self.state.cell is not None:
            self._read(self.state.cell)
            self.field.mark(self.crop.view.window)

    def _clicked(self, x: float, y: float) -> None:
        """Judge the cell that was clicked."""
        if self.state.cell is None:
            return
        microscope = self.desk.facts.microscope
        row = microscope.tissue.node_at(microscope.field(self.state.cell), x, y)
        if row >= 0:
            self.do(lambda s: s.look_at(row))

    def _refresh_status(self) -> None:
        status, facts = self.desk.status, self.desk.facts
        self.status.object = f'<span class="{status.kind}">{escape(status.text)}</span>'
        self.agreement.object = agreement_text(self.desk, self.state.marker)
        order = {"uncertain": "least certain first", "disagreement": "scores against means first"}
        told = order.get(self.desk.state.queues.order, "by chance")
        self.title.object = (
            f'<span class="title">Labels by eye</span> &nbsp;<span class="what">'
            f"{escape(facts.title)} · {escape(facts.annotator)} · {told}</span>"
        )

    def _watch(self) -> None:
        def ours(call: Callable[[Any], object]) -> Callable[[Any], object]:
            return lambda event: None if self._quiet else call(event.new)

        self.marker.param.watch(ours(lambda m: self.do(lambda s: s.choose(m))), "value")
        self.second.param.watch(
            ours(lambda c: self.show(lambda look: look.with_second(None if c == NONE else c))),
            "value",
        )
        self.range.param.watch(ours(self._ranged), "value")
        pressed(self.auto, lambda: self.show(lambda k: k.without_limits(self.state.marker)))
        self.score.param.watch(
            ours(lambda on: self.show(lambda look: replace(look, score=on))), "value"
        )
        self.goal.param.watch(ours(lambda n: self.do(lambda s: s.with_goal(n))), "value")

    def _ranged(self, ends: tuple[float, float]) -> None:
        if ends[0] < ends[1]:
            self.show(lambda look: look.with_limits(self.state.marker, *ends))


def build(desk: Desk, look: Look) -> Any:
    """A page of a desk, as a Panel layout for a notebook or a server."""
    page = Page(desk, look)
    return present(page, _layout(page))


def _layout(page: Page) -> Any:
    card: dict[str, Any] = {"css_classes": ["nimbus-card"], "stylesheets": [SHEET]}
    top = pn.Column(
        pn.Row(
            page.title,
            page.status,
            export_buttons(page.desk),
            sizing_mode="stretch_width",
            margin=0,
        ),
        css_classes=["nimbus-bar"],
        stylesheets=[SHEET],
        sizing_mode="stretch_width",
        margin=0,
    )
    cell = pn.Column(
        pn.Row(page.marker, page.second, page.range, page.auto, margin=0),
        page.cell,
        pn.pane.Bokeh(page.crop.root),
        page.bar,
        page.message,
        width=640,
        margin=(0, 10, 0, 0),
        **card,
    )
    side = pn.Column(
        page.left,
        pn.pane.Bokeh(page.field.root),
        page.progress,
        pn.Row(page.goal, pn.Column(page.score, align="end", margin=0), margin=0),
        page.agreement,
        width=380,
        margin=0,
        **card,
    )
    return pn.Column(
        top,
        pn.Row(cell, side, margin=0),
        css_classes=["nimbus-page"],
        stylesheets=[SHEET],
        sizing_mode="stretch_width",
        margin=0,
    )
