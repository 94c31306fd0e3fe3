"""Cells of a clustering, indexed once so that no click has to go through them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nimbus._types import AnyArray, FloatArray, IntArray

N_BINS = 50
"""Bars of a histogram."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Node and field of every cell.

    Parameters
    ----------
    node
        Of each cell, int32 ``(cell,)``; -1 without one.
    field
        Position of its field in `fields`, same shape; -1 without one.
    fields
        Names.
    n_nodes
        Nodes of the map, with those that hold no cell.
    counts
        Cells of each node in each field, ``(node, field)``.
    """

    node: NDArray[np.int32]
    field: NDArray[np.int32]
    fields: tuple[str, ...]
    n_nodes: int
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, node: IntArray, field: IntArray, fields: Sequence[str], *, n_nodes: int) -> Cells:
        """Count the cells of each node in each field.

        Examples
        --------
        >>> cells = Cells.of(np.array([0, 1, 1, -1]), np.array([0, 0, 1, 1]), ["a", "b"], n_nodes=2)
        >>> cells.counts
        array([[1, 0],
               [1, 1]])
        """
        own, place = node.astype(np.int32), field.astype(np.int32)
        there = (own >= 0) & (place >= 0)
        flat = own[there].astype(np.int64) * len(fields) + place[there]
        counts = np.bincount(flat, minlength=n_nodes * len(fields))
        return cls(own, place, tuple(fields), n_nodes, counts.reshape(n_nodes, len(fields)))

    def per_field(self, nodes: Collection[int]) -> NDArray[np.int64]:
        """Cells of these nodes in each field, ``(field,)``."""
        total: NDArray[np.int64] = self.counts[sorted(nodes)].sum(axis=0)
        return total


def numbers_of(column: pd.Series) -> NDArray[np.int32]:
    """Node of each cell as a number, from the column that ``tl.cluster`` wrote; -1 without one.

    Examples
    --------
    >>> numbers_of(pd.Series(pd.Categorical(["10", "2", None])))
    array([10,  2, -1], dtype=int32)
    """
    known = column.astype("category").cat
    numbers = np.append(known.categories.astype(np.int64).to_numpy(), -1)
    return numbers[known.codes.to_numpy()].astype(np.int32)


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """Cells by value of a marker, for each node.

    Parameters
    ----------
    edges
        Of the bars, ``(bar + 1,)``.
    counts
        Cells, ``(node, bar)``.
    """

    edges: FloatArray
    counts: NDArray[np.int64]

    def split(self, nodes: Collection[int]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Share of the cells in each bar, inside and outside of some nodes; 0 without cells.

        Examples
        --------
        >>> two = Histogram(np.array([0.0, 0.5, 1.0]), np.array([[3, 1], [0, 2], [2, 0]]))
        >>> two.split([1])
        (array([0., 1.]), array([0.83333333, 0.16666667]))
        """
        chosen = np.zeros(len(self.counts), dtype=bool)
        chosen[sorted(nodes)] = True
        inside, outside = self.counts[chosen].sum(axis=0), self.counts[~chosen].sum(axis=0)
        return inside / max(1, inside.sum()), outside / max(1, outside.sum())


def histogram_of(values: AnyArray, node: IntArray, *, n_nodes: int) -> Histogram:
    """Histogram of each node; cells without a value or a node are left out.

    Scores are counted from 0 to 1, other values from the lowest to the highest.

    Examples
    --------
    >>> found = histogram_of(np.array([0.1, 0.9, np.nan]), np.array([0, 2, 2]), n_nodes=3)
    >>> found.counts.sum(axis=1), found.edges[[0, -1]]
    (array([1, 0, 1]), array([0., 1.]))
    """
    values = np.asarray(values, dtype=np.float64).ravel()
    kept = np.isfinite(values) & (node >= 0)
    values, own = values[kept], node[kept].astype(np.int64)
    low, high = (float(values.min()), float(values.max())) if values.size else (0.0, 1.0)
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    width = (high - low) or 1.0
    bar = np.minimum(((values - low) * (N_BINS / width)).astype(np.int64), N_BINS - 1)
    counts = np.bincount(own * N_BINS + bar, minlength=n_nodes * N_BINS)
    return Histogram(np.linspace(low, low + width, N_BINS + 1), counts.reshape(n_nodes, N_BINS))


@dataclass(frozen=True, slots=True, eq=False)
class Histograms:
    """Histograms of markers, each counted when it is looked at first.

    Parameters
    ----------
    values
        Gives the values of a marker, ``(cell,)``.
    cells
        Their nodes.
    """

    values: Callable[[str], AnyArray]
    cells: Cells
    _known: dict[str, Histogram] = field(default_factory=dict)

    def of(self, marker: str) -> Histogram:
        """Histogram of a marker."""
        if marker not in self._known:
            self._known[marker] = histogram_of(
                self.values(marker), self.cells.node, n_nodes=self.cells.n_nodes
            )
        return self._known[marker]
