"""How far resamples agree: of each node, of each number of metaclusters; and rare candidates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from nimbus._types import BoolArray, FloatArray, IntArray

from .linkage import cut_tree
from .profiles import group_means, group_sums
from .resampling import Resamples

AMBIGUOUS = (0.1, 0.9)
"""Consensus between these is ambiguous (Senbabaoglu, Michailidis and Li, 2014)."""

SMALL, STABLE, FAR = 0.5, 0.5, 2.0
"""A rare candidate holds less than half the mean count, is at least this stable, and lies more
than twice as far from its siblings as the median node."""


@dataclass(frozen=True, slots=True, eq=False)
class StabilityByNumber:
    """Measures of each number of metaclusters, each of shape ``(number,)``.

    Parameters
    ----------
    n_metaclusters
        2, 3, ...
    area
        Under the cumulative distribution of the consensus of pairs (Monti et al., 2003).
    gain
        Relative rise of that area over one metacluster fewer; the first is the area itself.
    ambiguous
        Share of pairs whose consensus is above 0.1 and at most 0.9 (PAC); low is stable.
    cophenetic
        Correlation of one minus the consensus with the heights of its tree; high is stable.
    stability
        Mean stability of the nodes.
    """

    n_metaclusters: NDArray[np.int64]
    area: NDArray[np.float64]
    gain: NDArray[np.float64]
    ambiguous: NDArray[np.float64]
    cophenetic: NDArray[np.float64]
    stability: NDArray[np.float64]


def stability_by_number(resamples: Resamples) -> StabilityByNumber:
    """Measures of every number of metaclusters that was counted, from 2 on."""
    numbers = np.arange(2, resamples.max_groups + 1)
    rows = [_of_number(resamples, int(k)) for k in numbers]
    area, ambiguous, cophenetic, stability = np.array(rows).reshape(-1, 4).T
    gain = area.copy()
    gain[1:] = np.diff(area) / np.where(area[:-1] > 0, area[:-1], np.nan)
    return StabilityByNumber(numbers, area, gain, ambiguous, cophenetic, stability)


def _of_number(resamples: Resamples, k: int) -> tuple[float, float, float, float]:
    consensus = resamples.consensus(k)
    distances = resamples.distances(k)
    tree = hierarchy.linkage(distances, method="average")
    low, high = AMBIGUOUS
    return (
        float(1.0 - consensus.mean()),  # the area under a distribution function on [0, 1]
        float(((consensus > low) & (consensus <= high)).mean()),
        _correlation(distances, hierarchy.cophenet(tree)),
        float(node_stability(squareform(consensus), cut_tree(tree, k)).mean()),
    )


def _correlation(first: FloatArray, second: FloatArray) -> float:
    if first.size < 2 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])


def node_stability(matrix: FloatArray, labels: IntArray) -> NDArray[np.float64]:
    """Mean consensus with the own metacluster, less the largest with another, ``(node,)``.

    1: always with its own and never with others; 0: as often with others; below: it is misplaced.

    Parameters
    ----------
    matrix
        Consensus, ``(node, node)``; the diagonal is not read.
    labels
        Metacluster of each node, from 0. A node that is alone in it is with its own by definition.

    Examples
    --------
    >>> consensus = np.array([[1.0, 0.9, 0.2], [0.9, 1.0, 0.0], [0.2, 0.0, 1.0]])
    >>> node_stability(consensus, np.array([0, 0, 1]))
    array([0.7, 0.9, 0.9])
    """
    n_groups = int(labels.max()) + 1
    nodes = np.arange(len(labels))
    size = np.bincount(labels, minlength=n_groups)
    sums = group_sums(matrix - np.diag(np.diag(matrix)), labels, n_groups).T
    others = size[labels] - 1
    own = np.where(others > 0, sums[nodes, labels] / np.maximum(others, 1), 1.0)
    if n_groups == 1:
        return own
    mean = sums / size
    mean[nodes, labels] = -np.inf
    return np.asarray(own - mean.max(axis=1))


def sibling_distances(
    node_means: FloatArray, node_counts: IntArray, labels: IntArray
) -> NDArray[np.float64]:
    """Distance of each node to the mean cell of the rest of its metacluster, ``(node,)``.

    Where it has no rest, or the whole metacluster holds fewer cells than the mean node, it is the
    distance to the nearest other metacluster; NaN where there is none.

    Examples
    --------
    >>> means = np.array([[0.0], [0.2], [1.0], [3.0]])
    >>> sibling_distances(means, np.array([3, 1, 4, 9]), np.array([0, 0, 0, 1])).round(2)
    array([0.84, 0.37, 0.95, 2.48])
    """
    n_groups = int(labels.max()) + 1
    counts = np.asarray(node_counts, dtype=np.float64)
    means = group_means(node_means, node_counts, labels, n_groups=n_groups)
    cells = group_sums(counts, labels, n_groups)
    rest = cells[labels] - counts
    alone = (np.bincount(labels)[labels] == 1) | (cells[labels] < counts.mean())
    own = means[labels]
    away = np.linalg.norm(node_means - own, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):  # the rest's mean follows from the whole's
        out = np.where(alone, np.nan, away * cells[labels] / rest)
    for node in np.flatnonzero(alone):
        others = np.delete(means, labels[node], axis=0)
        if len(others):
            out[node] = np.linalg.norm(others - node_means[node], axis=1).min()
    return np.asarray(out)


def rare_candidates(
    node_means: FloatArray, node_counts: IntArray, labels: IntArray, stability: FloatArray
) -> BoolArray:
    """Nodes that may be a cell type of their own: small, stable, far from their siblings.

    Small: less than half the mean count of a node. Stable: at least 0.5. Far: the distance of
    :func:`sibling_distances` is more than twice the median of all nodes.
    """
    away = sibling_distances(node_means, node_counts, labels)
    known = away[np.isfinite(away)]
    far = away > FAR * np.median(known) if known.size else np.zeros(len(labels), dtype=bool)
    small = node_counts < SMALL * np.mean(node_counts)
    return np.asarray(small & far & (stability >= STABLE))
