"""Sums per cell that add up over tiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nimbus._types import IntArray


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
    >>> left = CellSums(np.array([1]), {"area": np.array([2.0])})
    >>> right = CellSums(np.array([1, 7]), {"area": np.array([3.0, 1.0])})
    >>> both = added([left, right])
    >>> both.ids, both.sums["area"]
    (array([1, 7]), array([5., 1.]))
    """

    ids: NDArray[np.int64]
    sums: Mapping[str, NDArray[np.float64]]


@dataclass(frozen=True, slots=True, eq=False)
class JoinedSums:
    """Parts that are added up name by name, so that only one sum of all cells need be held.

    Parameters
    ----------
    parts
        At least one; all have the same names.
    ids
        Ids of all parts, ascending.
    rows
        For each part the places of its ids among all.
    """

    parts: Sequence[CellSums]
    ids: NDArray[np.int64]
    rows: Sequence[NDArray[np.intp]]

    @classmethod
    def of(cls, parts: Sequence[CellSums]) -> JoinedSums:
        """The ids of all parts, sorted once."""
        ids, inverse = np.unique(np.concatenate([p.ids for p in parts]), return_inverse=True)
        ends = np.cumsum([part.ids.size for part in parts])
        return cls(parts, ids, np.split(inverse, ends[:-1]))

    def total(self, name: str) -> NDArray[np.float64]:
        """Sum of that name, cell by cell, each cell in the order of the parts.

        The order is part of the contract: the same parts in the same order give the same bits,
        whichever task finished first.
        """
        total = np.zeros((self.ids.size, *self.parts[0].sums[name].shape[1:]))
        for part, rows in zip(self.parts, self.rows, strict=True):
            total[rows] += part.sums[name]  # within a part an id occurs once: indexing adds
        return total


def added(parts: Sequence[CellSums]) -> CellSums:
    """Sum of `parts`, cell by cell, each cell in the order of the parts."""
    if len(parts) == 1:
        return parts[0]
    joined = JoinedSums.of(parts)
    return CellSums(joined.ids, {name: joined.total(name) for name in parts[0].sums})


def compact_ids(labels: IntArray) -> tuple[NDArray[np.int64], NDArray[np.intp]]:
    """Distinct ids without 0, and for each pixel the position of its id, -1 on the background.

    Cost grows with the number of pixels, not with the largest id.

    Examples
    --------
    >>> ids, position = compact_ids(np.array([[0, 9], [9, 4]]))
    >>> ids, position
    (array([4, 9]), array([-1,  1,  1,  0]))
    """
    flat = labels.ravel()
    if flat.size == 0:
        return np.zeros(0, dtype=np.int64), np.zeros(0, dtype=np.intp)
    low, high = int(flat.min()), int(flat.max())
    if high == low == 0:  # most of a slide: nothing is made that has the size of the tile
        return np.zeros(0, dtype=np.int64), np.broadcast_to(np.intp(-1), flat.shape)
    if high - low > 4 * flat.size:  # sparse ids: a table of that length would not pay
        distinct, position = np.unique(flat, return_inverse=True)
        background = int(distinct[0] == 0)
        return distinct[background:].astype(np.int64), position.ravel() - background
    offset = flat.astype(np.int64) - low
    present = np.zeros(high - low + 1, dtype=bool)
    present[offset] = True
    if low == 0:
        present[0] = False
    table = np.where(present, np.cumsum(present) - 1, -1)
    return np.flatnonzero(present) + low, table[offset]


def ratio(total: NDArray[np.float64], count: NDArray[np.float64]) -> NDArray[np.float64]:
    """`total` over `count`; NaN where nothing was counted."""
    out: NDArray[np.float64] = np.divide(
        total, count, out=np.full(total.shape, np.nan), where=count > 0
    )
    return out
