"""Where the nodes of a map lie in a picture, and what joins them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nimbus._types import FloatArray
from nimbus.cluster.grid import Grid
from nimbus.cluster.spanning import spanning_tree, tree_layout
from nimbus.data.clusters import NodeTable

LARGEST = 0.46
"""Radius of the largest nodes, in parts of the distance to the nearest node."""

CLOSE = 0.5
"""Quantile of the distances to the nearest node that stands for all; some may overlap."""


@dataclass(frozen=True, slots=True, eq=False)
class NodeLayout:
    """Where nodes lie.

    Parameters
    ----------
    nodes
        Numbers of the nodes that are drawn.
    place
        x and y of each, ``(node, 2)``; y goes down.
    lines
        Lines to draw beneath, ``(line, 2, 2)``: ends, and x and y.
    strength
        How dark each line is, 0 to 1.
    radius
        Of the largest node.
    title
        What it is.
    """

    nodes: NDArray[np.int64]
    place: NDArray[np.float64]
    lines: NDArray[np.float64]
    strength: NDArray[np.float64]
    radius: float
    title: str


def grid_layout(nodes: NodeTable, record: Mapping[str, Any]) -> NodeLayout:
    """All nodes on their grid; between neighbours a wall, darker where they are less alike.

    Distances are those of the nodes before the k-means steps, which have the better order.
    """
    grid = Grid(*(int(side) for side in record["grid"]))
    place = grid.positions()[:, ::-1].astype(np.float64)
    profiles = np.asarray(record["layout_codebook"], dtype=np.float64) * nodes.importance
    index = np.arange(grid.n_nodes).reshape(grid.rows, grid.columns)
    lines, apart = [], []
    for near, far in ((index[:, :-1], index[:, 1:]), (index[:-1], index[1:])):
        own, other = near.ravel(), far.ravel()
        middle, across = (place[own] + place[other]) / 2, (place[other] - place[own])[:, ::-1] / 2
        lines.append(np.stack([middle - across, middle + across], axis=1))
        apart.append(np.linalg.norm(profiles[own] - profiles[other], axis=1))
    distance = np.concatenate(apart)
    dark = float(np.quantile(distance, 0.98)) if distance.size else 0.0
    strength = np.clip(distance / dark, 0, 1) if dark > 0 else np.zeros(distance.size)
    return NodeLayout(
        np.arange(grid.n_nodes),
        place,
        np.concatenate(lines),
        strength,
        LARGEST,
        f"{grid.rows} x {grid.columns} nodes",
    )


def tree_of_nodes(nodes: NodeTable) -> NodeLayout:
    """Nodes with cells, joined by the minimum spanning tree of their mean scores."""
    there = np.flatnonzero(nodes.counts > 0)
    edges = spanning_tree(nodes.weighted_means[there])
    place = tree_layout(edges)
    dark = np.full(len(edges), 0.6)
    size = LARGEST * _room(place)
    return NodeLayout(there, place, place[edges], dark, size, "minimum spanning tree")


def _room(place: FloatArray) -> float:
    """How far nodes are from their nearest one."""
    if len(place) < 2:
        return 1.0
    apart = np.linalg.norm(place[:, None] - place[None], axis=2)
    np.fill_diagonal(apart, np.inf)
    return float(np.quantile(apart.min(axis=1), CLOSE))
