"""Histogram of a marker inside and outside of the selection."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, DataRange1d, NumeralTickFormatter, Range1d

from .bare import bare_figure
from .cells import Histogram
from .style import FAINT, INK, INSIDE, OUTSIDE


class HistogramPlot:
    """Shares of cells by value: filled inside of the selection, a line outside."""

    def __init__(self) -> None:
        self.bars = ColumnDataSource({"left": [], "right": [], "inside": []})
        self.steps = ColumnDataSource({"x": [], "y": []})
        self.root = self._figure()

    def draw(self, marker: str, found: Histogram, nodes: Collection[int]) -> None:
        """Show a marker; without a selection all cells are outside."""
        inside, outside = found.split(nodes)
        self.bars.data = {"left": found.edges[:-1], "right": found.edges[1:], "inside": inside}
        self.steps.data = {
            "x": np.repeat(found.edges, 2),
            "y": np.concatenate([[0.0], np.repeat(outside, 2), [0.0]]),
        }
        low, high = float(found.edges[0]), float(found.edges[-1])
        room = 0.01 * (high - low)
        self.root.x_range.update(start=low - room, end=high + room)
        self.root.xaxis.axis_label = marker

    def _figure(self) -> Any:
        made = bare_figure(
            name="histogram-plot",
            x_range=Range1d(0, 1),
            y_range=DataRange1d(start=0, range_padding=0.08),
            height=150,
            sizing_mode="stretch_width",
            min_border_left=40,
            min_border_top=4,
        )
        made.quad(
            left="left",
            right="right",
            bottom=0,
            top="inside",
            fill_color=INSIDE,
            fill_alpha=0.75,
            line_color=None,
            source=self.bars,
        )
        made.line(x="x", y="y", line_color="#52606d", line_width=1.4, source=self.steps)
        made.patch(
            x="x", y="y", fill_color=OUTSIDE, fill_alpha=0.25, line_color=None, source=self.steps
        )
        made.yaxis.formatter = NumeralTickFormatter(format="0 %")
        made.yaxis.ticker.desired_num_ticks = 3
        made.axis.axis_line_color = "#c3ccd5"
        made.axis.major_label_text_color = FAINT
        made.xaxis.axis_label_text_font_style = "bold"
        made.xaxis.axis_label_text_color = INK
        return made
