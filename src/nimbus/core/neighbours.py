"""Sums over the neighbours of each cell."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.spatial import cKDTree

from nimbus._types import FloatArray

_BLOCK = 4096
"""Cells whose neighbours are listed at once."""


def sums_within(points: FloatArray, values: FloatArray, *, radius: float) -> NDArray[np.float64]:
    """Sum of values over the other points within a circle around each point.

    Parameters
    ----------
    points
        Shape ``(points, 2)``.
    values
        Shape ``(points, quantities)``.
    radius
        Of the circle, in the unit of `points`; points on it count.

    Returns
    -------
    Shape ``(points, quantities)``; 0 where there is no other point, NaN where the place is NaN.

    Examples
    --------
    >>> points = np.array([[0.0, 0.0], [3.0, 4.0], [9.0, 0.0]])
    >>> sums_within(points, np.array([[1.0], [10.0], [100.0]]), radius=5.0)
    array([[10.],
           [ 1.],
           [ 0.]])
    """
    sums = np.full(values.shape, np.nan)
    placed = np.flatnonzero(np.isfinite(points).all(axis=1))
    if not placed.size:
        return sums
    there, own = points[placed], values[placed].astype(np.float64)
    tree = cKDTree(there)
    for start in range(0, len(there), _BLOCK):
        lists = tree.query_ball_point(there[start : start + _BLOCK], radius)
        ends = np.cumsum([0, *map(len, lists)])
        near = csr_array(
            (np.ones(ends[-1]), np.concatenate(lists).astype(np.int64), ends),
            shape=(len(lists), len(there)),
        )
        block = slice(start, start + len(lists))
        sums[placed[block]] = near @ own - own[block]  # a point is no neighbour of its own
    return sums
