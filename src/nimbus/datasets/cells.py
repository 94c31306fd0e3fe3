"""Cells around their centres: each pixel goes to the ellipse it lies deepest in."""

from __future__ import annotations

from dataclasses import dataclass

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
    y, x = np.mgrid[: shape[0], : shape[1]].astype(np.float32)
    points = np.stack([y + warp[0], x + warp[1]], axis=-1).reshape(-1, 2)
    reach = float((ellipses.radius * np.sqrt(ellipses.elongation)).max())
    k = min(NEIGHBOURS, len(centre))
    distance, near = cKDTree(centre).query(points, k=k, distance_upper_bound=reach)
    near = near.reshape(len(points), k)
    some = np.flatnonzero(np.isfinite(distance.reshape(len(points), k)[:, 0]))
    candidates = np.minimum(near[some], len(centre) - 1)
    depth = _depth(points[some][:, None], candidates, centre, ellipses)
    depth[near[some] == len(centre)] = np.inf
    best = np.argmin(depth, axis=1)
    winner = np.take_along_axis(candidates, best[:, None], axis=1)[:, 0]
    inside = np.take_along_axis(depth, best[:, None], axis=1)[:, 0] <= 1
    cells.ravel()[some[inside]] = winner[inside] + 1
    shifted = centre + ellipses.offset * ellipses.radius[:, None]
    deep = _depth(points[some], winner, shifted, ellipses) <= ellipses.nucleus[winner]
    nuclei.ravel()[some[inside & deep]] = winner[inside & deep] + 1
    return cells, nuclei


def _depth(
    points: FloatArray, which: IntArray, centre: FloatArray, ellipses: Ellipses
) -> FloatArray:
    """Distance of each point from the middle of an ellipse: 0 in the middle, 1 at its edge."""
    delta = points - centre[which]
    cos, sin = np.cos(ellipses.angle)[which], np.sin(ellipses.angle)[which]
    stretch = np.sqrt(ellipses.elongation)[which]
    along = (delta[..., 1] * cos + delta[..., 0] * sin) / stretch
    across = (delta[..., 0] * cos - delta[..., 1] * sin) * stretch
    return np.asarray(np.hypot(along, across) / ellipses.radius[which])


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
