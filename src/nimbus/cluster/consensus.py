"""Metaclusters: nodes that stay together when nodes are left out (Monti et al., 2003)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from nimbus._check import require_whole
from nimbus._types import AnyArray, BoolArray, FloatArray, IntArray

from .linkage import METHODS, LinkageMethod, cut_tree
from .profiles import capped_zscores, group_sums
from .resampling import Resamples, draw_resamples, resample_trees
from .stability import StabilityByNumber, node_stability, rare_candidates, stability_by_number

EMPTY = -1
"""Metacluster of a node without cells."""

MIN_COUNTED = 60
"""Measures are given for at least so many metaclusters, where there are as many nodes."""


@dataclass(frozen=True, slots=True, eq=False)
class Consensus:
    """Metaclusters of nodes, and how sure they are.

    Parameters
    ----------
    labels
        Metacluster of each node, ``(node,)``: 0 holds most cells; -1 is a node without cells.
    matrix
        Share of the resamples with both nodes in which they are together, ``(node, node)``; NaN
        for nodes without cells.
    stability
        Mean consensus of a node with its own metacluster, less the largest with another, from -1
        to 1, ``(node,)``; NaN for nodes without cells.
    rare
        Small, stable nodes far from their siblings, ``(node,)``.
    by_number
        Measures of each number of metaclusters.
    node_linkage
        Tree of the nodes with cells by their means, in SciPy's layout; leaves count nodes with
        cells only.
    consensus_linkage
        Tree by consensus that `labels` are cut from, of the same leaves.
    """

    labels: NDArray[np.int64]
    matrix: NDArray[np.float64]
    stability: NDArray[np.float64]
    rare: BoolArray
    by_number: StabilityByNumber
    node_linkage: NDArray[np.float64]
    consensus_linkage: NDArray[np.float64]

    @property
    def n_metaclusters(self) -> int:
        """Number of metaclusters."""
        return int(self.labels.max()) + 1


def consensus_metaclusters(  # noqa: PLR0913 - the settings of the method
    node_means: FloatArray,
    node_counts: IntArray,
    *,
    n_metaclusters: int,
    n_resamples: int = 100,
    share: float = 0.9,
    linkage: LinkageMethod = "average",
    zscore_cap: float | None = None,
    weighted: bool = False,
    random_state: int = 0,
) -> Consensus:
    """Metaclusters of nodes by consensus: pairs that stay together when nodes are left out.

    Each resample draws a share of the nodes and clusters them hierarchically; the consensus of two
    nodes is the share of the resamples with both that leave them together. Average linkage on one
    minus the consensus gives the metaclusters; where resamples do not decide, the tree of all
    nodes does.

    Parameters
    ----------
    node_means
        Mean score of the cells of each node, ``(node, marker)``. Rows of nodes without cells are
        not read.
    node_counts
        Cells of each node, ``(node,)``.
    n_metaclusters
        Number of metaclusters, exactly.
    n_resamples, share
        Number of resamples, and part of the nodes in each.
    linkage
        Of the nodes of a resample: ``"average"``, ``"ward"`` or ``"complete"``.
    zscore_cap
        Z-score each marker across nodes and limit it to plus and minus this; ``None``: as it is.
    weighted
        Let a node count as many times as it holds cells.
    random_state
        Seed of the resamples.

    Returns
    -------
    Labels, consensus matrix, stabilities and trees.

    Raises
    ------
    ValueError
        Shapes that do not fit, NaN in a node with cells, or more metaclusters than such nodes.

    Notes
    -----
    Monti et al., *Consensus clustering*, Machine Learning 52 (2003). The defaults of resamples and
    share, and average linkage in both stages, are those of FlowSOM in R.

    Examples
    --------
    >>> means = np.array([[0.0, 0.1], [0.1, 0.0], [np.nan, np.nan], [0.9, 1.0], [1.0, 0.9]])
    >>> found = consensus_metaclusters(means, np.array([5, 5, 0, 20, 9]), n_metaclusters=2)
    >>> found.labels
    array([ 1,  1, -1,  0,  0])
    >>> found.stability
    array([ 1.,  1., nan,  1.,  1.])
    """
    means, counts = _checked(node_means, node_counts, n_metaclusters)
    if linkage not in METHODS:
        raise ValueError(f"linkage is one of {', '.join(METHODS)}, not {linkage!r}")
    if n_resamples < 1 or not 0 < share <= 1:
        raise ValueError(
            f"n_resamples must be at least 1 and share in (0, 1], not {n_resamples} and {share}"
        )
    there = counts > 0
    n_nodes = int(there.sum())
    weights = counts[there].astype(np.float64) if weighted else None
    points = means[there]
    if zscore_cap is not None:
        points = capped_zscores(points, zscore_cap, weights=weights)
    rng = np.random.default_rng(random_state)
    draws = draw_resamples(n_nodes, n_resamples=n_resamples, share=share, rng=rng)
    resamples = resample_trees(
        points,
        draws,
        max_groups=min(max(n_metaclusters, MIN_COUNTED), n_nodes),
        method=linkage,
        weights=weights,
    )
    return cut_consensus(resamples, means, counts, n_metaclusters=n_metaclusters)


def cut_consensus(
    resamples: Resamples, node_means: FloatArray, node_counts: IntArray, *, n_metaclusters: int
) -> Consensus:
    """Metaclusters from resamples that were counted before: another number costs no resampling.

    Parameters
    ----------
    resamples
        Of the nodes with cells.
    node_means, node_counts
        Of all nodes.
    n_metaclusters
        At most ``resamples.max_groups``.
    """
    there = np.asarray(node_counts) > 0
    tree = hierarchy.linkage(resamples.distances(n_metaclusters), method="average")
    labels = _by_size(cut_tree(tree, n_metaclusters), node_counts[there])
    matrix = squareform(resamples.consensus(n_metaclusters))
    np.fill_diagonal(matrix, 1.0)
    stability = node_stability(matrix, labels)
    rare = rare_candidates(node_means[there], node_counts[there], labels, stability)
    whole = np.full((there.size, there.size), np.nan)
    whole[np.ix_(there, there)] = matrix
    return Consensus(
        labels=_spread(labels, there, EMPTY),
        matrix=whole,
        stability=_spread(stability, there, np.nan),
        rare=_spread(rare, there, False),
        by_number=stability_by_number(resamples),
        node_linkage=resamples.tree,
        consensus_linkage=tree,
    )


def _checked(
    node_means: FloatArray, node_counts: IntArray, n_metaclusters: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    means = np.asarray(node_means, dtype=np.float64)
    counts = np.asarray(node_counts, dtype=np.int64)
    if means.ndim != 2 or counts.shape != means.shape[:1]:
        raise ValueError(
            "node_means has the axes (node, marker) and node_counts one number for each node; "
            f"their shapes are {means.shape} and {counts.shape}"
        )
    n_nodes = int((counts > 0).sum())
    if n_nodes < 2:
        raise ValueError(
            f"{n_nodes} nodes hold a cell; metaclusters need at least 2 "
            "(with n_metaclusters=None nimbus.tl.cluster finds nodes alone)"
        )
    require_whole("n_metaclusters", n_metaclusters)
    if not 1 <= n_metaclusters <= n_nodes:
        raise ValueError(
            f"n_metaclusters={n_metaclusters}, but {n_nodes} nodes hold a cell; choose a number "
            f"from 1 to {n_nodes}; more nodes take a larger grid, or more cells"
        )
    bad = np.flatnonzero((counts > 0) & ~np.isfinite(means).all(axis=1))
    if bad.size:
        raise ValueError(
            f"the means of {bad.size} nodes with cells are not finite (the first is node "
            f"{bad[0]}); leave out markers that were not scored"
        )
    return means, counts


def _by_size(groups: IntArray, counts: IntArray) -> NDArray[np.int64]:
    """Groups renumbered from the one with most cells; of equal ones the first comes first."""
    cells = group_sums(np.asarray(counts, dtype=np.float64), groups, int(groups.max()) + 1)
    return np.argsort(np.argsort(-cells, kind="stable"))[groups].astype(np.int64)


def _spread(values: AnyArray, there: BoolArray, fill: object) -> AnyArray:
    out = np.full(there.size, fill, dtype=values.dtype)
    out[there] = values
    return out
