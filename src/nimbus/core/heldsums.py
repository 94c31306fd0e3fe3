"""Sums of the tiles of a field: held in few bytes until the last is there, then joined."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nimbus._types import AnyArray, IntArray

from .cellsums import CellSums
from .slabs import Slabs

Totals: TypeAlias = dict[str, NDArray[np.float64]]
"""By name, sums of some cells."""

LEAN = (np.uint16, np.uint32, np.float32)
"""Types of fewer bytes than float64. Sums of the bright pixels of a cell need more than float32."""

SMALLEST_BLOCK, MOST_BLOCKS = 2**16, 32
"""Cells that are joined at once: so many at least, and at most so many times."""


@dataclass(slots=True, eq=False)
class HeldSums:
    """Sums of the tiles of one field.

    Not frozen: it grows tile by tile.

    Examples
    --------
    >>> held = HeldSums()
    >>> held.add(CellSums(np.array([1]), {"area": np.array([2.0])}))
    >>> held.add(CellSums(np.array([1, 7]), {"area": np.array([3.0, 1.0])}))
    >>> both = held.joined()
    >>> both.ids, both.finished(("area",), lambda sums: (sums["area"],))
    (array([1, 7]), [array([5., 1.])])
    """

    parts: list[IntArray] = field(default_factory=list)
    sums: dict[str, list[AnyArray]] = field(default_factory=dict)
    _slabs: dict[str, Slabs] = field(default_factory=dict)

    def add(self, tile: CellSums) -> None:
        """Keep a copy of the sums of one more tile, which has the names of the others."""
        self.parts.append(self._kept("", lean_ids(tile.ids)))
        for name, values in tile.sums.items():
            self.sums.setdefault(name, []).append(self._kept(name, lean(values)))

    def joined(self) -> JoinedSums:
        """All that was added, of which there must be something; nothing is left here."""
        joined = JoinedSums.of(self.parts, self.sums)
        self.parts, self.sums, self._slabs = [], {}, {}
        return joined

    def _kept(self, name: str, values: AnyArray) -> AnyArray:
        return self._slabs.setdefault(name, Slabs()).kept(values)


@dataclass(slots=True, eq=False)
class JoinedSums:
    """Sums of parts that are added up name by name, some cells at a time.

    Not frozen: the sums of a name are let go of when they were asked for, so that they and what
    becomes of them are not held together.

    Parameters
    ----------
    ids
        Ids of all parts, ascending.
    parts
        Ids of each part, ascending.
    sums
        By name, those of each part.
    bounds
        Where blocks of `ids` begin, and the end.
    edges
        The same in the ids of each part, ``(part, bound)``.
    """

    ids: NDArray[np.int64]
    parts: Sequence[IntArray]
    sums: dict[str, list[AnyArray]]
    bounds: NDArray[np.intp]
    edges: NDArray[np.int32]

    @classmethod
    def of(cls, parts: Sequence[IntArray], sums: dict[str, list[AnyArray]]) -> JoinedSums:
        """The ids of all parts, sorted once."""
        every = np.concatenate(parts)
        every.sort()
        distinct = np.ones(every.size, dtype=bool)
        distinct[1:] = every[1:] != every[:-1]
        ids = every[distinct].astype(np.int64)
        step = max(SMALLEST_BLOCK, -(-ids.size // MOST_BLOCKS))
        bounds = np.append(np.arange(0, ids.size, step), ids.size)
        edges = np.empty((len(parts), bounds.size), dtype=np.int32)
        for row, part in zip(edges, parts, strict=True):
            row[:-1], row[-1] = np.searchsorted(part, ids[bounds[:-1]]), part.size
        return cls(ids, parts, sums, bounds, edges)

    def finished(
        self,
        names: Sequence[str],
        of: Callable[[Totals], tuple[AnyArray, ...]],
        *,
        again: Sequence[str] = (),
    ) -> list[AnyArray]:
        """What `of` makes of the sums of `names`, of all cells.

        Parameters
        ----------
        names
            Each can be asked for once, but for those of `again`.
        of
            From the sums of some cells to arrays with a row for each of them.
        again
            Names that are asked for again: their sums are kept.
        """
        out: list[AnyArray] = []
        sums = {name: self.sums[name] if name in again else self.sums.pop(name) for name in names}
        for rows, totals in self._blocks(sums):
            made = of(totals)
            out = out or [np.empty((self.ids.size, *v.shape[1:]), v.dtype) for v in made]
            for whole, values in zip(out, made, strict=True):
                whole[rows] = values
        return out

    def _blocks(self, sums: dict[str, list[AnyArray]]) -> Iterator[tuple[slice, Totals]]:
        """Sums of some cells after the other, each cell in the order of the parts.

        The order is part of the contract: the same parts in the same order give the same bits,
        whichever task finished first.
        """
        for at, (first, last) in enumerate(pairwise(self.bounds)):
            own = self.ids[first:last]
            totals = {name: np.zeros((own.size, *v[0].shape[1:])) for name, v in sums.items()}
            for part in np.flatnonzero(self.edges[:, at] < self.edges[:, at + 1]).tolist():
                some = slice(*self.edges[part, at : at + 2])
                rows = np.searchsorted(own, self.parts[part][some])
                for name, total in totals.items():
                    # Within a part an id occurs once: indexing adds.
                    total[rows] += sums[name][part][some]
            yield slice(first, last), totals


def lean(values: NDArray[np.float64]) -> AnyArray:
    """`values` in the fewest bytes in which none changes: counts, and sums of whole numbers.

    Examples
    --------
    >>> lean(np.array([3.0, 700.0])).dtype, lean(np.array([3.0, 2.0**31 + 1])).dtype
    (dtype('uint16'), dtype('uint32'))
    >>> lean(np.array([3.0, 0.5])).dtype, lean(np.array([3.0, 0.1])).dtype
    (dtype('float32'), dtype('float64'))
    """
    for kind in LEAN:
        with np.errstate(over="ignore", invalid="ignore"):
            small = values.astype(kind)
        if np.array_equal(small, values):
            return small
    return values


def lean_ids(ids: NDArray[np.int64]) -> IntArray:
    """`ids`, ascending, in half the bytes where they fit."""
    fit = ids.size == 0 or ids[-1] <= np.iinfo(np.int32).max
    return ids.astype(np.int32) if fit else ids
