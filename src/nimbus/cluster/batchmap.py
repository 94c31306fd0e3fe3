"""One pass of the batch map: sums of the cells of each node, and where the nodes go from there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from nimbus._types import FloatArray, IntArray

from .blas import one_blas_thread
from .codebook import Codebook, nearest
from .rows import Values, complete


@dataclass(frozen=True, slots=True, eq=False)
class NodeSums:
    """Sums over the cells of each node; adds to those of other cells.

    Parameters
    ----------
    total
        Sum of the values, ``(node, marker)``.
    count
        Number of cells, shape ``(node,)``.

    Examples
    --------
    >>> one = node_sums(np.array([[1.0], [3.0]], dtype=np.float32), np.array([1, 1]), n_nodes=2)
    >>> (one + one).count
    array([0, 4])
    """

    total: NDArray[np.float64]
    count: NDArray[np.int64]

    def __add__(self, other: NodeSums) -> NodeSums:
        return NodeSums(self.total + other.total, self.count + other.count)

    def means(self, empty: FloatArray) -> NDArray[np.float64]:
        """Mean of each node, ``(node, marker)``; of nodes without cells the row of `empty`."""
        there = self.count[:, None] > 0
        return np.where(there, self.total / np.maximum(self.count, 1)[:, None], empty)


Pass = Callable[[Values], NodeSums]
"""What a pass makes of a span of cells."""


@dataclass(frozen=True, slots=True, eq=False)
class NumpyPass:
    """Finds the nearest nodes of a span of cells and sums the cells of each.

    Parameters
    ----------
    origin
        As in :class:`nimbus.cluster.codebook.Codebook`.
    products
        Its ``products()``, made once.
    """

    origin: NDArray[np.float32]
    products: NDArray[np.float32]

    @classmethod
    def of(cls, codebook: Codebook) -> NumpyPass:
        """A pass with these nodes."""
        return cls(codebook.origin, codebook.products())

    def __call__(self, values: Values) -> NodeSums:
        """Sums of these cells."""
        whole = complete(values)
        there = values if whole.all() else values[whole]
        node = nearest(there, self.origin, self.products)
        return node_sums(there, node, n_nodes=self.products.shape[1])


def node_sums(values: Values, node: IntArray, *, n_nodes: int) -> NodeSums:
    """Sums in float64, added in the order of the cells."""
    n = len(values)
    member = csr_array((np.ones(n), node, np.arange(n + 1)), shape=(n, n_nodes))
    total: NDArray[np.float64] = member.T @ values.astype(np.float64)
    return NodeSums(total, np.bincount(node, minlength=n_nodes))


def summed(parts: Iterable[NodeSums], *, n_nodes: int, n_markers: int) -> NodeSums:
    """Sum over spans, in their order."""
    whole = NodeSums(np.zeros((n_nodes, n_markers)), np.zeros(n_nodes, dtype=np.int64))
    for part in parts:
        whole += part
    return whole


def batch_step(codebook: Codebook, sums: NodeSums, neighbourhood: NDArray[np.float64]) -> Codebook:
    """Every node at the mean of all cells, weighted by how near on the grid their node is.

    Nodes that no cell reaches stay where they are.

    Parameters
    ----------
    codebook
        Nodes before.
    sums
        Of the cells of each.
    neighbourhood
        ``(node, node)``, as of :meth:`nimbus.cluster.grid.Grid.neighbourhood`.

    Examples
    --------
    >>> nodes = Codebook(np.array([[5.0], [7.0]]), np.zeros(1, "f4"), np.ones(1, "f4"))
    >>> sums = NodeSums(np.array([[6.0], [0.0]]), np.array([2, 0]))
    >>> batch_step(nodes, sums, np.eye(2)).profiles
    array([[3.],
           [7.]])
    """
    with one_blas_thread():
        weight = neighbourhood @ sums.count.astype(np.float64)
        total = neighbourhood @ sums.total
    reached = weight[:, None] > 0
    mean = total / np.where(reached, weight[:, None], 1.0)
    return codebook.moved(np.where(reached, mean, codebook.profiles))
