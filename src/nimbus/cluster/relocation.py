"""Nodes that are hardly needed move to where the cells of one node differ most.

::

    a  b        c            a and b lie in one type of cells, c between two types:
    ..oo..    ..  oo         a and b become one node, c becomes two.

K-means goes to the nearest good place, not to the best: a rare type that begins in a node of its
big neighbour never leaves it. Joining two nodes and splitting another is a step that k-means
cannot make.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import pdist

from nimbus._types import IntArray

from .blas import one_blas_thread
from .codebook import Codebook, nearest
from .rows import Values

WORTH = 1.05
"""A split has to gain so many times what the join costs, or nodes would move to and fro."""


SMALLEST = 0.1
"""Least part of a split, as a share of the mean node: single cells off the rest make no node."""


@dataclass(frozen=True, slots=True, eq=False)
class Split:
    """The best cut of the cells of a node in two.

    Parameters
    ----------
    gain
        By how much the sum of squared distances falls.
    low, high
        Mean of the cells on either side, shape ``(marker,)``.
    """

    gain: float
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def relocate(values: Values, codebook: Codebook, *, discount: float = 0.0) -> tuple[Codebook, int]:
    """Join the two nodes that are most alike, split the one that is most mixed, as long as it pays.

    Each node takes part in one change at most.

    Parameters
    ----------
    values
        Cells, ``(cell, marker)``, none missing.
    codebook
        The nodes.
    discount
        Gain and cost are divided by the number of cells to this power. 0: the error of all cells
        falls; 0.5: a small group of cells that differ clearly comes before a large one that
        differs a little.

    Returns
    -------
    The nodes, and the number that moved; k-means steps should follow.

    Examples
    --------
    >>> cells = np.array([[0.0], [0.1], [5.0], [5.1], [9.0], [9.1]], dtype=np.float32)
    >>> nodes = Codebook(np.array([[0.0], [0.1], [7.0]]), np.zeros(1, "f4"), np.ones(1, "f4"))
    >>> moved, n_moved = relocate(cells, nodes)
    >>> moved.profiles.round(2).tolist(), n_moved
    ([[9.05], [0.05], [5.05]], 1)
    """
    with one_blas_thread():
        node = nearest(values, codebook.origin, codebook.products())
    count = np.bincount(node, minlength=codebook.n_nodes)
    cells = np.split(np.argsort(node, kind="stable"), np.cumsum(count)[:-1])
    least = max(1, int(SMALLEST * len(values) / codebook.n_nodes))
    with one_blas_thread():
        splits = [_best_split(values[own], codebook.importance, least) for own in cells]
    means = np.stack(
        [
            values[own].mean(axis=0, dtype=np.float64) if own.size else profile
            for own, profile in zip(cells, codebook.profiles, strict=True)
        ]
    )
    profiles = codebook.profiles.copy()
    gain = np.array([split.gain for split in splits])
    changes = _changes(gain, means * codebook.importance, count, discount)
    for mixed, kept, freed in changes:
        both = count[[kept, freed]] @ means[[kept, freed]] / max(count[kept] + count[freed], 1)
        profiles[kept] = both if count[freed] else means[kept]
        profiles[mixed], profiles[freed] = splits[mixed].low, splits[mixed].high
    return (codebook.moved(profiles) if changes else codebook), len(changes)


def _best_split(values: Values, importance: NDArray[np.float32], least: int) -> Split:
    """The best cut across the first principal component, with so many cells on either side."""
    own = values.astype(np.float64)
    nothing = np.zeros(values.shape[1])
    if len(own) < 2 * least:
        return Split(0.0, nothing, nothing)
    mean = own.mean(axis=0)
    centred = (own - mean) * importance
    _, directions = np.linalg.eigh(centred.T @ centred)
    along = centred @ directions[:, -1]
    order = np.argsort(along, kind="stable")
    n = np.arange(least, len(own) - least + 1)  # cells on the lower side
    left = np.cumsum(along[order])[n - 1]  # the mean of all is 0
    gain = left**2 * (len(own) / (n * (len(own) - n)))
    best = int(gain.argmax())
    low = order[: n[best]]
    total = own[low].sum(axis=0)
    rest = mean * len(own) - total
    return Split(float(gain[best]), total / low.size, rest / (len(own) - low.size))


def _changes(
    gain: NDArray[np.float64],
    means: NDArray[np.float64],
    count: IntArray,
    discount: float,
) -> list[tuple[int, int, int]]:
    """Node to split, node that takes the cells of another, and that other, best first."""
    n = count.astype(np.float64)
    first, second = np.triu_indices(n.size, k=1)
    both = np.maximum(n[first] + n[second], 1.0)
    cost = n[first] * n[second] / both ** (1 + discount) * pdist(means, "sqeuclidean")
    gain = gain / np.maximum(n, 1.0) ** discount
    pairs = iter(np.argsort(cost, kind="stable"))
    used = np.zeros(n.size, dtype=bool)
    changes: list[tuple[int, int, int]] = []
    for mixed in np.argsort(-gain, kind="stable"):
        if used[mixed]:
            continue
        used[mixed] = True
        pair = next((p for p in pairs if not (used[first[p]] or used[second[p]])), None)
        if pair is None or gain[mixed] <= WORTH * cost[pair]:
            break
        ends = int(first[pair]), int(second[pair])
        freed, kept = sorted(ends, key=lambda end: n[end])
        used[[kept, freed]] = True
        changes.append((int(mixed), kept, freed))
    return changes


def in_layout(codebook: Codebook, layout: Codebook) -> Codebook:
    """The same nodes in the order that lies nearest to `layout`, so that the grid keeps its sense.

    Examples
    --------
    >>> made = Codebook(np.array([[5.0], [9.0], [0.1]]), np.zeros(1, "f4"), np.ones(1, "f4"))
    >>> in_layout(made, made.moved(np.array([[0.0], [4.0], [8.0]]))).profiles.ravel()
    array([0.1, 5. , 9. ])
    """
    scale = codebook.importance.astype(np.float64)
    apart = (layout.profiles[:, None] - codebook.profiles[None]) * scale
    _, order = linear_sum_assignment((apart**2).sum(axis=2))
    return codebook.moved(codebook.profiles[order])
