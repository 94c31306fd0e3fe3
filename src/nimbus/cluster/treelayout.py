"""Nodes on their minimum spanning tree: like beside like, drawn without crossings where it can."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import minimum_spanning_tree, shortest_path
from scipy.spatial.distance import pdist, squareform

from nimbus._types import FloatArray, IntArray

N_STEPS = 60
"""Steps of stress majorisation; 256 nodes hardly move after half as many."""


def spanning_tree(points: FloatArray) -> NDArray[np.int64]:
    """Edges of the minimum spanning tree of `points` by Euclidean distance, ``(point - 1, 2)``.

    Examples
    --------
    >>> spanning_tree(np.array([[0.0], [5.0], [1.0]])).tolist()
    [[0, 2], [1, 2]]
    """
    far = squareform(pdist(np.asarray(points, dtype=np.float64)))
    # SciPy takes 0 for "no edge"; equal points are joined all the same.
    tree = minimum_spanning_tree(far + np.finfo(np.float64).tiny * (far == 0)).tocoo()
    edges: NDArray[np.int64] = np.sort(np.stack([tree.row, tree.col], axis=1), axis=1)
    order = np.lexsort((edges[:, 1], edges[:, 0]))
    return np.asarray(edges[order], dtype=np.int64)


def tree_positions(edges: IntArray, n_points: int) -> NDArray[np.float64]:
    """Where to draw each node of a tree, ``(point, 2)``, within -1 to 1.

    Distances come as near to the number of edges between two nodes as they can: stress
    majorisation (Gansner, Koren and North, 2004), from classical scaling.

    Examples
    --------
    >>> place = tree_positions(np.array([[0, 1], [1, 2]]), 3)
    >>> np.linalg.norm(place[0] - place[2]).round(3), np.linalg.norm(place[0] - place[1]).round(3)
    (np.float64(2.0), np.float64(1.0))
    """
    if n_points < 2:
        return np.zeros((n_points, 2))
    graph = np.zeros((n_points, n_points))
    graph[edges[:, 0], edges[:, 1]] = 1.0
    hops = shortest_path(graph, directed=False, unweighted=True)
    place = _classical_scaling(hops)
    np.fill_diagonal(hops, 1.0)
    weight = 1.0 / hops**2
    np.fill_diagonal(weight, 0.0)
    # The matrix of a tree's stress is singular by a shift alone, which the inverse leaves out.
    inverse = np.linalg.pinv(np.diag(weight.sum(axis=1)) - weight, hermitian=True)
    for _ in range(N_STEPS):
        now = np.linalg.norm(place[:, None] - place[None], axis=2)
        pull = np.where(now > 1e-12, weight * hops / np.maximum(now, 1e-12), 0.0)
        place = inverse @ (pull.sum(axis=1)[:, None] * place - pull @ place)
    place = place - (place.max(axis=0) + place.min(axis=0)) / 2
    return np.asarray(place / max(float(np.abs(place).max()), 1e-12))


def _classical_scaling(hops: FloatArray) -> NDArray[np.float64]:
    """Two coordinates whose distances come near to `hops`; the longer axis first."""
    squared = hops**2
    centred = squared - squared.mean(axis=0) - squared.mean(axis=1)[:, None] + squared.mean()
    values, vectors = np.linalg.eigh(-centred / 2)
    top = vectors[:, [-1, -2]] * np.sqrt(np.maximum(values[[-1, -2]], 0.0))
    place: NDArray[np.float64] = top * np.where(top[np.abs(top).argmax(axis=0), [0, 1]] < 0, -1, 1)
    # Nodes of a symmetric tree may fall on each other; a fixed, tiny spiral parts them.
    turn = np.arange(len(hops)) * 2.4
    aside = 1e-3 * np.sqrt(len(hops)) * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    return np.asarray(place + aside)
