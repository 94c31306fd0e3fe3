"""What the nodes of a map show in a picture: markers, groups, or the colour of one value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib import colormaps
from matplotlib.colors import to_hex

from nimbus._check import one_or_more, require_known, require_once
from nimbus._keys import Suffix
from nimbus._types import FloatArray
from nimbus.cluster.clustermap import ClusterMap
from nimbus.data.clusters import NodeTable
from nimbus.data.groups import group_colors, group_key, groups_of

from ._glyphs import PAPER

Glyph: TypeAlias = Literal["star", "pie", "disc"]


@dataclass(frozen=True, slots=True, eq=False)
class NodeContent:
    """What all panels show.

    Parameters
    ----------
    nodes, clusters
        Of one clustering; there may be no metaclusters yet.
    glyph
        How they are drawn.
    title
        What `values` are of; empty for discs in the colour of their metacluster.
    values
        ``(node, part)``; of a disc ``(node, 1)``, or ``(node, 0)`` without `title`.
    parts
        Colour of each marker of a star or group of a pie, by name; none of a disc.
    """

    nodes: NodeTable
    clusters: ClusterMap | None
    glyph: Glyph
    title: str
    values: FloatArray
    parts: dict[str, str]

    def metacluster_colors(self, nodes: Sequence[int]) -> list[str]:
        """Colour of the metacluster of each node; paper where it has none."""
        if self.clusters is None:
            return [PAPER] * len(nodes)
        colors = self.clusters.colors
        return [colors.get(self.clusters.metacluster[node], PAPER) for node in nodes]


def node_content(
    table: AnnData,
    nodes: NodeTable,
    clusters: ClusterMap | None,
    glyph: Glyph,
    color: str | None,
    markers: str | Sequence[str] | None,
    key: str,
) -> NodeContent:
    """What the glyphs show, from the arguments of :func:`nimbus.pl.som`."""
    names = one_or_more(nodes.markers if markers is None else markers)
    require_known("marker", names, nodes.markers)
    require_once("markers", names)
    if glyph == "star":
        hues = colormaps["turbo"](np.linspace(0.03, 0.97, len(names)))
        parts = dict(zip(names, (to_hex(hue) for hue in hues), strict=True))
        return NodeContent(nodes, clusters, glyph, "marker", unit_values(nodes, names), parts)
    if glyph == "pie":
        column = group_key(table, color)
        groups = groups_of(table, column)
        parts = group_colors(table, column, list(groups.cat.categories))
        shares = shares_of_nodes(table, groups, nodes.counts.size, key=key)
        return NodeContent(nodes, clusters, glyph, column, shares, parts)
    if color is None:
        return NodeContent(nodes, clusters, glyph, "", nodes.means[:, :0], {})
    require_known("marker", [color], nodes.markers)
    own = nodes.means[:, [nodes.markers.index(color)]]
    return NodeContent(nodes, clusters, glyph, color, own, {})


def unit_values(nodes: NodeTable, markers: Sequence[str]) -> FloatArray:
    """Means of the nodes from 0 to 1, ``(node, marker)``: scores as they are, others by marker.

    Other values than scores go from the least to the largest mean of a node with cells.
    """
    columns = [nodes.markers.index(name) for name in markers]
    values = nodes.means[:, columns]
    there = values[nodes.counts > 0]
    if there.min(initial=0.0) >= 0 and there.max(initial=0.0) <= 1:
        return values
    low, high = there.min(axis=0), there.max(axis=0)
    span = np.where(high > low, high - low, 1.0)
    return np.asarray(np.clip((values - low) / span, 0, 1))


def shares_of_nodes(table: AnnData, groups: pd.Series, n_nodes: int, *, key: str) -> FloatArray:
    """Share of each group among the cells of each node that have one, ``(node, group)``."""
    node = pd.to_numeric(table.obs[key + Suffix.SOM].astype(object)).fillna(-1).to_numpy(np.int64)
    codes = groups.cat.codes.to_numpy()
    kept = (node >= 0) & (codes >= 0)
    counts = np.zeros((n_nodes, len(groups.cat.categories)))
    np.add.at(counts, (node[kept], codes[kept]), 1)
    total = counts.sum(axis=1, keepdims=True)
    return np.asarray(np.divide(counts, total, out=np.zeros_like(counts), where=total > 0))
