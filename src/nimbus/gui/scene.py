"""Part of a field as it is drawn, on which nodes are coloured without another look at cells."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter

from nimbus._types import BoolArray, FloatArray, IntArray

FILL_ALPHA = 110
"""Of 255, inside of cells: the channel shows through; their outlines are opaque."""

MIN_CELL_PIXELS = 6.0
"""Cells that are drawn smaller than this across are filled opaquely: nothing shows through."""

Colors = NDArray[np.uint32]
"""Colour of nothing, then of node 0, 1, ...: ``0xAABBGGRR``, 0 is transparent."""


class Scene(ABC):
    """What is drawn of a field.

    Parameters
    ----------
    values
        Brightness of each drawn pixel, float32 ``(y, x)``.
    extent
        Left, right, top and bottom in units of the coordinate system; y points down.
    """

    values: NDArray[np.float32]
    extent: tuple[float, float, float, float]

    @abstractmethod
    def paint(self, colors: Colors) -> Colors:
        """Colour of each drawn pixel by the node of its cell, ``(y, x)``."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelScene(Scene):
    """Cells with an outline.

    Parameters
    ----------
    values, extent
        As in :class:`Scene`.
    node
        Node of the cell at each drawn pixel, -1 for none.
    edge
        Whether a pixel beside it is of another cell.
    opaque
        Whether cells are too small for an outline.
    """

    values: NDArray[np.float32]
    extent: tuple[float, float, float, float]
    node: NDArray[np.int32]
    edge: BoolArray
    opaque: bool

    def paint(self, colors: Colors) -> Colors:
        """Outlines opaque, cells translucent."""
        seen = colors[self.node + 1]
        if self.opaque:
            return seen
        inner = (colors & np.uint32(0xFFFFFF)) | np.uint32(FILL_ALPHA << 24)
        inner[colors == 0] = 0
        return np.where(self.edge, seen, inner[self.node + 1])


@dataclass(frozen=True, slots=True, eq=False)
class PointScene(Scene):
    """Cells as points.

    Parameters
    ----------
    values, extent
        As in :class:`Scene`.
    pixel
        Drawn pixel of each cell that is seen, as a flat index.
    node
        Its node.
    radius
        Pixels that a point reaches to each side.
    """

    values: NDArray[np.float32]
    extent: tuple[float, float, float, float]
    pixel: NDArray[np.int64]
    node: NDArray[np.int32]
    radius: int

    def paint(self, colors: Colors) -> Colors:
        """Coloured points; later cells cover earlier ones."""
        own = colors[self.node + 1]
        seen = np.zeros(self.values.shape, dtype=np.uint32)
        seen.ravel()[self.pixel[own != 0]] = own[own != 0]
        for axis in (0, 1):
            seen = _widened(seen, self.radius, axis)
        return seen


def label_scene(
    values: NDArray[np.float32],
    cells: IntArray,
    nodes: NDArray[np.int32],
    extent: tuple[float, float, float, float],
) -> LabelScene:
    """Scene of drawn pixels, their cell ids (0 is none) and the node of each of these pixels.

    Examples
    --------
    >>> cells = np.array([[4, 4, 0]])
    >>> values, nodes = np.zeros((1, 3), np.float32), np.array([[1, 1, -1]])
    >>> scene = label_scene(values, cells, nodes, (0, 3, 0, 1))
    >>> scene.edge
    array([[False,  True, False]])
    """
    beside = np.zeros(cells.shape, dtype=bool)
    across, down = cells[:, 1:] != cells[:, :-1], cells[1:] != cells[:-1]
    beside[:, 1:] |= across
    beside[:, :-1] |= across
    beside[1:] |= down
    beside[:-1] |= down
    inside = cells != 0
    share = float((beside & inside).sum()) / max(1.0, float(inside.sum()))
    # A square of n pixels has 4 n of n x n at its edge.
    return LabelScene(values, extent, nodes, beside & inside, share > 4 / MIN_CELL_PIXELS)


def point_scene(
    places: FloatArray,
    nodes: NDArray[np.int32],
    window: tuple[float, float, float, float],
    *,
    max_pixels: int,
) -> PointScene:
    """Scene of cells (x, y) within a window (left, right, top, bottom); bright where many are."""
    left, right, top, bottom = window
    side = max(right - left, bottom - top) / max_pixels
    shape = (max(1, round((bottom - top) / side)), max(1, round((right - left) / side)))
    column = np.floor((places[:, 0] - left) / side).astype(np.int64)
    row = np.floor((places[:, 1] - top) / side).astype(np.int64)
    seen = (column >= 0) & (column < shape[1]) & (row >= 0) & (row < shape[0])
    pixel = row[seen] * shape[1] + column[seen]
    density = np.bincount(pixel, minlength=shape[0] * shape[1]).reshape(shape)
    share = np.sqrt(shape[0] * shape[1] / max(1, pixel.size))
    radius = int(np.clip(share / 4, 0, 4))
    extent = (left, left + shape[1] * side, top, top + shape[0] * side)
    bright = maximum_filter(np.log1p(density).astype(np.float32), size=2 * radius + 1)
    return PointScene(bright, extent, pixel, nodes[seen], radius)


def brightness(values: FloatArray) -> tuple[float, float]:
    """Values that are drawn black and white: all but the darkest 1 % and the brightest 0.2 %.

    Examples
    --------
    >>> brightness(np.zeros((2, 2))), brightness(np.full((2, 2), np.nan))
    ((0.0, 1.0), (0.0, 1.0))
    """
    known = values[np.isfinite(values)]
    if known.size == 0:
        return 0.0, 1.0
    low, high = (float(v) for v in np.quantile(known, (0.01, 0.998)))
    return (low, high) if low < high else (low, low + 1.0)


def packed(color: str, alpha: int = 255) -> int:
    """A colour such as ``"#1f77b4"`` as ``0xAABBGGRR``.

    Examples
    --------
    >>> hex(packed("#1f77b4"))
    '0xffb4771f'
    """
    red, green, blue = (int(color[k : k + 2], 16) for k in (1, 3, 5))
    return alpha << 24 | blue << 16 | green << 8 | red


def _widened(seen: Colors, radius: int, axis: int) -> Colors:
    """Each coloured pixel taken along to both sides, where nothing is yet."""
    out = seen
    for step in range(1, radius + 1):
        for sign in (-1, 1):
            moved = np.roll(seen, sign * step, axis=axis)
            edge = [slice(None), slice(None)]
            edge[axis] = slice(0, step) if sign > 0 else slice(-step, None)
            moved[tuple(edge)] = 0
            out = np.where(out == 0, moved, out)
    return out
