"""Cells around their centres: each pixel goes to the ellipse it lies deepest in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial import cKDTree

from nimbus._types import FloatArray, IntArray

from ._noise import smooth_noise

NEIGHBOURS = 6
"""A pixel belongs to one of this many nearest centres."""


@dataclass(frozen=True, slots=True)
class Ellipses:
    """Outlines that cells have where neighbours leave them room.

    Parameters
    ----------
    centre
        y, x in pixels, ``(n, 2)``.
    radius
        Pixels.
    elongation
        Ratio of the axes.
    angle
        Direction of the long axis, radians.
    nucleus
        Size of the nucleus relative to the cell.
    offset
        How far the nucleus lies from the middle, in radii, ``(n, 2)``.
    """

    centre: FloatArray
    radius: FloatArray
    elongation: FloatArray
    angle: FloatArray
    nucleus: FloatArray
    offset: FloatArray


def grow(
    shape: tuple[int, int],
    ellipses: Ellipses,
    warp_px: float,
    rng: np.random.Generator,
) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Cells and nuclei, ids from 1, ``(y, x)``: pixels go to the ellipse they lie deepest in."""
    centre = ellipses.centre
    cells = np.zeros(shape, dtype=np.int32)
    nuclei = np.zeros(shape, dtype=np.int32)
    if len(centre) == 0:
        return cells, nuclei
    warp = [smooth_noise(shape, 4 * max(warp_px, 1), rng) * warp_px for _ in range(2)]
    y = np.arange(shape[0], dtype=np.float32)[:, None] + warp[0]
    x = np.arange(shape[1], dtype=np.float32) + warp[1]
    best = np.full(shape, 1.0, dtype=np.float32)
    for near in _nearest(y, x, ellipses):
        depth = _squared_depth(y, x, near, ellipses)
        deeper = depth < best
        best[deeper] = depth[deeper]
        cells[deeper] = near[deeper] + 1
    inside = cells > 0
    winner = cells[inside] - 1
    shifted = replace(ellipses, centre=centre + ellipses.offset * ellipses.radius[:, None])
    deep = _squared_depth(y[inside], x[inside], winner, shifted)
    nuclei[inside] = np.where(deep <= ellipses.nucleus[winner] ** 2, winner + 1, 0)
    return cells, nuclei


def _nearest(y: FloatArray, x: FloatArray, ellipses: Ellipses) -> Iterator[IntArray]:
    """The nearest centre of each pixel, the second nearest, and so on.

    Found for every second pixel and used for its neighbours too.
    """
    height, width = y.shape
    k = min(NEIGHBOURS, len(ellipses.centre))
    points = np.stack([y[::2, ::2].ravel(), x[::2, ::2].ravel()], axis=-1)
    _, near = cKDTree(ellipses.centre).query(points, k=list(range(1, k + 1)))
    half = ((height + 1) // 2, (width + 1) // 2)
    for column in near.T:
        yield column.reshape(half).repeat(2, axis=0).repeat(2, axis=1)[:height, :width]


def _squared_depth(
    y: FloatArray, x: FloatArray, which: IntArray, ellipses: Ellipses
) -> NDArray[np.float32]:
    """Squared distance of each point from the middle of an ellipse: 1 at its edge."""
    cos, sin, stretch = np.cos(ellipses.angle), np.sin(ellipses.angle), ellipses.elongation**0.5
    along = np.stack([sin, cos]) / stretch / ellipses.radius
    across = np.stack([cos, -sin]) * stretch / ellipses.radius
    out = np.zeros(which.shape, dtype=np.float32)
    for axis in (along, across):
        start = (axis * ellipses.centre.T).sum(axis=0).astype(np.float32)
        a, b = axis.astype(np.float32)
        out += (a[which] * y + b[which] * x - start[which]) ** 2
    return out


def consecutive(
    cells: NDArray[np.int32], nuclei: NDArray[np.int32], n: int
) -> tuple[NDArray[np.int32], NDArray[np.int32], IntArray]:
    """Ids without gaps: a cell needs a nucleus; also the old index of each that is left."""
    count = np.bincount(nuclei.ravel(), minlength=n + 1)
    kept = np.flatnonzero(count[1:] > 0)
    new = np.zeros(n + 1, dtype=np.int32)
    new[kept + 1] = np.arange(1, len(kept) + 1)
    return new[cells], new[nuclei], kept


def edge_distance(cells: IntArray) -> FloatArray:
    """Distance in pixels from each pixel to the border of the nearest cell."""
    border = np.zeros(cells.shape, dtype=bool)
    for axis in (0, 1):
        changed = np.diff(cells, axis=axis) != 0
        first = [slice(None)] * 2
        second = [slice(None)] * 2
        first[axis], second[axis] = slice(None, -1), slice(1, None)
        border[tuple(first)] |= changed
        border[tuple(second)] |= changed
    if not border.any():
        return np.full(cells.shape, float(max(cells.shape)))
    return np.asarray(ndimage.distance_transform_edt(~border))
