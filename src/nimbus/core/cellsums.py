"""Sums per cell that add up over tiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nimbus._types import IntArray

from .bands import bands


@dataclass(frozen=True, slots=True, eq=False)
class CellSums:
    """Sums over the pixels of each cell of a tile, a field or a part of either.

    Parameters
    ----------
    ids
        Cell ids, ascending, without 0; shape ``(n,)``.
    sums
        By name, sums of each cell; each of shape ``(n, ...)``.

    Examples
    --------
    >>> sums = CellSums(np.array([4, 7]), {"area": np.array([3.0, 1.0])})
    >>> sums.sums["area"][sums.ids == 7]
    array([1.])
    """

    ids: NDArray[np.int64]
    sums: Mapping[str, NDArray[np.float64]]


def compact_ids(labels: IntArray) -> tuple[NDArray[np.int64], NDArray[np.int32]]:
    """Distinct ids without 0, and for each pixel the position of its id, -1 on the background.

    Cost grows with the number of pixels, not with the largest id. There are fewer than 2**31 ids.

    Examples
    --------
    >>> ids, position = compact_ids(np.array([[0, 9], [9, 4]]))
    >>> ids.tolist(), position.tolist()
    ([4, 9], [-1, 1, 1, 0])
    """
    flat = labels.ravel()
    if flat.size == 0:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.int32)
    low, high = int(flat.min()), int(flat.max())
    if high == low == 0:  # most of a slide: nothing is made that has the size of the tile
        return np.zeros(0, dtype=np.int64), np.broadcast_to(np.int32(-1), flat.shape)
    if high - low > 4 * flat.size:  # sparse ids: a table of that length would not pay
        distinct, position = np.unique(flat, return_inverse=True)
        background = int(distinct[0] == 0)
        shifted = (position.ravel() - background).astype(np.int32)
        return distinct[background:].astype(np.int64), shifted
    present = np.zeros(high - low + 1, dtype=bool)
    for part in bands(flat.size, 1):
        present[flat[part].astype(np.int64) - low] = True
    if low == 0:
        present[0] = False
    table = np.where(present, np.cumsum(present) - 1, -1).astype(np.int32)
    out = np.empty(flat.size, dtype=np.int32)
    for part in bands(flat.size, 1):
        out[part] = table[flat[part].astype(np.int64) - low]
    return np.flatnonzero(present) + low, out


def ratio(total: NDArray[np.float64], count: NDArray[np.float64]) -> NDArray[np.float64]:
    """`total` over `count`; NaN where nothing was counted."""
    out: NDArray[np.float64] = np.divide(
        total, count, out=np.full(total.shape, np.nan), where=count > 0
    )
    return out
