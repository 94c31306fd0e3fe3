"""What the heatmaps show: columns of nodes, and columns of metaclusters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy.cluster import hierarchy

from nimbus._types import BoolArray, FloatArray
from nimbus.data.clusters import NodeTable
from nimbus.data.profiles import Profiles, ordered_profiles

from .state import State
from .view import ZSCORE_LIMIT

Lines = tuple[list[list[float]], list[list[float]]]
"""x and y of each line of a tree."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Columns of a heatmap from left to right.

    Parameters
    ----------
    ids
        Number of each node or metacluster.
    labels
        What each is called where the pointer is.
    groups
        Name of its metacluster.
    values
        ``(marker, column)``, float32.
    counts
        Cells.
    colors
        Of its metacluster.
    selected
        Share of its nodes that is selected.
    found
        Whether the search finds it.
    notes
        What resamples told.
    tree
        Lines above the columns; leaves stand at 0.5, 1.5, ...
    """

    ids: NDArray[np.int64]
    labels: list[str]
    groups: list[str]
    values: NDArray[np.float32]
    counts: NDArray[np.int64]
    colors: list[str]
    selected: NDArray[np.float64]
    found: BoolArray
    notes: list[str]
    tree: Lines

    @property
    def n_columns(self) -> int:
        """Number of columns."""
        return len(self.ids)

    def column_at(self, x: float) -> int | None:
        """Number of the node or metacluster at a place; ``None`` beside all."""
        place = int(np.floor(x))
        return int(self.ids[place]) if 0 <= place < self.n_columns else None

    def columns_within(self, x0: float, x1: float) -> list[int]:
        """Numbers of the columns that a span of places touches."""
        first, last = sorted((x0, x1))
        return [int(k) for k in self.ids[max(0, int(np.floor(first))) : max(0, int(np.ceil(last)))]]


def profiles_of(nodes: NodeTable, state: State) -> Profiles:
    """Profiles in the order in which the page shows them."""
    view = state.view
    ordered = partial(
        ordered_profiles,
        nodes,
        state.clusters,
        zscore=view.zscore,
        cap=ZSCORE_LIMIT,
        by_tree=view.layout == "dendrogram",
    )
    profiles = ordered(view.shown_markers if view.by_hand else None)
    if view.by_hand or not view.hidden:
        return profiles
    # Alike markers beside each other, but only those that are shown.
    return ordered([m for m in profiles.markers if m not in view.hidden])


def node_block(
    profiles: Profiles, state: State, *, rare: BoolArray, stability: FloatArray
) -> Block:
    """Columns of the nodes that hold cells."""
    ids = profiles.nodes
    own = [state.clusters.metacluster[node] for node in ids]
    found = set(state.found_nodes())
    names, colors = state.clusters.names, state.clusters.colors
    return Block(
        ids=ids,
        labels=[f"node {node}" for node in ids],
        groups=[names[m] for m in own],
        values=profiles.node_values.astype(np.float32),
        counts=profiles.node_counts,
        colors=[colors[m] for m in own],
        selected=np.array([float(int(node) in state.selected) for node in ids]),
        found=np.array([int(node) in found for node in ids], dtype=bool),
        notes=[_note(rare[node], stability[node]) for node in ids],
        tree=tree_lines(profiles.node_tree),
    )


def metacluster_block(profiles: Profiles, state: State) -> Block:
    """Columns of the metaclusters."""
    number = {name: k for k, name in state.clusters.names.items()}
    ids = np.array([number[name] for name in profiles.names])
    members = [state.clusters.nodes_of(int(k)) for k in ids]
    text = state.view.search.strip().casefold()
    return Block(
        ids=ids,
        labels=list(profiles.names),
        groups=list(profiles.names),
        values=profiles.metacluster_values.astype(np.float32),
        counts=profiles.counts,
        colors=list(profiles.colors),
        selected=np.array([len(state.selected.intersection(m)) / len(m) for m in members]),
        found=np.array([bool(text) and text in n.casefold() for n in profiles.names], dtype=bool),
        notes=[f"{len(m)} nodes" if len(m) > 1 else "1 node" for m in members],
        tree=tree_lines(profiles.tree),
    )


def tree_lines(tree: FloatArray | None) -> Lines:
    """Lines of a tree over leaves at 0.5, 1.5, ...; heights go up to 1.

    Examples
    --------
    >>> tree_lines(np.array([[0.0, 1.0, 4.0, 2.0]]))
    ([[0.5, 0.5, 1.5, 1.5]], [[0.0, 1.0, 1.0, 0.0]])
    """
    if tree is None:
        return [], []
    drawn = hierarchy.dendrogram(tree, no_plot=True)
    top = max(float(np.max(drawn["dcoord"])), 1e-12)
    xs = [[float(x) / 10 for x in line] for line in drawn["icoord"]]  # SciPy has 5, 15, ...
    ys = [[float(y) / top for y in line] for line in drawn["dcoord"]]
    return xs, ys


def runs(chosen: Sequence[bool] | BoolArray) -> list[tuple[int, int]]:
    """First and last + 1 of each stretch of chosen columns.

    Examples
    --------
    >>> runs([True, True, False, True])
    [(0, 2), (3, 4)]
    """
    steps = np.diff(np.concatenate([[0], np.asarray(chosen, dtype=np.int8), [0]]))
    starts, stops = np.flatnonzero(steps == 1), np.flatnonzero(steps == -1)
    return [(int(a), int(b)) for a, b in zip(starts, stops, strict=True)]


def _note(rare: bool, stability: float) -> str:
    told = f"stability {stability:.2f}" if np.isfinite(stability) else ""
    return f"{told}, rare candidate".lstrip(", ") if rare else told
