"""Clusterings in a table: the record of a trained map, its nodes and its metaclusters."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from anndata import AnnData
from numpy.typing import NDArray

from nimbus._check import listed, require_text
from nimbus._keys import Suffix
from nimbus._types import FloatArray
from nimbus.cluster.clustermap import ClusterMap
from nimbus.cluster.mapjson import map_from_json


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
    require_text("the key of a clustering", key)
    name = key + Suffix.CLUSTER
    if name not in table.uns or "node_means" not in table.uns[name]:
        found = [
            str(one).removesuffix(Suffix.CLUSTER)
            for one, record in table.uns.items()
            if isinstance(record, Mapping) and "node_means" in record
        ]
        raise ValueError(
            f"uns[{name!r}] holds no clustering; run nimbus.tl.cluster first, or name another "
            f"(key=, or key_added= of verbs: there is {listed(found)})"
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


def consensus_of(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """What resamples told of metaclusters.

    Raises
    ------
    ValueError
        There are none yet.
    """
    if "consensus" not in record:
        raise ValueError("there are no metaclusters yet; run nimbus.tl.metacluster first")
    found: Mapping[str, Any] = record["consensus"]
    return found
