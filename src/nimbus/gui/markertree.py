"""Tree of the markers, left of the heatmaps."""

from __future__ import annotations

from typing import Any

from bokeh.models import ColumnDataSource, Range1d

from .bare import bare_figure
from .blocks import Lines
from .style import TREE_WIDTH, heat_height


class MarkerTree:
    """Lines that join alike markers.

    Parameters
    ----------
    rows
        Range of the markers, shared with the heatmaps.
    """

    def __init__(self, rows: Range1d) -> None:
        self.lines = ColumnDataSource({"xs": [], "ys": []})
        self.root = self._figure(rows)

    def draw(self, lines: Lines, n_markers: int) -> None:
        """Show a tree whose leaves stand at 0.5, 1.5, ... from the top."""
        self.lines.data = {"xs": lines[1], "ys": lines[0]}
        self.root.frame_height = heat_height(n_markers)

    def _figure(self, rows: Range1d) -> Any:
        made = bare_figure(
            name="marker-tree",
            x_range=Range1d(1.05, 0),
            y_range=rows,
            frame_width=TREE_WIDTH,
            frame_height=240,
            min_border=0,
        )
        made.axis.visible = False
        made.multi_line(xs="xs", ys="ys", color="#8795a1", source=self.lines)
        return made
