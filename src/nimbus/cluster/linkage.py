"""Trees of nodes: how they are built, cut and read."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.cluster import hierarchy
from scipy.spatial.distance import pdist, squareform

from nimbus._types import FloatArray, IntArray

LinkageMethod: TypeAlias = Literal["average", "ward", "complete"]
"""How the distance of two groups follows from those of their points."""

METHODS: tuple[LinkageMethod, ...] = ("average", "ward", "complete")


def linkage_tree(
    points: FloatArray, *, method: LinkageMethod = "average", weights: FloatArray | None = None
) -> NDArray[np.float64]:
    """Tree of `points` by Euclidean distance, in SciPy's layout.

    Parameters
    ----------
    points
        Shape ``(point, axis)``, at least two.
    method
        Linkage.
    weights
        How many cells each point stands for, shape ``(point,)``: the tree is that of so many equal
        points, without the merges between them. ``None``: one each.

    Returns
    -------
    Shape ``(point - 1, 4)``: two groups that merge, their distance, the number of points in both.

    Examples
    --------
    >>> linkage_tree(np.array([[0.0], [1.0], [5.0]]))
    array([[0. , 1. , 1. , 2. ],
           [2. , 3. , 4.5, 3. ]])
    >>> linkage_tree(np.array([[0.0], [1.0], [5.0]]), weights=np.array([1.0, 3.0, 1.0]))
    array([[0.  , 1.  , 1.  , 2.  ],
           [2.  , 3.  , 4.25, 3.  ]])
    """
    distances = pdist(np.asarray(points, dtype=np.float64))
    if weights is None:
        tree: NDArray[np.float64] = (
            hierarchy.ward(distances)
            if method == "ward"
            else hierarchy.linkage(distances, method=method)
        )
        return tree
    return _weighted(distances, np.asarray(weights, dtype=np.float64), method)


def _weighted(
    distances: FloatArray, weights: NDArray[np.float64], method: LinkageMethod
) -> NDArray[np.float64]:
    """Agglomeration by the formulas of Lance and Williams, groups weighted from the start."""
    far = squareform(distances)
    weight, size, name = weights.copy(), np.ones(weights.size), np.arange(weights.size)
    if method == "ward":  # twice the rise of the sum of squares; of two single points the square
        far = far**2 * (2 * np.outer(weight, weight) / np.add.outer(weight, weight))
    np.fill_diagonal(far, np.inf)
    tree = np.empty((weights.size - 1, 4))
    for step in range(len(tree)):
        left, right = np.unravel_index(np.argmin(far), far.shape)  # left < right: the first of two
        height = far[left, right]
        size[left] += size[right]
        tree[step] = (*sorted((name[left], name[right])), height, size[left])
        merged = _distance_to_both(far[left], far[right], weight, (left, right), height, method)
        far[left], far[:, left] = merged, merged
        far[right], far[:, right], far[left, left] = np.inf, np.inf, np.inf
        weight[left] += weight[right]
        name[left] = weights.size + step
    if method == "ward":
        tree[:, 2] = np.sqrt(tree[:, 2])
    return tree


def _distance_to_both(
    left: FloatArray,
    right: FloatArray,
    weight: FloatArray,
    pair: tuple[np.intp, np.intp],
    height: float,
    method: LinkageMethod,
) -> FloatArray:
    """Distances of every group to the union of two."""
    if method == "complete":
        return np.maximum(left, right)
    own_left, own_right = weight[pair[0]], weight[pair[1]]
    if method == "average":
        return np.asarray((own_left * left + own_right * right) / (own_left + own_right))
    grown = (weight + own_left) * left + (weight + own_right) * right - weight * height
    return np.asarray(grown / (weight + own_left + own_right))


def cut_tree(tree: FloatArray, n_groups: int) -> NDArray[np.int64]:
    """Group of each leaf after all merges but the last ``n_groups - 1``; numbered by first leaf.

    Unlike a cut at a height it gives exactly `n_groups`, also where merges are equally high.

    Examples
    --------
    >>> cut_tree(np.array([[1.0, 2.0, 1.0, 2.0], [0.0, 3.0, 4.5, 3.0]]), 2)
    array([0, 1, 1])
    """
    n_leaves = len(tree) + 1
    top = np.arange(2 * n_leaves - 1)
    n_merges = n_leaves - n_groups
    for step in range(n_merges - 1, -1, -1):  # from above, so that a child takes what is final
        top[tree[step, :2].astype(np.intp)] = top[n_leaves + step]
    return in_order_of_appearance(top[:n_leaves])


def in_order_of_appearance(groups: IntArray) -> NDArray[np.int64]:
    """Groups renumbered 0, 1, ... as they first appear.

    Examples
    --------
    >>> in_order_of_appearance(np.array([7, 3, 7, 0]))
    array([0, 1, 0, 2])
    """
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[inverse].astype(np.int64)


def merge_steps(tree: FloatArray) -> NDArray[np.int64]:
    """For each pair of leaves the step at which they merge, from 0; condensed, shape ``(pair,)``.

    A cut into ``k`` groups leaves the pair together where its step is below ``leaves - k``.

    Examples
    --------
    >>> merge_steps(np.array([[1.0, 2.0, 0.7, 2.0], [0.0, 3.0, 4.5, 3.0]]))  # 0-1, 0-2, 1-2
    array([1, 1, 0])
    """
    ranked = np.array(tree, dtype=np.float64)
    ranked[:, 2] = np.arange(len(tree))
    return np.asarray(hierarchy.cophenet(ranked)).astype(np.int64)
