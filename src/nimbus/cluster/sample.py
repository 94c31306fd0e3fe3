"""Which cells to train on: every region keeps its share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nimbus._types import BoolArray, IntArray


def stratified_sample(
    stratum: IntArray, kept: BoolArray | None, *, n_cells: int, rng: np.random.Generator
) -> BoolArray:
    """Cells of a sample, shape ``(cell,)``; all that are kept where they are few enough.

    Parameters
    ----------
    stratum
        Number of the region of each cell, from 0, shape ``(cell,)``.
    kept
        Cells to choose from; ``None`` is all.
    n_cells
        Cells to choose. Regions get them by their sizes, what is left over by the largest
        remainders.
    rng
        Draws them.

    Examples
    --------
    >>> region = np.repeat([0, 1], [90, 10])
    >>> drawn = stratified_sample(region, None, n_cells=20, rng=np.random.default_rng(0))
    >>> np.bincount(region[drawn])
    array([18,  2])
    """
    among = np.ones(len(stratum), dtype=bool) if kept is None else kept
    sizes = np.bincount(stratum[among])
    if sizes.sum() <= n_cells:
        return among
    wanted = _shares(sizes, n_cells)
    order = np.flatnonzero(among)
    order = order[np.argsort(stratum[order], kind="stable")]
    chosen = np.zeros(len(stratum), dtype=bool)
    for own, n in zip(np.split(order, np.cumsum(sizes)[:-1]), wanted, strict=True):
        chosen[rng.choice(own, size=n, replace=False, shuffle=False)] = True
    return chosen


def _shares(sizes: IntArray, n_cells: int) -> NDArray[np.int64]:
    """Cells of each stratum, by largest remainders; they sum up to `n_cells`."""
    exact = sizes * (n_cells / sizes.sum())
    shares: NDArray[np.int64] = np.floor(exact).astype(np.int64)
    left = n_cells - int(shares.sum())
    shares[np.argsort(shares - exact, kind="stable")[:left]] += 1
    return shares
