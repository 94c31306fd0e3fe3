"""Section of the page on the tissue: a field, a channel, and where the selected cells are."""

from __future__ import annotations

from collections.abc import Callable
from html import escape

import numpy as np
import panel as pn

from .cells import Cells
from .controls import html, radio, select
from .editing import Do
from .scene import Colors, packed
from .state import State
from .style import counted
from .tissue import Tissue
from .tissueplot import MAX_PIXELS, TissuePlot, colors_of


class TissuePanel:
    """Controls of the tissue.

    Parameters
    ----------
    do
        Makes a step.
    tissue
        Fields.
    cells
        How many cells of a node are in which field.
    later
        Calls a function after some milliseconds, once, however often it is asked.
    """

    def __init__(
        self, do: Do, tissue: Tissue, cells: Cells, later: Callable[[Callable[[], None]], None]
    ) -> None:
        self._do, self._tissue, self._cells, self._later = do, tissue, cells, later
        self._quiet = False
        self._state: State | None = None
        self.plot = TissuePlot(on_place=self._clicked, on_window=lambda: later(self._read))
        self.field = select("Field", "field", width=190, options=list(tissue.fields))
        self.channel = select("Channel", "channel", width=120)
        self.shown = radio({"Selected": False, "All cells": True}, "cells")
        self.note = html("tissue-note", height=18)
        self.field.param.watch(lambda e: self._choose(e.new, self.channel.value), "value")
        self.channel.param.watch(lambda e: self._choose(self.field.value, e.new), "value")
        self.shown.param.watch(
            lambda e: None if self._quiet else do(lambda s: s.shown(s.view.with_cells(e.new))),
            "value",
        )
        self.root = pn.Column(
            pn.Row(self.field, self.channel, self.shown),
            pn.pane.Bokeh(self.plot.root),
            self.note,
            width=490,
        )

    def refresh(self, state: State) -> None:
        """Show a state; pixels are read where it shows another field or channel."""
        before, self._state = self._state, state
        field, channel = state.view.field, state.view.channel
        if field is None:
            return
        self._quiet = True
        self._name_fields(state)
        self.channel.param.update(options=list(self._tissue.channels(field)), value=channel)
        self.field.value, self.shown.value = field, state.view.all_cells
        self._quiet = False
        if before is None or before.view.field != field:
            self.plot.look_at(self._tissue.whole(field))
        if before is None or (before.view.field, before.view.channel) != (field, channel):
            self._read(contrast=True)
        elif _painted(before) != _painted(state):
            self.plot.paint(self._colors(state))
        self.note.object = self._told(state, field)

    def _name_fields(self, state: State) -> None:
        """Beside each field how many of the selected cells it holds."""
        counts = self._cells.per_field(state.selected)
        label = [
            f"{name} ({n:,})" if state.selected else name
            for name, n in zip(self._tissue.fields, counts, strict=True)
        ]
        self.field.options = dict(zip(label, self._tissue.fields, strict=True))

    def _told(self, state: State, field: str) -> str:
        place = self._tissue.fields.index(field)
        n = int(self._cells.per_field(state.selected)[place])
        if state.selected:
            return f'<span class="faint">{counted(n, "selected cell")} in {escape(field)}</span>'
        return '<span class="faint">Click on a cell to find its node; scroll to zoom.</span>'

    def _colors(self, state: State) -> Colors:
        colors = {m: packed(color) for m, color in state.clusters.colors.items()}
        own = state.clusters.metacluster
        shown = np.array([m in colors for m in own])
        if not state.view.all_cells or state.selected:
            shown &= np.array([k in state.selected for k in range(len(own))])
        return colors_of([colors.get(m, 0) for m in own], shown)

    def _read(self, *, contrast: bool = False) -> None:
        state = self._state
        if state is None or state.view.field is None or state.view.channel is None:
            self.plot.clear()
            return
        scene = self._tissue.scene(
            state.view.field, state.view.channel, self.plot.window, max_pixels=MAX_PIXELS
        )
        self.plot.show(scene, self._colors(state), contrast=contrast)

    def _choose(self, field: str, channel: str | None) -> None:
        if self._quiet:
            return
        there = self._tissue.channels(field)
        own = channel if channel in there else (there[0] if there else None)
        self._do(lambda s: s.shown(s.view.with_tissue(field, own)))

    def _clicked(self, x: float, y: float) -> None:
        node = self._tissue.node_at(self.field.value, x, y)
        if node >= 0:
            self._do(lambda s: s.toggle(node))


def _painted(state: State) -> tuple[object, ...]:
    """What the colours of cells depend on."""
    return state.selected, state.clusters.now, state.view.all_cells
