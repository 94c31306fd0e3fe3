"""Metaclusters in a table: read, computed from node means, and written with names and colours."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy.cluster import hierarchy

from nimbus._keys import Suffix
from nimbus._types import FloatArray
from nimbus.cluster.clustermap import ClusterMap
from nimbus.cluster.consensus import Consensus, consensus_metaclusters
from nimbus.cluster.edits import NO_METACLUSTER
from nimbus.cluster.linkage import LinkageMethod, linkage_tree
from nimbus.cluster.mapjson import map_to_json
from nimbus.cluster.profiles import group_means
from nimbus.data.clusters import NodeTable, map_of, nodes_of, record_of

Preset: TypeAlias = Literal["pixie"]


@dataclass(frozen=True, slots=True)
class ConsensusSettings:
    """How metaclusters are found; see :func:`nimbus.cluster.consensus.consensus_metaclusters`."""

    n_metaclusters: int
    n_resamples: int = 100
    share: float = 0.9
    linkage: LinkageMethod = "average"
    zscore_cap: float | None = None
    weighted: bool = False
    random_state: int = 0


PRESETS: Mapping[str, Mapping[str, Any]] = {"pixie": {"linkage": "ward", "zscore_cap": 3.0}}
"""Pixie z-scores across nodes, limits to 3 and uses Ward's linkage (Liu et al., 2023)."""


def find_metaclusters(nodes: NodeTable, settings: ConsensusSettings) -> Consensus:
    """Metaclusters of nodes."""
    return consensus_metaclusters(nodes.weighted_means, nodes.counts, **asdict(settings))


def write_consensus(
    table: AnnData, found: Consensus, settings: ConsensusSettings, *, key_added: str
) -> None:
    """Write metaclusters and what resamples tell of them.

    Where there are metaclusters, the new ones are one more edit of them.
    """
    record = record_of(table, key_added)
    fresh = ClusterMap.of([int(k) for k in found.labels])
    before = "map" in record or "metacluster" in record
    write_map_of(table, map_of(record).assign(fresh) if before else fresh, key_added=key_added)
    write_consensus_record(record_of(table, key_added), found, settings)


def write_consensus_record(
    record: MutableMapping[str, Any], found: Consensus, settings: ConsensusSettings
) -> None:
    """Write what resamples tell, beside metaclusters that were written before."""
    by_number = pd.DataFrame(
        {name: getattr(found.by_number, name) for name in found.by_number.__slots__}
    )
    by_number.index = by_number.index.astype(str)  # what AnnData writes
    kept = {name: value for name, value in asdict(settings).items() if value is not None}
    record["consensus"] = {
        "matrix": found.matrix.astype(np.float32),
        "stability": found.stability,
        "rare": found.rare,
        "by_number": by_number,
        "node_linkage": found.node_linkage,
        "consensus_linkage": found.consensus_linkage,
        "labels": found.labels,
        "settings": kept,
    }


def write_map_of(table: AnnData, clusters: ClusterMap, *, key_added: str) -> None:
    """Write the metacluster of each cell, names, colours, history and dendrogram.

    Metaclusters whose cells are not in the table any more stay in the map, and are no categories.
    """
    key = key_added + Suffix.METACLUSTER
    node = table.obs[key_added + Suffix.SOM].astype("float64").fillna(-1).to_numpy().astype(int)
    own = np.array(clusters.metacluster, dtype=np.int64)
    held = np.bincount(node[node >= 0], minlength=own.size) > 0
    there = sorted(set(own[held].tolist()) - {NO_METACLUSTER})
    position = {number: k for k, number in enumerate(there)}
    of_node = np.array([position.get(number, -1) for number in own.tolist()], dtype=np.int64)
    codes = np.where(node >= 0, of_node[node], -1)
    names = [clusters.names[number] for number in there]
    table.obs[key] = pd.Categorical.from_codes(codes, categories=pd.Index(names, dtype=object))
    record = record_of(table, key_added)  # by now a view has become a table with its own
    colors = [clusters.colors[number] for number in there]
    table.uns[key + Suffix.COLORS] = np.array(colors, dtype=object)
    record["metacluster"] = own
    record["map"] = map_to_json(clusters)
    table.uns.pop(f"dendrogram_{key}", None)
    if len(names) > 1:
        nodes = nodes_of(record)
        means = group_means(nodes.means, nodes.counts, of_node, n_groups=len(names))
        table.uns[f"dendrogram_{key}"] = _dendrogram(means, nodes.importance, names, key)


def _dendrogram(
    means: FloatArray, importance: FloatArray, names: list[str], key: str
) -> dict[str, Any]:
    """What ``scanpy.tl.dendrogram`` leaves; the tree is of Euclidean distances of mean scores."""
    tree = linkage_tree(means * importance)
    drawn = hierarchy.dendrogram(tree, labels=names, no_plot=True)
    correlation = np.full((len(names), len(names)), np.nan)
    if means.shape[1] > 1:
        with np.errstate(divide="ignore", invalid="ignore"):  # a flat profile correlates with none
            correlation = np.atleast_2d(np.corrcoef(means))
    return {
        "linkage": tree,
        "groupby": [key],
        "cor_method": "pearson",
        "linkage_method": "average",
        "categories_ordered": drawn["ivl"],
        "categories_idx_ordered": drawn["leaves"],
        "dendrogram_info": {
            "icoord": np.array(drawn["icoord"]),
            "dcoord": np.array(drawn["dcoord"]),
            "ivl": drawn["ivl"],
            "leaves": drawn["leaves"],
            "color_list": drawn["color_list"],
            "leaves_color_list": drawn["leaves_color_list"],
        },
        "correlation_matrix": correlation,
    }
