"""A frame on a field that shows one channel, and can be moved and zoomed."""

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
from numpy.typing import NDArray

from nimbus._types import AnyArray

from .bare import bare_figure
from .style import GREYS
from .tissue import Window

_COLUMNS = ("image", "x", "y", "dw", "dh")


class Picture:
    """An image that lies somewhere, or none.

    Examples
    --------
    >>> one = Picture()
    >>> one.empty
    True
    >>> one.show(np.zeros((5, 2), np.float32), (1, 3, 0, 5))
    >>> [one.source.data[key] for key in ("x", "y", "dw", "dh")]
    [[1], [0], [2], [5]]
    """

    def __init__(self) -> None:
        self.source = ColumnDataSource()
        self.clear()

    @property
    def drawn_by(self) -> dict[str, Any]:
        """What a figure's ``image`` or ``image_rgba`` is given."""
        return {"source": self.source, **{name: name for name in _COLUMNS}}

    @property
    def empty(self) -> bool:
        """Whether nothing is shown."""
        return len(self.source.data["image"]) == 0

    def show(self, values: AnyArray, extent: Window) -> None:
        """Show values or packed colours, ``(y, x)``, at a place."""
        left, right, top, bottom = extent
        own = {"x": [left], "y": [top], "dw": [right - left], "dh": [bottom - top]}
        self.source.data = {"image": [values], **own}

    def clear(self) -> None:
        """Show nothing."""
        self.source.data = {key: [] for key in _COLUMNS}


class Viewport:
    """A square frame; y points down.

    Parameters
    ----------
    name
        Of the figure.
    side
        Pixels of the frame.
    on_place
        Called with the place (x, y) that was clicked.
    on_window
        Called when another part is looked at, by a person.
    """

    def __init__(
        self,
        name: str,
        *,
        side: int,
        on_place: Callable[[float, float], None],
        on_window: Callable[[], None],
    ) -> None:
        self._on_place, self._on_window = on_place, on_window
        self._placing = False
        self.picture = Picture()
        self.mapper = LinearColorMapper(palette=GREYS, low=0, high=1, nan_color="#000000")
        self.root = self._figure(name, side)

    @property
    def window(self) -> Window:
        """What is looked at now."""
        x, y = self.root.x_range, self.root.y_range
        return float(x.start), float(x.end), float(y.end), float(y.start)

    def look_at(self, part: Window) -> None:
        """Show a part of a field, in the middle of the frame."""
        left, right, top, bottom = part
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

    def show(self, values: NDArray[np.float32], extent: Window) -> None:
        """Show brightness, ``(y, x)``, at a place."""
        self.picture.show(values, extent)

    def clear(self) -> None:
        """Show nothing."""
        self.picture.clear()

    def _moved(self, _event: Any) -> None:
        if not self._placing:
            self._on_window()

    def _tapped(self, event: Any) -> None:
        if event.x is not None:
            self._on_place(float(event.x), float(event.y))

    def _figure(self, name: str, side: int) -> Any:
        pan, zoom = PanTool(), WheelZoomTool()
        made = bare_figure(
            name=name,
            x_range=Range1d(0, 1),
            y_range=Range1d(1, 0),
            frame_width=side,
            frame_height=side,
            tools=[pan, zoom, ResetTool()],
            toolbar_location="below",
            background_fill_color="#000000",
            min_border=0,
        )
        made.toolbar.active_drag, made.toolbar.active_scroll = pan, zoom
        made.axis.visible = False
        made.image(**self.picture.drawn_by, color_mapper=self.mapper)
        made.on_event(Tap, self._tapped)
        made.on_event(RangesUpdate, self._moved)
        return made
