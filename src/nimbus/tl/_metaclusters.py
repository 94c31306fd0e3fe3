"""Metaclusters in a table: read, computed from node means, and written with names and colours."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from scipy.cluster import hierarchy

from nimbus._check import listed
from nimbus._keys import Suffix
from nimbus._types import FloatArray
from nimbus.cluster.clustermap import ClusterMap
from nimbus.cluster.consensus import Consensus, consensus_metaclusters
from nimbus.cluster.edits import NO_METACLUSTER
from nimbus.cluster.linkage import LinkageMethod, linkage_tree
from nimbus.cluster.mapjson import map_from_json, map_to_json
from nimbus.cluster.profiles import group_means

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


@dataclass(frozen=True, slots=True, eq=False)
class NodeTable:
    """Nodes of a trained map."""

    means: NDArray[np.float64]
    counts: NDArray[np.int64]
    importance: NDArray[np.float64]
    markers: tuple[str, ...]

    @property
    def weighted_means(self) -> FloatArray:
        """Means times the weights of the markers: distances as the map took them."""
        return np.asarray(self.means * self.importance)


def record_of(table: AnnData, key: str) -> MutableMapping[str, Any]:
    """What :func:`nimbus.tl.cluster` stored in ``uns``.

    Raises
    ------
    ValueError
        There is none of that key.
    """
    name = key + Suffix.CLUSTER
    if name not in table.uns or "node_means" not in table.uns[name]:
        found = [
            str(one).removesuffix(Suffix.CLUSTER)
            for one, record in table.uns.items()
            if isinstance(record, Mapping) and "node_means" in record
        ]
        raise ValueError(
            f"uns[{name!r}] holds no clustering; run nimbus.tl.cluster first, or pass key_added= "
            f"(there is {listed(found)})"
        )
    record: MutableMapping[str, Any] = table.uns[name]
    return record


def nodes_of(record: Mapping[str, Any]) -> NodeTable:
    """Nodes of a clustering."""
    means = np.asarray(record["node_means"], dtype=np.float64)
    importance = np.asarray(record.get("importance", np.ones(means.shape[1])), dtype=np.float64)
    markers = tuple(str(name) for name in record["markers"])
    return NodeTable(means, np.asarray(record["node_counts"], np.int64), importance, markers)


def map_of(record: Mapping[str, Any]) -> ClusterMap:
    """Metaclusters of a clustering, with their history.

    Raises
    ------
    ValueError
        There are none yet.
    """
    if "map" in record:
        return map_from_json(str(record["map"]))
    if "metacluster" in record:
        return ClusterMap.of([int(k) for k in record["metacluster"]])
    raise ValueError("there are no metaclusters yet; run nimbus.tl.metacluster first")


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
    """Write the metacluster of each cell, names, colours, history and dendrogram."""
    record = record_of(table, key_added)
    key = key_added + Suffix.METACLUSTER
    numbers = list(clusters.names)
    position = {number: k for k, number in enumerate(numbers)} | {NO_METACLUSTER: -1}
    of_node = np.array([position[own] for own in clusters.metacluster], dtype=np.int64)
    node = table.obs[key_added + Suffix.SOM].astype("float64").fillna(-1).to_numpy().astype(int)
    codes = np.where(node >= 0, of_node[node], -1)
    names = list(clusters.names.values())
    table.obs[key] = pd.Categorical.from_codes(codes, categories=pd.Index(names, dtype=object))
    table.uns[key + "_colors"] = np.array(list(clusters.colors.values()), dtype=object)
    record["metacluster"] = np.array(clusters.metacluster, dtype=np.int64)
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
