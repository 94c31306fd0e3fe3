"""Heatmap of nodes or of metaclusters: shows a block of columns, and hears what is clicked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bokeh.events import SelectionGeometry, Tap
from bokeh.layouts import column
from bokeh.models import LinearColorMapper, Range1d

from .blocks import Block
from .heatmapdata import HeatmapData
from .heatmapfigures import Named, heatmap_figures
from .style import CHARACTER_WIDTH, GROUPS_MARGIN, groups_width, heat_height, shortened

OnColumn = Callable[[int, int, bool], None]
"""Called with a column's number, the row of the marker (-1 outside) and whether shift was held."""

OnSpan = Callable[[list[int]], None]


class Heatmap:
    """Figures above each other that share their columns.

    Parameters
    ----------
    name
        Of the figures, for tests and styles.
    named
        Which names stand beside the values: of the markers or of the columns.
    mapper
        Colours of values; both heatmaps share it.
    rows
        Range of the markers; shared, too.
    on_column, on_span
        What a click on a column and a box over columns do.
    """

    def __init__(
        self,
        name: str,
        *,
        named: Named,
        mapper: LinearColorMapper,
        rows: Range1d,
        on_column: OnColumn,
        on_span: OnSpan,
    ) -> None:
        self.block: Block | None = None
        self._named, self._on_column, self._on_span = named, on_column, on_span
        self._names: list[str] = []
        self._data, self._places = HeatmapData(), Range1d(0, 1)
        self.figures = heatmap_figures(
            name, self._data, named=named, places=self._places, rows=rows, mapper=mapper
        )
        for one in self.figures.all:
            one.on_event(Tap, self._tapped)
        self.figures.heat.on_event(SelectionGeometry, self._boxed)
        self.root = column(*self.figures.all, sizing_mode="stretch_width", spacing=2)

    def draw(self, block: Block, markers: Sequence[str]) -> None:
        """Show these columns."""
        before, self.block = self.block, block
        self._data.fill(block, markers)
        self.figures.heat.frame_height = heat_height(len(markers))
        n = block.n_columns
        if before is None or before.n_columns != n:
            self._places.update(start=0, end=n, reset_start=0, reset_end=n)
            self._places.bounds = (0, n)
        names = list(markers) if self._named == "markers" else block.labels
        if names != self._names:  # where they change, Bokeh looks through all its models
            self._names = names
            self._name([shortened(name) for name in names])

    def redraw_selection(self, block: Block) -> None:
        """Show another selection of the same columns."""
        self.block = block
        self._data.mark(block)

    def _name(self, names: list[str]) -> None:
        """Write names beside the values; those of columns in the room that a column has."""
        heat, n = self.figures.heat, len(names)
        axis = heat.yaxis[0] if self._named == "markers" else heat.xaxis[0]
        axis.ticker.ticks = [k + 0.5 for k in range(n)]
        axis.major_label_overrides = {k + 0.5: name for k, name in enumerate(names)}
        if self._named == "columns":
            self.root.width = groups_width(n)
            room = (groups_width(n) - GROUPS_MARGIN) / n
            across = max(map(len, names)) * CHARACTER_WIDTH < room
            axis.major_label_orientation = "horizontal" if across else "vertical"
            axis.major_label_text_font_size = f"{min(11, max(8, int(room) - 2))}px"

    def _tapped(self, event: Any) -> None:
        if self.block is None or event.x is None:
            return
        number = self.block.column_at(event.x)
        if number is None:
            return
        row = int(event.y) if event.model is self.figures.heat and event.y >= 0 else -1
        held = event.modifiers is not None and bool(event.modifiers.get("shift"))
        self._on_column(number, row, held)

    def _boxed(self, event: Any) -> None:
        if self.block is not None and event.final and "x0" in event.geometry:
            self._on_span(self.block.columns_within(event.geometry["x0"], event.geometry["x1"]))


def set_counts_range(heatmaps: Sequence[Heatmap], most: float) -> None:
    """One scale of counts for all."""
    for one in heatmaps:
        one.figures.counts.y_range.end = max(10.0, 1.6 * most)
