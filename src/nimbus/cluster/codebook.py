"""Profiles of the nodes, and the search for the nearest."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nimbus._types import FloatArray, IntArray

from .rows import Values

BLOCK = 1024
"""Cells that are compared at once: their products with 256 nodes stay in the second cache."""


@dataclass(frozen=True, slots=True, eq=False)
class Codebook:
    """Nodes of a map.

    Parameters
    ----------
    profiles
        Values of each node, ``(node, marker)``.
    origin
        What is subtracted before products are taken, so that float32 suffices; shape
        ``(marker,)``. It changes no distance.
    importance
        By what the difference in each marker is multiplied, shape ``(marker,)``.
    """

    profiles: NDArray[np.float64]
    origin: NDArray[np.float32]
    importance: NDArray[np.float32]

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return len(self.profiles)

    def moved(self, profiles: FloatArray) -> Codebook:
        """The same with other profiles."""
        return replace(self, profiles=np.asarray(profiles, dtype=np.float64))

    def products(self) -> NDArray[np.float32]:
        """What a cell is multiplied with to know its nearest node, ``(marker + 1, node)``.

        For a cell `x` and a node `w` (both minus the origin, times the importance) the squared
        distance is ``x.x - 2 (x.w - w.w / 2)``: the nearest node has the largest
        ``x.w - w.w / 2``. The last row holds ``-w.w / 2``, for a marker that is always 1.
        """
        scale = self.importance.astype(np.float64)
        centred = (self.profiles - self.origin) * scale
        offset = -0.5 * (centred**2).sum(axis=1)
        table = np.concatenate([(centred * scale).T, offset[None]])
        return np.ascontiguousarray(table, dtype=np.float32)


def nearness(
    values: Values, origin: NDArray[np.float32], products: NDArray[np.float32]
) -> Iterator[tuple[slice, NDArray[np.float32]]]:
    """For blocks of cells how near each node is, ``(cell, node)``; larger is nearer.

    The array is used again for the next block.
    """
    n_markers, n_nodes = products.shape[0] - 1, products.shape[1]
    centred = np.ones((BLOCK, n_markers + 1), dtype=np.float32)
    near = np.empty((BLOCK, n_nodes), dtype=np.float32)
    for start in range(0, len(values), BLOCK):
        block = values[start : start + BLOCK]
        n = len(block)
        np.subtract(block, origin, out=centred[:n, :n_markers])
        np.matmul(centred[:n], products, out=near[:n])
        yield slice(start, start + n), near[:n]


def nearest(
    values: Values, origin: NDArray[np.float32], products: NDArray[np.float32]
) -> NDArray[np.int32]:
    """Nearest node of each cell, shape ``(cell,)``; of equally near ones the first."""
    winner = np.empty(len(values), dtype=np.int32)
    for cells, near in nearness(values, origin, products):
        winner[cells] = near.argmax(axis=1)
    return winner


def distances(values: Values, codebook: Codebook, node: IntArray) -> NDArray[np.float32]:
    """Distance of each cell from its node, shape ``(cell,)``."""
    profiles = codebook.profiles.astype(np.float32)
    apart = (values - profiles[node]) * codebook.importance
    away: NDArray[np.float32] = np.sqrt(np.einsum("ij,ij->i", apart, apart))
    return away
