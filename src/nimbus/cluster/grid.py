"""Where the nodes of a map lie, and which are neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nimbus._types import BoolArray, IntArray


@dataclass(frozen=True, slots=True)
class Grid:
    """A rectangular grid of nodes; node ``row * columns + column`` lies at ``(row, column)``.

    Parameters
    ----------
    rows, columns
        Nodes along each side, at least 1.

    Examples
    --------
    >>> Grid(2, 3).positions()[4]
    array([1, 1])
    """

    rows: int
    columns: int

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return self.rows * self.columns

    def positions(self) -> NDArray[np.int64]:
        """Row and column of each node, ``(node, 2)``."""
        index = np.arange(self.n_nodes)
        return np.stack([index // self.columns, index % self.columns], axis=1)

    def neighbourhood(self, sigma: float) -> NDArray[np.float64]:
        """How much each node takes from the cells of each other, ``(node, node)``.

        A gaussian of their distance on the grid, 1 on the node itself; the identity at `sigma` 0.

        Examples
        --------
        >>> Grid(1, 3).neighbourhood(1.0)[0].round(3)
        array([1.   , 0.607, 0.135])
        """
        if sigma == 0:
            return np.eye(self.n_nodes)
        place = self.positions()
        squared = ((place[:, None] - place[None]) ** 2).sum(axis=2)
        weight: NDArray[np.float64] = np.exp(squared / (-2.0 * sigma**2))
        return weight

    def adjacent(self, first: IntArray, second: IntArray) -> BoolArray:
        """Whether nodes touch, also at a corner; a node touches itself.

        Examples
        --------
        >>> Grid(2, 3).adjacent(np.array([0, 0]), np.array([4, 2]))
        array([ True, False])
        """
        rows = np.abs(first // self.columns - second // self.columns)
        columns = np.abs(first % self.columns - second % self.columns)
        touching: BoolArray = np.maximum(rows, columns) <= 1
        return touching


def grid_of(sides: Sequence[int]) -> Grid:
    """The grid of that many rows and columns.

    Raises
    ------
    TypeError
        Not two numbers.
    ValueError
        A side without nodes.
    """
    if not isinstance(sides, Sequence) or len(sides) != 2:
        raise TypeError(f"grid must be rows and columns, as in grid=(16, 16), not {sides!r}")
    rows, columns = (int(side) for side in sides)
    if rows < 1 or columns < 1:
        raise ValueError(
            f"grid=({rows}, {columns}) has no nodes; both sides must be at least 1, as in "
            "grid=(16, 16)"
        )
    return Grid(rows, columns)
