"""The tissue: a channel in grey, cells of the selected nodes in the colours of metaclusters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .scene import Colors, Scene, brightness
from .tissue import Window
from .viewport import Picture, Viewport

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
        self._view = Viewport(
            "tissue-plot", side=TISSUE_SIDE, on_place=on_place, on_window=on_window
        )
        self._cells = Picture()
        self.root = self._view.root
        self.root.image_rgba(**self._cells.drawn_by)

    @property
    def window(self) -> Window:
        """What is looked at now."""
        return self._view.window

    def look_at(self, whole: Window) -> None:
        """Show a field as a whole, in the middle of the frame."""
        self._view.look_at(whole)

    def show(self, scene: Scene, colors: Colors, *, contrast: bool) -> None:
        """Show a part of a field; with `contrast` its brightness is taken from this part."""
        self.scene = scene
        if contrast:
            low, high = brightness(scene.values)
            self._view.mapper.update(low=low, high=high)
        self._view.show(scene.values, scene.extent)
        self.paint(colors)

    def paint(self, colors: Colors) -> None:
        """Colour the cells."""
        if self.scene is not None:
            self._cells.show(self.scene.paint(colors), self.scene.extent)

    def clear(self) -> None:
        """Show nothing."""
        self.scene = None
        self._view.clear()
        self._cells.clear()


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
