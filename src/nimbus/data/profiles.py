"""Profiles of nodes and metaclusters in the order in which a heatmap shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from nimbus._types import FloatArray
from nimbus.cluster.clustermap import ClusterMap
from nimbus.cluster.linkage import linkage_tree
from nimbus.cluster.profiles import capped_zscores, group_means

from .clusters import NodeTable

ZSCORE_CAP = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class Profiles:
    """What is drawn.

    Parameters
    ----------
    markers
        From top to bottom.
    nodes
        From left to right, those of a metacluster beside each other, ``(node,)``.
    position
        Position of the metacluster of each of these nodes.
    node_values, metacluster_values
        ``(marker, node)`` and ``(marker, metacluster)``.
    node_counts, counts
        Cells of each node and metacluster.
    names, colors
        Of the metaclusters, from left to right.
    marker_tree, tree
        Of markers and metaclusters in SciPy's layout; ``None`` of a single one, or where the order
        was given.
    node_tree
        Of the nodes, where they stand in its order.
    node_trees
        Of the nodes of each metacluster, from left to right; only `node_tree` where there is one.
    """

    markers: tuple[str, ...]
    nodes: NDArray[np.int64]
    position: NDArray[np.int64]
    node_values: FloatArray
    metacluster_values: FloatArray
    node_counts: NDArray[np.int64]
    counts: NDArray[np.int64]
    names: tuple[str, ...]
    colors: tuple[str, ...]
    marker_tree: FloatArray | None
    tree: FloatArray | None
    node_trees: tuple[FloatArray | None, ...]
    node_tree: FloatArray | None = None


def ordered_profiles(
    nodes: NodeTable,
    clusters: ClusterMap,
    markers: Sequence[str] | None,
    *,
    zscore: bool,
    cap: float = ZSCORE_CAP,
    by_tree: bool = False,
) -> Profiles:
    """Nodes and metaclusters side by side where they are alike.

    Parameters
    ----------
    nodes, clusters
        Of one clustering.
    markers
        Those to show, in this order; ``None`` shows all, in the order of their tree.
    zscore
        Z-scores across nodes, and across metaclusters, limited to `cap`, instead of means.
    cap
        Largest z-score.
    by_tree
        Nodes in the order of their tree, instead of those of a metacluster beside each other.
    """
    numbers = list(clusters.names)
    own = np.array([numbers.index(m) if m >= 0 else -1 for m in clusters.metacluster])
    means = group_means(nodes.means, nodes.counts, own, n_groups=len(numbers))
    tree = _tree(means * nodes.importance)
    order = _leaves(tree, len(numbers))
    groups = [own >= 0] if by_tree else [own == group for group in order]
    members = [np.flatnonzero(group) for group in groups]
    node_trees = tuple(_tree(nodes.weighted_means[group]) for group in members)
    columns = np.concatenate(
        [
            group[_leaves(own_tree, len(group))]
            for group, own_tree in zip(members, node_trees, strict=True)
        ]
    )
    shown = list(range(means.shape[1])) if markers is None else _positions(nodes.markers, markers)
    marker_tree = _tree(means.T) if markers is None else None
    rows = [shown[k] for k in _leaves(marker_tree, len(shown))]
    node_values, values = nodes.means[columns], means[order]
    if zscore:
        node_values = capped_zscores(node_values, cap)
        values = capped_zscores(values, cap)
    counts = np.bincount(own[own >= 0], weights=nodes.counts[own >= 0], minlength=len(numbers))
    return Profiles(
        markers=tuple(nodes.markers[k] for k in rows),
        nodes=columns,
        position=np.argsort(order)[own[columns]],
        node_values=node_values[:, rows].T,
        metacluster_values=values[:, rows].T,
        node_counts=nodes.counts[columns],
        counts=counts[order].astype(np.int64),
        names=tuple(clusters.names[numbers[k]] for k in order),
        colors=tuple(clusters.colors[numbers[k]] for k in order),
        marker_tree=marker_tree,
        tree=tree,
        node_trees=node_trees,
        node_tree=node_trees[0] if by_tree else None,
    )


def _tree(points: FloatArray) -> FloatArray | None:
    if len(points) < 2:
        return None
    given = np.ascontiguousarray(points, dtype=np.float64)
    return _known_tree(given.tobytes(), given.shape[1])


@lru_cache(maxsize=512)
def _known_tree(points: bytes, n_columns: int) -> FloatArray:
    """Tree of points; kept, since an edit changes the nodes of two metaclusters out of many."""
    tree = linkage_tree(np.frombuffer(points).reshape(-1, n_columns))
    tree.flags.writeable = False
    return tree


def _leaves(tree: FloatArray | None, n: int) -> NDArray[np.int64]:
    """Leaves from left to right, as SciPy draws them."""
    if tree is None:
        return np.arange(n)
    order: list[int] = []
    waiting = [2 * len(tree)]
    while waiting:
        group = waiting.pop()
        if group <= len(tree):
            order.append(group)
        else:
            left, right = tree[group - len(tree) - 1, :2]
            waiting += [int(right), int(left)]
    return np.array(order, dtype=np.int64)


def _positions(there: Sequence[str], wanted: Sequence[str]) -> list[int]:
    return [list(there).index(name) for name in wanted]
