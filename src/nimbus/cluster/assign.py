"""Every cell to its node, and how well the map fits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nimbus._progress import with_progress
from nimbus._types import BoolArray, IntArray

from .batchmap import NodeSums, node_sums, summed
from .codebook import Codebook, distances, nearness
from .grid import Grid
from .rows import Rows, Values, complete, spans

NO_NODE = -1
"""Node of a cell that misses a value."""


@dataclass(frozen=True, slots=True, eq=False)
class SpanNodes:
    """Nodes of a span of cells.

    Parameters
    ----------
    node
        Nearest node of each cell, :data:`NO_NODE` where a value is missing, shape ``(cell,)``.
    distance
        From it, NaN where a value is missing, same shape.
    n_apart
        Cells whose two nearest nodes do not touch on the grid.
    sums
        Of the cells of each node.
    """

    node: NDArray[np.int32]
    distance: NDArray[np.float32]
    n_apart: int
    sums: NodeSums


@dataclass(frozen=True, slots=True, eq=False)
class Assignment:
    """Nodes of all cells.

    Parameters
    ----------
    node, distance
        As of :class:`SpanNodes`.
    sums
        Of the cells of each node.
    quantisation_error
        Mean distance of the cells from their nodes.
    topographic_error
        Share of the cells whose two nearest nodes do not touch on the grid.
    """

    node: NDArray[np.int32]
    distance: NDArray[np.float32]
    sums: NodeSums
    quantisation_error: float
    topographic_error: float


Assign = Callable[[Values], SpanNodes]
"""What assignment makes of a span of cells."""


@dataclass(frozen=True, slots=True, eq=False)
class NumpyAssign:
    """Finds the nearest node of each cell of a span, and whether the second nearest touches it.

    Parameters
    ----------
    codebook
        The nodes.
    grid
        Where they lie.
    products
        ``codebook.products()``, made once.
    """

    codebook: Codebook
    grid: Grid
    products: NDArray[np.float32]

    @classmethod
    def of(cls, codebook: Codebook, grid: Grid) -> NumpyAssign:
        """Assignment to these nodes."""
        return cls(codebook, grid, codebook.products())

    def __call__(self, values: Values) -> SpanNodes:
        """Nodes of these cells."""
        whole = complete(values)
        there = values if whole.all() else values[whole]
        first = np.empty(len(there), dtype=np.int32)
        second = np.empty(len(there), dtype=np.int32)
        for cells, near in nearness(there, self.codebook.origin, self.products):
            own = first[cells] = near.argmax(axis=1)
            near[np.arange(len(own)), own] = -np.inf
            second[cells] = near.argmax(axis=1)
        away = distances(there, self.codebook, first)
        return span_nodes(there, whole, (first, second, away), self.grid)


def span_nodes(
    there: Values,
    whole: BoolArray,
    found: tuple[IntArray, IntArray, NDArray[np.float32]],
    grid: Grid,
) -> SpanNodes:
    """Nearest and second nearest node and distance of the cells without gaps, set among all."""
    first, second, away = found
    node = np.full(len(whole), NO_NODE, dtype=np.int32)
    distance = np.full(len(whole), np.nan, dtype=np.float32)
    node[whole], distance[whole] = first, away
    n_apart = int((~grid.adjacent(first, second)).sum())
    return SpanNodes(node, distance, n_apart, node_sums(there, first, n_nodes=grid.n_nodes))


def assign_nodes(
    rows: Rows,
    codebook: Codebook,
    grid: Grid,
    *,
    kept: BoolArray | None = None,
    make_assign: Callable[[Codebook, Grid], Assign] = NumpyAssign.of,
) -> Assignment:
    """The nearest node of every cell.

    Parameters
    ----------
    rows
        Cells, ``(cell, marker)``.
    codebook
        The nodes.
    grid
        Where they lie.
    kept
        Cells to assign, shape ``(cell,)``; the others are as cells that miss a value.
    make_assign
        What finds nodes; another one may use a GPU.

    Examples
    --------
    >>> from nimbus.cluster.rows import ArrayRows
    >>> nodes = Codebook(np.array([[0.0], [1.0]]), np.zeros(1, "f4"), np.ones(1, "f4"))
    >>> found = assign_nodes(ArrayRows(np.array([[0.25], [np.nan], [1.0]])), nodes, Grid(1, 2))
    >>> found.node, found.distance, found.quantisation_error
    (array([ 0, -1,  1], dtype=int32), array([0.25,  nan, 0.  ], dtype=float32), 0.125)
    """
    parts = list(
        with_progress(
            rows.map(make_assign(codebook, grid), kept),
            total=len(spans(rows.shape[0], kept)),
            description="nodes of cells",
            unit="spans",
            show=False,
            cells_of=lambda part: part.node.size,
        )
    )
    sums = summed((part.sums for part in parts), n_nodes=grid.n_nodes, n_markers=rows.shape[1])
    among = slice(None) if kept is None else kept
    node = np.full(rows.shape[0], NO_NODE, dtype=np.int32)
    distance = np.full(rows.shape[0], np.nan, dtype=np.float32)
    if parts:
        node[among] = np.concatenate([part.node for part in parts])
        distance[among] = np.concatenate([part.distance for part in parts])
    n = max(int(sums.count.sum()), 1)
    return Assignment(
        node,
        distance,
        sums,
        float(np.nansum(distance, dtype=np.float64) / n),
        sum(part.n_apart for part in parts) / n,
    )
