"""The minimum spanning tree of nodes, and where its nodes lie in a picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree, shortest_path
from scipy.spatial.distance import pdist, squareform

from nimbus._types import FloatArray, IntArray

from .blas import one_blas_thread

N_STEPS = 300
"""Most steps of the layout; it stops before when nothing moves any more."""

BENT = 0.7
"""Power of the steps along the tree that distances follow: long branches take less room."""

STILL = 1e-4
"""Relative change of the stress below which nothing moves."""


def spanning_tree(points: FloatArray) -> NDArray[np.int64]:
    """Edges of the tree that joins all `points` and is the shortest in Euclidean length.

    Parameters
    ----------
    points
        Shape ``(point, axis)``; some may be equal.

    Returns
    -------
    Shape ``(point - 1, 2)``: the ends of each edge, the smaller one first, in rising order.

    Examples
    --------
    >>> spanning_tree(np.array([[0.0], [5.0], [1.0]])).tolist()
    [[0, 2], [1, 2]]
    """
    far = squareform(pdist(np.asarray(points, dtype=np.float64)))
    # A distance of 0 would be no edge to SciPy; 1 more for all changes no tree.
    tree = minimum_spanning_tree(far + 1.0).tocoo()
    edges = np.sort(np.stack([tree.row, tree.col], axis=1).astype(np.int64), axis=1)
    return edges[np.lexsort(edges.T[::-1])]


def tree_layout(edges: IntArray) -> NDArray[np.float64]:
    """Where the nodes of a tree lie: those that few edges join are close to each other.

    Stress majorisation (Gansner, Koren and North, 2004), which minimises what Kamada and Kawai do,
    from a start without crossings. There is no chance in it.

    Parameters
    ----------
    edges
        Of a tree of ``n`` nodes, shape ``(n - 1, 2)``.

    Returns
    -------
    Shape ``(n, 2)``: x and y, an edge about 1 long; the longer side lies along x.

    Examples
    --------
    >>> x, y = tree_layout(np.array([[0, 1], [1, 2]])).T
    >>> x[0] < x[1] < x[2], np.allclose(y, 0)
    (np.True_, True)
    """
    n = len(edges) + 1
    if n < 3:  # without a turn there is nothing to choose
        return np.array([[0.0, 0.0]] if n == 1 else [[-0.5, 0.0], [0.5, 0.0]])
    ones = np.ones(len(edges))
    graph = csr_array((ones, (edges[:, 0], edges[:, 1])), shape=(n, n))
    steps = shortest_path(graph, directed=False, unweighted=True)
    with one_blas_thread():
        return _turned(_relaxed(_radial(graph, steps), steps**BENT))


def _radial(graph: csr_array, steps: FloatArray) -> NDArray[np.float64]:
    """Nodes on circles around the middle of the tree, each branch in a sector of its own."""
    n = len(steps)
    root = int(np.argmin(steps.max(axis=1)))
    order, parent = breadth_first_order(graph, root, directed=False)
    leaves = np.zeros(n)
    inner = np.zeros(n, dtype=bool)
    inner[parent[order[1:]]] = True
    leaves[~inner] = 1
    for node in order[:0:-1]:  # children before parents
        leaves[parent[node]] += leaves[node]
    start, width = np.zeros(n), np.zeros(n)
    width[root] = 2 * np.pi
    used = np.zeros(n)
    for node in order[1:]:
        above = parent[node]
        width[node] = width[above] * leaves[node] / leaves[above]
        start[node] = start[above] + used[above]
        used[above] += width[node]
    angle = start + width / 2
    place: NDArray[np.float64] = steps[root][:, None] * np.stack(
        [np.cos(angle), np.sin(angle)], axis=1
    )
    return place


def _relaxed(start: FloatArray, wanted: FloatArray) -> NDArray[np.float64]:
    """Places with as little stress as there is nearby; pairs count by 1 / distance squared."""
    n = len(wanted)
    weight = np.zeros_like(wanted)
    off = ~np.eye(n, dtype=bool)
    weight[off] = wanted[off] ** -2
    laplacian = np.diag(weight.sum(axis=1)) - weight
    inverse = np.linalg.inv(laplacian + 1.0 / n) - 1.0 / n
    place, before = np.asarray(start, dtype=np.float64), np.inf
    for _ in range(N_STEPS):
        apart = squareform(pdist(place))
        stress = float((weight * (apart - wanted) ** 2).sum())
        if before - stress <= STILL * stress:
            break
        before = stress
        pull = np.where(apart > 0, weight * wanted / np.where(apart > 0, apart, 1.0), 0.0)
        place = inverse @ (np.diag(pull.sum(axis=1)) - pull) @ place
    return np.asarray(place - place.mean(axis=0))


def _turned(place: FloatArray) -> NDArray[np.float64]:
    """The same picture with its longer side along x; the first node is left of the middle."""
    axes = np.linalg.eigh(place.T @ place)[1][:, ::-1]
    turned: NDArray[np.float64] = place @ axes
    far = np.abs(turned).argmax(axis=0)
    for axis, node in enumerate(far):  # an axis has no sign: the farthest node is at the left
        if turned[node, axis] > 0:
            turned[:, axis] *= -1
    return turned
