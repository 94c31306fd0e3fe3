"""Figures of a heatmap, one above the other: a tree, bars of counts, strips, and the values.

All four share the range of the columns; the values share that of the markers with the heatmap
beside them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from bokeh.models import (
    BoxSelectTool,
    CustomJSHover,
    FixedTicker,
    HoverTool,
    LinearColorMapper,
    LogTicker,
    LogTickFormatter,
    NoOverlap,
    PanTool,
    Range1d,
    ResetTool,
    WheelZoomTool,
)

from .bare import bare_figure
from .heatmapdata import HeatmapData
from .style import (
    ACCENT,
    COUNTS_HEIGHT,
    FAINT,
    FONT,
    INK,
    NAMES_WIDTH,
    STRIP_HEIGHT,
    TREE_HEIGHT,
)

Named: TypeAlias = Literal["markers", "columns"]
"""What has its names beside the values."""

FEWEST = 0.8
"""Where bars begin; the axis is logarithmic, and a bar of one cell is to be seen."""

_FROM_COLUMNS = """
const own = columns.data[format]
const k = Math.floor(value)
if (own == null || k < 0 || k >= own.length) return ""
return String(own[k]).replace(/[&<]/g, "$&\u200b")
"""
"""Names are people's text: they are shown as text, whatever they hold. Some releases of Bokeh
escape them, others do not; what a space of no width follows begins no tag or entity in either.
"""

_TIP = f"""
<div style="font: 12px {FONT}; color: {INK}">
<b>$x{{label}}</b> <span style="color: {FAINT}">$x{{group}}</span><br>
$x{{cells}} <span style="color: {FAINT}">$x{{note}}</span><br>%s
</div>
"""

_VALUE = f"$y{{marker}}: <b>@image{{0.00}}</b><span style='color: {FAINT}'></span>"


@dataclass(frozen=True, slots=True, eq=False)
class HeatmapFigures:
    """The figures, from top to bottom."""

    tree: Any
    counts: Any
    strip: Any
    heat: Any

    @property
    def all(self) -> list[Any]:
        """From top to bottom."""
        return [self.tree, self.counts, self.strip, self.heat]


def heatmap_figures(
    name: str,
    data: HeatmapData,
    *,
    named: Named,
    places: Range1d,
    rows: Range1d,
    mapper: LinearColorMapper,
) -> HeatmapFigures:
    """Build the figures.

    Parameters
    ----------
    name
        Of the figures, for tests and styles.
    data
        What they are drawn from.
    named
        Which names stand beside the values.
    places, rows
        Ranges of columns and markers.
    mapper
        Colours of values.
    """
    frame = {
        "x_range": places,
        "sizing_mode": "stretch_width",
        "min_border_left": NAMES_WIDTH if named == "markers" else 8,
        "min_border_right": 4,
        "min_border_top": 0,
        "min_border_bottom": 0,
    }
    return HeatmapFigures(
        tree=_tree(data, name=f"{name}-tree", **frame),
        counts=_counts(data, named, name=f"{name}-counts", **frame),
        strip=_strip(data, named, name=f"{name}-strip", **frame),
        heat=_heat(data, named, mapper, name=f"{name}-heat", y_range=rows, **frame),
    )


def _tree(data: HeatmapData, **frame: Any) -> Any:
    made = bare_figure(y_range=Range1d(0, 1.05), frame_height=TREE_HEIGHT, **frame)
    made.multi_line(xs="xs", ys="ys", color="#8795a1", source=data.lines)
    made.axis.visible = False
    return made


def _counts(data: HeatmapData, named: Named, **frame: Any) -> Any:
    """Bars, on a scale of powers of ten."""
    made = bare_figure(
        y_range=Range1d(FEWEST, 10), y_axis_type="log", frame_height=COUNTS_HEIGHT, **frame
    )
    width = 1.0 if named == "markers" else 0.86
    made.vbar(x="x", top="top", bottom=FEWEST, width=width, color="color", source=data.columns)
    made.xaxis.visible = False
    made.yaxis.visible = named == "markers"
    made.yaxis.axis_label = "cells"
    made.yaxis.ticker = LogTicker(desired_num_ticks=3, num_minor_ticks=0)
    made.yaxis.formatter = LogTickFormatter(min_exponent=4)
    made.add_tools(_hover(data))
    return made


def _strip(data: HeatmapData, named: Named, **frame: Any) -> Any:
    """What is selected, and below it the colours of metaclusters; a box around what was found."""
    made = bare_figure(y_range=Range1d(2, 0), frame_height=STRIP_HEIGHT, **frame)
    made.rect(x="x", y=1.5, width=1, height=0.86, color="color", source=data.columns)
    sides = {"left": "left", "right": "right"}
    selected = {"fill_color": INK, "fill_alpha": "share", "line_color": None}
    made.quad(**sides, top=0.15, bottom=0.85, **selected, source=data.marks)
    found = {"fill_color": None, "line_color": ACCENT, "line_width": 2}
    made.quad(**sides, top=0, bottom=2, **found, source=data.hits)
    made.xaxis.visible = False
    made.yaxis.visible = named == "markers"
    made.yaxis.ticker = FixedTicker(ticks=[0.5, 1.5])
    made.yaxis.major_label_overrides = {0.5: "selected", 1.5: "metacluster"}
    made.yaxis.major_label_text_color = FAINT
    made.add_tools(_hover(data))
    return made


def _heat(data: HeatmapData, named: Named, mapper: LinearColorMapper, **frame: Any) -> Any:
    """Values, with frames around selected columns, and the tools that select and zoom."""
    made = bare_figure(frame_height=240, **frame)
    shown = made.image(
        image="image", x=0, y=0, dw="dw", dh="dh", color_mapper=mapper, source=data.image
    )
    for color, width in (("#000000", 4.0), ("#ffffff", 1.6)):  # seen on dark and on bright
        box = {"left": "left", "right": "right", "top": 0, "bottom": "bottom"}
        line = {"fill_color": None, "line_color": color, "line_width": width}
        made.quad(**box, **line, source=data.marks)
    hover, select = _hover(data, _VALUE), BoxSelectTool(dimensions="width", renderers=[])
    hover.renderers = [shown]
    made.add_tools(hover, select, PanTool(dimensions="width"))
    made.add_tools(WheelZoomTool(dimensions="width"), ResetTool())
    made.toolbar.active_drag = select
    made.xaxis.ticker, made.yaxis.ticker = FixedTicker(), FixedTicker()
    made.xaxis.visible, made.yaxis.visible = named == "columns", named == "markers"
    made.xaxis.major_label_policy = NoOverlap(
        min_distance=0
    )  # some names rather than none that can be read
    if named == "markers":
        made.toolbar_location = "below"
    return made


def _hover(data: HeatmapData, value: str = "") -> HoverTool:
    """What is told at the pointer: of the column, and `value` below it."""
    columns = CustomJSHover(args={"columns": data.columns}, code=_FROM_COLUMNS)
    markers = CustomJSHover(args={"columns": data.markers}, code=_FROM_COLUMNS)
    return HoverTool(
        tooltips=_TIP % value,
        formatters={"$x": columns, "$y": markers},
        point_policy="follow_mouse",
        visible=False,
    )
