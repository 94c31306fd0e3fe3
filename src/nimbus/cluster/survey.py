"""What is looked up before a map is trained: missing values, ranges, principal components."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce
from operator import add
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from nimbus._types import BoolArray

from .rows import Values, complete

Part = TypeVar("Part")

NO_CELLS = (
    "there is no cell to train on: every cell misses a value for at least one marker; choose "
    "markers=, or score the table first"
)


@dataclass(frozen=True, slots=True, eq=False)
class Survey:
    """Values of each marker; adds to those of other cells.

    Parameters
    ----------
    n_rows
        Number of cells.
    n_finite
        Cells with a value, shape ``(marker,)``.
    lowest, highest
        Of the finite values, same shape; infinite where there is none.
    """

    n_rows: int
    n_finite: NDArray[np.int64]
    lowest: NDArray[np.float32]
    highest: NDArray[np.float32]

    def __add__(self, other: Survey) -> Survey:
        return Survey(
            self.n_rows + other.n_rows,
            self.n_finite + other.n_finite,
            np.minimum(self.lowest, other.lowest),
            np.maximum(self.highest, other.highest),
        )

    @property
    def missing(self) -> BoolArray:
        """Markers without any value, shape ``(marker,)``."""
        return np.asarray(self.n_finite == 0)

    def without_positives(self, *, threshold: float = 0.5) -> BoolArray:
        """Markers that tell no cell from another, shape ``(marker,)``.

        Where all values are scores in [0, 1]: those that no cell has at `threshold` or above.
        Otherwise those of one value only.
        """
        there = ~self.missing
        scores = bool((self.lowest[there] >= 0).all() and (self.highest[there] <= 1).all())
        low = self.highest < threshold if scores else self.highest == self.lowest
        return np.asarray(there & low)


def survey(values: Values) -> Survey:
    """Survey of one span.

    Examples
    --------
    >>> survey(np.array([[0.1, np.nan], [0.9, np.nan]], dtype=np.float32)).missing
    array([False,  True])
    """
    finite = np.isfinite(values)
    infinity = np.float32(np.inf)
    return Survey(
        len(values),
        finite.sum(axis=0),
        np.min(values, axis=0, initial=infinity, where=finite),
        np.max(values, axis=0, initial=-infinity, where=finite),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Moments:
    """Sums over cells without missing values; adds to those of other cells.

    Parameters
    ----------
    n
        Number of cells.
    total
        Sum, shape ``(marker,)``.
    product
        Sum of products, ``(marker, marker)``.
    """

    n: int
    total: NDArray[np.float64]
    product: NDArray[np.float64]

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.n + other.n, self.total + other.total, self.product + other.product)

    @property
    def mean(self) -> NDArray[np.float64]:
        """Mean of each marker."""
        return self.total / self.n

    @property
    def covariance(self) -> NDArray[np.float64]:
        """Covariance of the markers, divided by `n`."""
        return self.product / self.n - np.outer(self.mean, self.mean)


def moments(values: Values) -> Moments:
    """Moments of one span.

    Examples
    --------
    >>> moments(np.array([[1.0, 2.0], [3.0, 6.0]], dtype=np.float32)).covariance
    array([[1., 2.],
           [2., 4.]])
    """
    whole = values[complete(values)].astype(np.float64)
    return Moments(len(whole), whole.sum(axis=0), whole.T @ whole)


def surveyed(parts: Iterable[Survey]) -> Survey:
    """Sum over spans.

    Raises
    ------
    ValueError
        There is no span.
    """
    return reduce(add, _some(list(parts)))


def summed_moments(parts: Iterable[Moments]) -> Moments:
    """Sum over spans.

    Raises
    ------
    ValueError
        No cell has a value for every marker.
    """
    found = reduce(add, _some(list(parts)))
    if found.n == 0:
        raise ValueError(NO_CELLS)
    return found


def _some(parts: list[Part]) -> list[Part]:
    if not parts:
        raise ValueError(NO_CELLS)
    return parts
