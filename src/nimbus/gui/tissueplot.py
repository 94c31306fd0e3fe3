"""The tissue: a channel in grey, cells of the selected nodes in the colours of metaclusters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from bokeh.events import RangesUpdate, Tap
from bokeh.models import (
    ColumnDataSource,
    LinearColorMapper,
    PanTool,
    Range1d,
    ResetTool,
    WheelZoomTool,
)
from bokeh.plotting import figure

from .look import FONT, GREYS
from .scene import Colors, Scene, brightness
from .tissue import Window

TISSUE_SIDE = 470
"""Pixels of the frame."""

MAX_PIXELS = 700
"""Pixels along a side that are read and sent."""


class TissuePlot:
    """A field, its channel, and coloured cells.

    Parameters
    ----------
    on_place
        Called with the place (x, y) that was clicked.
    on_window
        Called when another part is looked at.
    """

    def __init__(
        self, *, on_place: Callable[[float, float], None], on_window: Callable[[], None]
    ) -> None:
        self.scene: Scene | None = None
        self._on_place, self._on_window = on_place, on_window
        self._placing = False
        empty: dict[str, list[Any]] = {key: [] for key in ("image", "x", "y", "dw", "dh")}
        self.pixels, self.cells = ColumnDataSource(empty), ColumnDataSource(dict(empty))
        self.mapper = LinearColorMapper(palette=GREYS, low=0, high=1, nan_color="#000000")
        self.root = self._figure()

    @property
    def window(self) -> Window:
        """What is looked at now."""
        x, y = self.root.x_range, self.root.y_range
        return float(x.start), float(x.end), float(y.end), float(y.start)

    def look_at(self, whole: Window) -> None:
        """Show a field as a whole, in the middle of the frame."""
        left, right, top, bottom = whole
        half = 0.5 * max(right - left, bottom - top)
        x, y = (left + right) / 2, (top + bottom) / 2
        self._placing = True
        self.root.x_range.update(
            start=x - half, end=x + half, reset_start=x - half, reset_end=x + half
        )
        self.root.y_range.update(
            start=y + half, end=y - half, reset_start=y + half, reset_end=y - half
        )
        self._placing = False

    def show(self, scene: Scene, colors: Colors, *, contrast: bool) -> None:
        """Show a part of a field; with `contrast` its brightness is taken from this part."""
        self.scene = scene
        if contrast:
            self.mapper.low, self.mapper.high = brightness(scene.values)
        self.pixels.data = {"image": [scene.values], **_box(scene)}
        self.paint(colors)

    def paint(self, colors: Colors) -> None:
        """Colour the cells."""
        if self.scene is not None:
            self.cells.data = {"image": [self.scene.paint(colors)], **_box(self.scene)}

    def clear(self) -> None:
        """Show nothing."""
        self.scene = None
        for source in (self.pixels, self.cells):
            source.data = {key: [] for key in source.data}

    def _moved(self, _event: Any) -> None:
        if not self._placing:
            self._on_window()

    def _tapped(self, event: Any) -> None:
        if event.x is not None:
            self._on_place(float(event.x), float(event.y))

    def _figure(self) -> Any:
        pan, zoom = PanTool(), WheelZoomTool()
        made = figure(
            name="tissue-plot",
            x_range=Range1d(0, 1),
            y_range=Range1d(1, 0),
            frame_width=TISSUE_SIDE,
            frame_height=TISSUE_SIDE,
            tools=[pan, zoom, ResetTool()],
            toolbar_location="below",
            background_fill_color="#000000",
            border_fill_color=None,
            outline_line_color=None,
            min_border=0,
        )
        made.toolbar.active_drag, made.toolbar.active_scroll = pan, zoom
        made.toolbar.logo = None
        made.grid.visible = made.axis.visible = False
        made.axis.major_label_text_font = FONT
        box = {"x": "x", "y": "y", "dw": "dw", "dh": "dh"}
        made.image(image="image", **box, color_mapper=self.mapper, source=self.pixels)
        made.image_rgba(image="image", **box, source=self.cells)
        made.on_event(Tap, self._tapped)
        made.on_event(RangesUpdate, self._moved)
        return made


def colors_of(node_colors: list[int], shown: np.ndarray[Any, Any]) -> Colors:
    """Colours as a scene takes them, transparent where a node is not shown.

    Examples
    --------
    >>> colors_of([0xFF0000FF, 0xFF00FF00], np.array([True, False])).tolist()
    [0, 4278190335, 0]
    """
    packed = np.array([0, *node_colors], dtype=np.uint32)
    packed[1:][~shown] = 0
    return packed


def _box(scene: Scene) -> dict[str, list[float]]:
    left, right, top, bottom = scene.extent
    return {"x": [left], "y": [top], "dw": [right - left], "dh": [bottom - top]}
