"""Nodes as points: on the grid of the map, or on their minimum spanning tree."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from bokeh.events import SelectionGeometry, Tap
from bokeh.models import (
    BoxSelectTool,
    ColumnDataSource,
    HoverTool,
    LassoSelectTool,
    PanTool,
    Range1d,
    ResetTool,
    WheelZoomTool,
)

from nimbus._types import BoolArray, FloatArray, IntArray

from .bare import bare_figure
from .style import ACCENT, FAINT, FONT, INK

LARGEST = 0.46
"""Radius of the node with most cells, in distances between neighbours."""

PLOT_SIDE = 600
"""Pixels, where there is room."""

_TIP = f"""
<div style="font: 12px {FONT}; color: {INK}"><b>node @node</b>
<span style="color: {FAINT}">@group</span><br>@cells cells</div>
"""


class NodePlot:
    """Nodes as circles whose area shows their cells.

    Parameters
    ----------
    counts
        Cells of each node.
    on_node
        Called with the node that was clicked, and whether shift was held.
    on_nodes
        Called with the nodes within a box or a lasso.
    """

    def __init__(
        self,
        counts: IntArray,
        *,
        on_node: Callable[[int, bool], None],
        on_nodes: Callable[[list[int]], None],
    ) -> None:
        self.nodes = np.flatnonzero(counts)
        self._counts, self._on_node, self._on_nodes = counts, on_node, on_nodes
        self._places: FloatArray = np.zeros((0, 2))
        self._radius: FloatArray = np.zeros(0)
        names = ("x", "y", "radius", "color", "line", "width", "node", "group", "cells")
        self.circles = ColumnDataSource({name: [] for name in names})
        self.lines = ColumnDataSource({"xs": [], "ys": []})
        self.root = self._figure()

    def place(self, places: FloatArray, edges: IntArray) -> None:
        """Put the nodes where they belong; `edges` are drawn between them."""
        ends = places[edges]
        self.lines.data = {"xs": ends[:, :, 0].tolist(), "ys": ends[:, :, 1].tolist()}
        self._places = places[self.nodes]
        share = np.sqrt(self._counts[self.nodes] / max(1, self._counts.max()))
        self._radius = LARGEST * _spacing(self._places) * np.maximum(share, 0.18)
        low, high = self._places.min(axis=0), self._places.max(axis=0)
        half = 0.5 * float((high - low).max()) + 1.2 * _spacing(self._places)
        for own, centre in zip(
            (self.root.x_range, self.root.y_range), (low + high) / 2, strict=True
        ):
            own.update(start=centre - half, end=centre + half)
            own.update(reset_start=centre - half, reset_end=centre + half)

    def draw(
        self, colors: Sequence[str], groups: Sequence[str], chosen: BoolArray, found: BoolArray
    ) -> None:
        """Show the nodes; all arguments are of all nodes."""
        own = self.nodes
        marked, hit = chosen[own], found[own]
        self.circles.data = {
            "x": self._places[:, 0],
            "y": self._places[:, 1],
            "radius": self._radius,
            "color": [colors[int(k)] for k in own],
            "line": [
                INK if m else ACCENT if h else "#ffffff" for m, h in zip(marked, hit, strict=True)
            ],
            "width": np.where(marked, 2.6, np.where(hit, 1.8, 0.6)),
            "node": own,
            "group": [groups[int(k)] for k in own],
            "cells": self._counts[own],
        }

    def _tapped(self, event: Any) -> None:
        if event.x is None or not len(self._places):
            return
        away = np.hypot(self._places[:, 0] - event.x, self._places[:, 1] - event.y)
        nearest = int(away.argmin())
        if away[nearest] <= max(self._radius[nearest], 0.5 * _spacing(self._places)):
            held = event.modifiers is not None and bool(event.modifiers.get("shift"))
            self._on_node(int(self.nodes[nearest]), held)

    def _chosen(self, event: Any) -> None:
        if not event.final:
            return
        x, y = self._places[:, 0], self._places[:, 1]
        if event.geometry["type"] == "rect":
            g = event.geometry
            inside = (x >= min(g["x0"], g["x1"])) & (x <= max(g["x0"], g["x1"]))
            inside &= (y >= min(g["y0"], g["y1"])) & (y <= max(g["y0"], g["y1"]))
        else:
            inside = within(x, y, event.geometry["x"], event.geometry["y"])
        self._on_nodes([int(k) for k in self.nodes[inside]])

    def _figure(self) -> Any:
        box, hover = BoxSelectTool(renderers=[]), HoverTool(tooltips=_TIP, visible=False)
        tools = [box, LassoSelectTool(renderers=[]), PanTool(), WheelZoomTool(), ResetTool(), hover]
        made = bare_figure(
            name="nodes-plot",
            x_range=Range1d(-1, 1),
            y_range=Range1d(1, -1),
            aspect_ratio=1,
            sizing_mode="stretch_width",
            max_width=PLOT_SIDE,
            tools=tools,
            toolbar_location="below",
        )
        made.toolbar.active_drag, made.axis.visible = box, False
        made.multi_line(xs="xs", ys="ys", color="#b8c2cc", source=self.lines)
        shown = made.circle(
            x="x",
            y="y",
            radius="radius",
            fill_color="color",
            line_color="line",
            line_width="width",
            source=self.circles,
        )
        hover.renderers = [shown]
        made.on_event(Tap, self._tapped)
        made.on_event(SelectionGeometry, self._chosen)
        return made


def within(
    x: FloatArray, y: FloatArray, corners_x: Sequence[float], corners_y: Sequence[float]
) -> BoolArray:
    """Whether points lie within a polygon: a ray to the right crosses it an odd number of times.

    Examples
    --------
    >>> within(np.array([0.5, 2.0]), np.array([0.4, 0.4]), [0, 1, 1, 0], [0, 0, 1, 1])
    array([ True, False])
    """
    ax, ay = np.asarray(corners_x, np.float64), np.asarray(corners_y, np.float64)
    bx, by = np.roll(ax, -1), np.roll(ay, -1)
    px, py = np.asarray(x)[:, None], np.asarray(y)[:, None]
    between = (ay > py) != (by > py)
    with np.errstate(divide="ignore", invalid="ignore"):
        crossing = ax + (py - ay) / (by - ay) * (bx - ax)
    return np.asarray((between & (px < crossing)).sum(axis=1) % 2 == 1)


def _spacing(places: FloatArray) -> float:
    """Usual distance of a node to its nearest neighbour."""
    if len(places) < 2:
        return 1.0
    far = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(far, np.inf)
    return float(np.median(far.min(axis=1)))
