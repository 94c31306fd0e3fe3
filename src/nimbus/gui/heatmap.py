"""Heatmap of nodes or of metaclusters, with bars of counts, strips and a tree above."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from bokeh.events import SelectionGeometry, Tap
from bokeh.layouts import column
from bokeh.models import (
    BoxSelectTool,
    ColumnDataSource,
    CustomJSHover,
    FixedTicker,
    HoverTool,
    LinearColorMapper,
    LogTicker,
    LogTickFormatter,
    PanTool,
    Range1d,
    ResetTool,
    WheelZoomTool,
)
from bokeh.plotting import figure

from .blocks import Block, runs
from .look import (
    ACCENT,
    COUNTS_HEIGHT,
    FAINT,
    FONT,
    INK,
    LINE,
    NAMES_WIDTH,
    STRIP_HEIGHT,
    TREE_HEIGHT,
    counted,
    heat_height,
)

_FROM_COLUMNS = """
const own = columns.data[format]
const k = Math.floor(value)
if (own == null || k < 0 || k >= own.length) return ""
return String(own[k]).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/>/g, "&gt;")
"""
"""Names are people's text: they are shown as text, whatever they hold."""

_TIP = f"""
<div style="font: 12px {FONT}; color: {INK}">
<b>$x{{label}}</b> <span style="color: {FAINT}">$x{{group}}</span><br>
$x{{cells}} <span style="color: {FAINT}">$x{{note}}</span><br>%s
</div>
"""

OnColumn = Callable[[int, int, bool], None]
"""Called with a column's number, the row of the marker (-1 outside) and whether shift was held."""

OnSpan = Callable[[list[int]], None]


class Heatmap:
    """Figures above each other that share their columns.

    Parameters
    ----------
    name
        Of the figures, for tests and styles.
    mapper
        Colours of values; both heatmaps share it.
    rows
        Range of the markers; shared, too.
    names
        Whether it has the names of the markers and of the strips.
    on_column, on_span
        What a click on a column and a box over columns do.
    """

    def __init__(
        self,
        name: str,
        *,
        mapper: LinearColorMapper,
        rows: Range1d,
        names: bool,
        on_column: OnColumn,
        on_span: OnSpan,
    ) -> None:
        self.block: Block | None = None
        self._on_column, self._on_span = on_column, on_span
        self._rows, self._markers = rows, names
        self._names: list[str] = []
        self.columns = ColumnDataSource({key: [] for key in _COLUMN_KEYS})
        self.markers = ColumnDataSource({"marker": []})
        self.image = ColumnDataSource({"image": [], "dw": [], "dh": []})
        self.marks = ColumnDataSource({"left": [], "right": [], "share": [], "bottom": []})
        self.hits = ColumnDataSource({"left": [], "right": []})
        self.lines = ColumnDataSource({"xs": [], "ys": []})
        self.places = Range1d(0, 1)
        left = NAMES_WIDTH if names else 8
        made = [
            self._tree(left),
            self._counts(left),
            self._strip(left),
            self._heat(left, mapper, names=name == "metaclusters"),
        ]
        for part, own in zip(("tree", "counts", "strip", "heat"), made, strict=True):
            own.name = f"{name}-{part}"
            own.on_event(Tap, self._tapped)
        self.tree, self.counts, self.strip, self.heat = made
        self.figures = made
        self.root = column(*made, sizing_mode="stretch_width", spacing=2)

    def draw(self, block: Block, markers: Sequence[str]) -> None:
        """Show these columns."""
        before, self.block = self.block, block
        n_columns, n_markers = block.n_columns, len(markers)
        edges = list(range(n_columns))
        self.columns.data = {
            "x": [k + 0.5 for k in edges],
            "cells": [counted(n, "cell") for n in block.counts],
            "top": [max(float(n), 0.8) for n in block.counts],
            "color": block.colors,
            "label": block.labels,
            "group": _beside(block),
            "note": block.notes,
        }
        self.markers.data = {"marker": list(markers)}
        self.image.data = {"image": [block.values], "dw": [n_columns], "dh": [n_markers]}
        self.lines.data = {"xs": block.tree[0], "ys": block.tree[1]}
        self.tree.visible = bool(block.tree[0])
        self._mark(block)
        self.heat.frame_height = heat_height(n_markers)
        if before is None or before.n_columns != n_columns:
            self.places.update(start=0, end=n_columns, reset_start=0, reset_end=n_columns)
            self.places.bounds = (0, n_columns)
        self._name(block, markers)

    def redraw_selection(self, block: Block) -> None:
        """Show another selection of the same columns."""
        self.block = block
        self._mark(block)

    def _mark(self, block: Block) -> None:
        hits = runs(block.found)
        self.hits.data = {"left": [a for a, _ in hits], "right": [b for _, b in hits]}
        # A metacluster that is selected in part is paler; whole neighbours are one stretch.
        part = (block.selected > 0) & (block.selected < 1)
        single = [(int(k), int(k) + 1) for k in np.flatnonzero(part)]
        marks = sorted([*runs(block.selected == 1), *single])
        self.marks.data = {
            "left": [a for a, _ in marks],
            "right": [b for _, b in marks],
            "bottom": [len(self.markers.data["marker"])] * len(marks),
            "share": [0.25 + 0.75 * float(block.selected[a]) for a, _ in marks],
        }

    def _name(self, block: Block, markers: Sequence[str]) -> None:
        """Names of markers or columns; where they change, Bokeh looks through all its models."""
        names = list(markers) if self._markers else block.labels
        if names == self._names:
            return
        self._names = names
        axis = self.heat.yaxis[0] if self._markers else self.heat.xaxis[0]
        axis.ticker.ticks = [k + 0.5 for k in range(len(names))]
        axis.major_label_overrides = {k + 0.5: name for k, name in enumerate(names)}

    def _tapped(self, event: Any) -> None:
        if self.block is None or event.x is None:
            return
        number = self.block.column_at(event.x)
        if number is None:
            return
        row = int(event.y) if event.model is self.heat and event.y >= 0 else -1
        held = event.modifiers is not None and bool(event.modifiers.get("shift"))
        self._on_column(number, row, held)

    def _boxed(self, event: Any) -> None:
        if self.block is not None and event.final and "x0" in event.geometry:
            self._on_span(self.block.columns_within(event.geometry["x0"], event.geometry["x1"]))

    def _counts(self, left: int) -> Any:
        top = Range1d(0.8, 10)
        made = _plain(left, COUNTS_HEIGHT, self.places, top, y_axis_type="log")
        made.vbar(
            x="x",
            top="top",
            bottom=0.8,
            width=0.86 if not self._markers else 1.0,
            color="color",
            source=self.columns,
        )
        made.xaxis.visible = False
        made.yaxis.ticker = LogTicker(desired_num_ticks=3, num_minor_ticks=0)
        made.yaxis.formatter = LogTickFormatter(min_exponent=4)
        if self._markers:
            made.yaxis.axis_label = "cells"
        else:
            made.yaxis.visible = False
        made.add_tools(self._hover(""))
        return made

    def _strip(self, left: int) -> Any:
        made = _plain(left, STRIP_HEIGHT, self.places, Range1d(2, 0))
        made.rect(x="x", y=1.5, width=1, height=0.86, color="color", source=self.columns)
        made.quad(
            left="left",
            right="right",
            top=0.15,
            bottom=0.85,
            fill_color=INK,
            fill_alpha="share",
            line_color=None,
            source=self.marks,
        )
        made.quad(
            left="left",
            right="right",
            top=0,
            bottom=2,
            fill_color=None,
            line_color=ACCENT,
            line_width=2,
            source=self.hits,
        )
        made.xaxis.visible = False
        made.yaxis.ticker = FixedTicker(ticks=[0.5, 1.5])
        made.yaxis.major_label_overrides = {0.5: "selected", 1.5: "metacluster"}
        made.yaxis.major_label_text_color = FAINT
        made.yaxis.visible = self._markers
        made.add_tools(self._hover(""))
        return made

    def _heat(self, left: int, mapper: LinearColorMapper, *, names: bool) -> Any:
        made = _plain(left, 240, self.places, self._rows)
        shown = made.image(
            image="image", x=0, y=0, dw="dw", dh="dh", color_mapper=mapper, source=self.image
        )
        for color, width in (("#000000", 4.0), ("#ffffff", 1.6)):  # seen on dark and on bright
            made.quad(
                left="left",
                right="right",
                top=0,
                bottom="bottom",
                fill_color=None,
                line_color=color,
                line_width=width,
                source=self.marks,
            )
        value = f"$y{{marker}}: <b>@image{{0.00}}</b><span style='color: {FAINT}'></span>"
        hover = self._hover(value)
        hover.renderers = [shown]
        box = BoxSelectTool(dimensions="width", renderers=[])
        made.add_tools(hover, box, PanTool(dimensions="width"))
        made.add_tools(WheelZoomTool(dimensions="width"), ResetTool())
        made.toolbar.active_drag = box
        made.on_event(SelectionGeometry, self._boxed)
        made.xaxis.visible = names
        made.yaxis.visible = self._markers
        made.xaxis.ticker, made.yaxis.ticker = FixedTicker(), FixedTicker()
        if names:
            made.xaxis.major_label_orientation = "vertical"
        else:
            made.toolbar_location = "below"
            made.toolbar.logo = None
        return made

    def _tree(self, left: int) -> Any:
        made = _plain(left, TREE_HEIGHT, self.places, Range1d(0, 1.05))
        made.multi_line(xs="xs", ys="ys", color="#8795a1", source=self.lines)
        made.axis.visible = False
        return made

    def _hover(self, value: str) -> HoverTool:
        columns = CustomJSHover(args={"columns": self.columns}, code=_FROM_COLUMNS)
        markers = CustomJSHover(args={"columns": self.markers}, code=_FROM_COLUMNS)
        return HoverTool(
            tooltips=_TIP % value,
            formatters={"$x": columns, "$y": markers},
            point_policy="follow_mouse",
            visible=False,
        )


_COLUMN_KEYS = ("x", "cells", "top", "color", "label", "group", "note")


def set_counts_range(heatmaps: Sequence[Heatmap], most: float) -> None:
    """One scale of counts for all."""
    for one in heatmaps:
        one.counts.y_range.end = max(10.0, 1.6 * most)


def _beside(block: Block) -> list[str]:
    """Name of the metacluster beside a node; nothing beside itself."""
    pairs = zip(block.groups, block.labels, strict=True)
    return ["" if group == label else f"in {group}" for group, label in pairs]


def _plain(left: int, height: int, x: Range1d, y: Range1d, **more: Any) -> Any:
    """A figure without anything but what is drawn in it."""
    made = figure(
        x_range=x,
        y_range=y,
        frame_height=height,
        sizing_mode="stretch_width",
        min_border_left=left,
        min_border_right=4,
        min_border_top=0,
        min_border_bottom=0,
        tools="",
        toolbar_location=None,
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color=None,
        **more,
    )
    made.grid.visible = False
    made.axis.axis_line_color = None
    made.axis.major_tick_line_color = None
    made.axis.minor_tick_line_color = None
    made.axis.major_label_text_font = FONT
    made.axis.major_label_text_font_size = "11px"
    made.axis.major_label_text_color = INK
    made.axis.axis_label_text_font = FONT
    made.axis.axis_label_text_font_style = "normal"
    made.axis.axis_label_text_font_size = "11px"
    made.axis.axis_label_text_color = FAINT
    made.axis.axis_label_standoff = 2
    made.xgrid.grid_line_color = LINE
    return made
