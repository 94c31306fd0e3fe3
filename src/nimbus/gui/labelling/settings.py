"""Section of the page with fields and sliders: which marker, how many cells, how they are shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import panel as pn

from nimbus.gui.controls import GAP, button, integer, pressed, select, span
from nimbus.gui.style import FIELDS

from .look import Look
from .state import State

NONE = "none"
"""Stands for no second channel."""

Do: TypeAlias = Callable[[Callable[[State], State]], bool]
Show: TypeAlias = Callable[[Callable[[Look], Look]], None]


class Settings:
    """Controls that judge nothing.

    Parameters
    ----------
    do
        Makes a step.
    show
        Shows cells in another way.
    state
        The state at first.
    channels
        All channels of the images.
    """

    def __init__(self, do: Do, show: Show, state: State, channels: Sequence[str]) -> None:
        self._do, self._show, self._marker = do, show, state.marker
        self._quiet = False
        markers = list(state.queues.markers)
        self.marker = select("Marker", "marker", width=130, options=markers)
        self.second = select("Second channel", "second", width=130, options=[NONE, *channels])
        self.range = span("Intensity drawn black and white", "range", width=230)
        self.auto = button("Auto", "auto")
        self.score = pn.widgets.Checkbox(
            label="Show the score", stylesheets=[FIELDS], css_classes=["score"], margin=GAP
        )
        self.goal = integer("Cells of each marker", "goal", value=state.goal, width=120)
        self._watch()

    def refresh(self, state: State, look: Look, brightest: float) -> None:
        """Show a state and a look; `brightest` is the largest intensity of the marker."""
        self._quiet, self._marker = True, state.marker
        self.marker.value, self.second.value = state.marker, look.second or NONE
        self.goal.value, self.score.value = state.goal, look.score
        if state.marker in look.limits:
            low, high = look.limits[state.marker]
            start, end = min(0.0, low), max(brightest, high)
            step = (end - start) / 500
            self.range.param.update(start=start, end=end, step=step, value=(low, high))
        self._quiet = False

    def _watch(self) -> None:
        def chosen(control: Any, call: Callable[[Any], object]) -> None:
            """Call when a person, not this page, changed a value."""
            control.param.watch(lambda e: None if self._quiet else call(e.new), "value")

        do, show = self._do, self._show
        chosen(self.marker, lambda m: do(lambda s: s.choose(m)))
        chosen(self.goal, lambda n: do(lambda s: s.with_goal(n or 0)))  # an empty field is None
        chosen(self.second, lambda c: show(lambda k: k.with_second(None if c == NONE else c)))
        chosen(self.score, lambda on: show(lambda k: replace(k, score=on)))
        chosen(self.range, self._ranged)
        pressed(self.auto, lambda: show(lambda k: k.without_limits(self._marker)))

    def _ranged(self, ends: tuple[float, float]) -> None:
        if ends[0] < ends[1]:
            self._show(lambda look: look.with_limits(self._marker, *ends))
