"""Which cells are judged first."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from nimbus._types import FloatArray, IntArray

Order: TypeAlias = Literal["uncertain", "disagreement", "random"]
"""What comes first: scores near one half, ranks by score and mean that differ, or chance."""

ORDERS: tuple[Order, ...] = ("uncertain", "disagreement", "random")

HALF = 0.5
"""The score that says least."""


def keenness(
    order: Order, scores: FloatArray, intensities: FloatArray, rng: np.random.Generator
) -> NDArray[np.float64]:
    """How much a judgement of each cell is wanted, ``(cell,)``; NaN where a value is unknown.

    Parameters
    ----------
    order
        What is wanted.
    scores, intensities
        Of each cell; only those that the order looks at are used.
    rng
        Of the order by chance.

    Examples
    --------
    >>> scores, means = np.array([0.1, 0.5, 0.9]), np.array([9.0, 1.0, 2.0])
    >>> rng = np.random.default_rng(0)
    >>> keenness("uncertain", scores, means, rng).round(1)
    array([-0.4, -0. , -0.4])
    >>> keenness("disagreement", scores, means, rng).round(2)
    array([0.67, 0.33, 0.33])
    """
    if order == "random":
        return rng.random(scores.size)
    if order == "uncertain":
        return -np.abs(scores.astype(np.float64) - HALF)
    known = np.isfinite(scores) & np.isfinite(intensities)
    found = np.full(scores.size, np.nan)
    ranks = [rankdata(values[known]) for values in (scores, intensities)]
    found[known] = np.abs(ranks[0] - ranks[1]) / max(1, int(known.sum()))
    return found


def interleaved(
    wanted: FloatArray, field_of: IntArray, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Cells by how much they are wanted, taking the fields in turn.

    Parameters
    ----------
    wanted
        Of each cell; NaN leaves it out.
    field_of
        Its field; -1 leaves it out.
    rng
        Parts equals, and orders the fields within a turn.

    Returns
    -------
    Positions of the cells. Each turn has the next cell of every field that has one left.

    Examples
    --------
    >>> wanted = np.array([0.9, 0.8, 0.7, 0.1, np.nan])
    >>> interleaved(wanted, np.array([0, 0, 0, 1, 1]), np.random.default_rng(1)).tolist()
    [0, 3, 1, 2]
    """
    cells = np.flatnonzero(np.isfinite(wanted) & (field_of >= 0))
    own = field_of[cells]
    chance = rng.random(cells.size)
    within = np.lexsort((chance, -wanted[cells], own))
    sizes = np.bincount(own, minlength=1)
    starts = np.cumsum(sizes) - sizes
    turn = np.empty(cells.size, dtype=np.int64)
    turn[within] = np.arange(cells.size) - starts[own[within]]
    return cells[np.lexsort((rng.random(cells.size), turn))]


@dataclass(frozen=True, slots=True, eq=False)
class Queues:
    """The queue of each marker, made when it is looked at first.

    Parameters
    ----------
    markers
        In the order in which they are offered.
    field_of
        Field of each cell whose field shows a marker, ``(cell,)``; -1 where none does.
    scores, intensities
        Give the values of a marker, ``(cell,)``.
    order
        What comes first.
    seed
        Of chance: the same one gives the same queues, so that annotators judge the same cells.
    """

    markers: tuple[str, ...]
    field_of: Callable[[str], IntArray]
    scores: Callable[[str], FloatArray]
    intensities: Callable[[str], FloatArray]
    order: Order
    seed: int
    _known: dict[str, NDArray[np.int64]] = field(default_factory=dict)

    def at_most(self, marker: str, n: int) -> int:
        """`n`, or fewer where the queue of the marker was made and has fewer cells."""
        return min(n, self._known[marker].size) if marker in self._known else n

    def shown(self, marker: str, rows: Sequence[int]) -> list[int]:
        """Those of `rows` that lie in a field which is judged and shows the marker."""
        field_of = self.field_of(marker)
        return [row for row in rows if field_of[row] >= 0]

    def of(self, marker: str) -> NDArray[np.int64]:
        """Rows of the cells to judge for a marker, the first one first."""
        if marker not in self._known:
            rng = np.random.default_rng([self.seed, zlib.crc32(marker.encode())])
            wanted = keenness(self.order, self.scores(marker), self.intensities(marker), rng)
            self._known[marker] = interleaved(wanted, self.field_of(marker), rng)
        return self._known[marker]
