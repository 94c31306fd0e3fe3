"""What clustering leaves in the table: nodes, distances, the map, and all that repeats it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

from nimbus._check import one_or_more
from nimbus._keys import Suffix
from nimbus._types import IntArray
from nimbus.cluster.assign import Assignment
from nimbus.cluster.som import Som


@dataclass(frozen=True, slots=True, eq=False)
class Clustered:
    """A trained map and the nodes of all cells."""

    som: Som
    found: Assignment
    markers: tuple[str, ...]

    def node_means(self) -> NDArray[np.float64]:
        """Mean of the cells of each node, ``(node, marker)``; its profile where it has none."""
        return self.found.sums.means(self.som.codebook.profiles)


def record_of_nodes(done: Clustered, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The map, as it is kept in ``uns``."""
    return {
        "codebook": done.som.codebook.profiles,
        "layout_codebook": done.som.layout.profiles,
        "importance": done.som.codebook.importance,
        "node_means": done.node_means(),
        "node_counts": done.found.sums.count,
        "markers": np.array(done.markers, dtype=object),
        "grid": np.array([done.som.grid.rows, done.som.grid.columns]),
        "quantisation_error": done.found.quantisation_error,
        "topographic_error": done.found.topographic_error,
        "settings": storable(settings),
        "version": version("nimbus-spatial"),
    }


def write_nodes(
    table: AnnData, done: Clustered, record: Mapping[str, Any], *, key_added: str
) -> None:
    """Write node and distance of each cell into ``obs``, the map into ``uns``.

    Metaclusters of an earlier map go away.
    """
    node = labels_of_nodes(done.found.node, np.arange(done.som.grid.n_nodes))
    table.obs[key_added + Suffix.SOM] = node.set_axis(table.obs_names)
    table.obs[key_added + Suffix.SOM_DISTANCE] = done.found.distance
    own = key_added + Suffix.METACLUSTER
    if own in table.obs:
        del table.obs[own]
    for name in (own + Suffix.COLORS, f"dendrogram_{own}"):
        table.uns.pop(name, None)
    table.uns[key_added + Suffix.CLUSTER] = dict(record)


def labels_of_nodes(node: IntArray, label: IntArray) -> pd.Series:
    """Label of each cell by its node, as text; categories are those there are, by number.

    Examples
    --------
    >>> labels_of_nodes(np.array([10, 2, -1]), np.arange(16)).tolist()
    ['10', '2', nan]
    """
    own = np.where(node >= 0, np.asarray(label)[node], -1)
    there, codes = np.unique(own, return_inverse=True)
    missing = int(there.size > 0 and there[0] < 0)
    names = [str(number) for number in there[missing:]]
    return pd.Series(pd.Categorical.from_codes(codes.ravel() - missing, categories=pd.Index(names)))


def recorded_groups(restrict_to: tuple[str, str | Sequence[str]]) -> dict[str, Any]:
    """The column and the groups by name."""
    key, groups = restrict_to
    names = [str(group) for group in one_or_more(groups)]
    return {"key": key, "groups": names}


def storable(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Settings in forms that h5ad and zarr keep: what is ``None`` is left out.

    Examples
    --------
    >>> storable({"device": None, "grid": (2, 3), "sigma": {"end": 0.3}})
    {'grid': array([2, 3]), 'sigma': {'end': 0.3}}
    """
    kept: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            kept[name] = storable({str(key): one for key, one in value.items()})
        elif isinstance(value, tuple | list):
            text = any(isinstance(one, str) for one in value)
            kept[name] = np.array(value, dtype=object if text else None)
        elif callable(value):
            kept[name] = getattr(value, "__name__", type(value).__name__)
        elif value is not None:
            kept[name] = value
    return kept
