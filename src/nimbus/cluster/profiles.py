"""Profiles of metaclusters from those of their nodes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nimbus._types import FloatArray, IntArray


def group_sums(values: FloatArray, groups: IntArray, n_groups: int) -> NDArray[np.float64]:
    """Sum of `values` over the members of each group, ``(group,)`` or ``(group, column)``.

    Members with a negative group are left out.

    Examples
    --------
    >>> group_sums(np.array([1.0, 2.0, 4.0]), np.array([1, -1, 1]), 2)
    array([0., 5.])
    """
    kept = groups >= 0
    total = np.zeros((n_groups, *values.shape[1:]))
    np.add.at(total, groups[kept], values[kept])
    return total


def group_means(
    node_means: FloatArray, node_counts: IntArray, groups: IntArray, *, n_groups: int
) -> NDArray[np.float64]:
    """Mean over the cells of each group of nodes, ``(group, marker)``; NaN without cells.

    Parameters
    ----------
    node_means
        Mean over the cells of each node, ``(node, marker)``; of nodes without cells anything.
    node_counts
        Cells of each node.
    groups
        Group of each node; negative is none.
    n_groups
        Number of groups.

    Examples
    --------
    >>> group_means(np.array([[0.0], [1.0], [0.5]]), np.array([1, 3, 2]), np.array([0, 0, 1]),
    ...             n_groups=2)
    array([[0.75],
           [0.5 ]])
    """
    counts = np.asarray(node_counts, dtype=np.float64)
    weighted = np.where(counts[:, None] > 0, node_means, 0.0) * counts[:, None]
    total = group_sums(counts, groups, n_groups)[:, None]
    sums = group_sums(weighted, groups, n_groups)
    out = np.full(sums.shape, np.nan)
    np.divide(sums, total, out=out, where=total > 0)
    return out


def capped_zscores(
    values: FloatArray, cap: float, *, weights: FloatArray | None = None
) -> NDArray[np.float64]:
    """Each column less its mean, divided by its standard deviation, limited to ``±cap``.

    A constant column becomes 0.

    Examples
    --------
    >>> capped_zscores(np.array([[0.0, 7.0], [2.0, 7.0]]), 3.0)
    array([[-1.,  0.],
           [ 1.,  0.]])
    """
    center = np.average(values, axis=0, weights=weights)
    spread = np.sqrt(np.average((values - center) ** 2, axis=0, weights=weights))
    flat = spread <= 1e-12 * np.maximum(np.abs(center), 1.0)
    scores = np.where(flat, 0.0, (values - center) / np.where(flat, 1.0, spread))
    return np.clip(scores, -cap, cap)
