"""Section of the page on markers: histogram, order, and which are shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import panel as pn

from .cells import Histograms
from .controls import button, html, pressed, radio, select, several
from .editing import Do
from .histogram import HistogramPlot
from .state import State
from .view import View


class MarkerPanel:
    """Controls of the markers.

    Parameters
    ----------
    do
        Makes a step.
    histograms
        Of every marker.
    markers
        All of them.
    """

    def __init__(self, do: Do, histograms: Histograms, markers: Sequence[str]) -> None:
        self._do, self._histograms = do, histograms
        self._quiet = False
        self._shown: tuple[str, ...] = tuple(markers)
        self.plot = HistogramPlot()
        self.marker = select("Histogram of", "marker", width=150, options=markers)
        self.color_by = radio({"Nodes by metacluster": False, "by this marker": True}, "color-by")
        self.order = several("From top to bottom", "order", markers, width=150, size=8)
        self.up, self.down = button("▲ Up", "up"), button("▼ Down", "down")
        self.hide, self.show = button("Hide", "hide"), button("Show all", "show")
        self.alike = button("Alike together", "alike")
        self.legend = html("legend")
        self.marker.param.watch(lambda e: self._view(lambda v: v.with_marker(e.new)), "value")
        self.color_by.param.watch(
            lambda e: self._view(lambda v: v.colored_by_marker(e.new)), "value"
        )
        pressed(self.up, lambda: self._move(-1))
        pressed(self.down, lambda: self._move(1))
        pressed(self.hide, lambda: self._view(lambda v: v.hide([*v.hidden, *self.order.value])))
        pressed(self.show, lambda: self._view(lambda v: v.hide([])))
        pressed(self.alike, lambda: self._view(View.by_likeness))
        self.root = self._layout()

    def refresh(self, state: State, shown: Sequence[str]) -> None:
        """Show a state in which the markers stand in the order `shown`."""
        self._quiet = True
        self.marker.value, self.color_by.value = state.view.marker, state.view.by_marker
        self.color_by.visible = state.view.as_points
        if tuple(shown) != self._shown:
            kept = [m for m in self.order.value if m in shown]
            self._shown = tuple(shown)
            self.order.param.update(options=list(shown), value=kept)
        self.show.disabled, self.alike.disabled = not state.view.hidden, not state.view.by_hand
        self.plot.draw(state.view.marker, self._histograms.of(state.view.marker), state.selected)
        inside = '<span style="color:#d9480f">■</span> selected cells' if state.selected else ""
        outside = "other cells" if state.selected else "all cells"
        self.legend.object = f'{inside} <span style="color:#9aa5b1">■</span> {outside}'
        self._quiet = False

    def _move(self, by: int) -> None:
        chosen = [m for m in self._shown if m in self.order.value]

        def moved(view: View) -> View:
            out = view.ordered(self._shown)
            for marker in chosen if by < 0 else reversed(chosen):
                out = out.moved(marker, by)
            return out

        self._view(moved)

    def _view(self, change: Callable[[View], View]) -> None:
        if not self._quiet:
            self._do(lambda s: s.shown(change(s.view)))

    def _layout(self) -> Any:
        buttons = pn.Column(
            pn.Row(self.up, self.down),
            pn.Row(self.hide, self.show),
            self.alike,
            align="end",
        )
        head = pn.Row(self.marker, pn.Column(self.legend, self.color_by, align="end", margin=0))
        return pn.Tabs(
            ("Histogram", pn.Column(head, pn.pane.Bokeh(self.plot.root), width=490)),
            ("Order of markers", pn.Row(self.order, buttons)),
            dynamic=False,
        )
