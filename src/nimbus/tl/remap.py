"""Verb: merge, split, move, name and colour metaclusters."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.colors import to_hex
from spatialdata import SpatialData

from nimbus._check import Named, listed, told
from nimbus._keys import Layers, Suffix
from nimbus._types import IntArray
from nimbus.cluster.clustermap import ClusterMap
from nimbus.cluster.edits import NO_METACLUSTER
from nimbus.cluster.mapcsv import map_from_csv
from nimbus.cluster.mapfiles import read_map
from nimbus.data.clusters import map_of, nodes_of, record_of
from nimbus.data.tables import column_of, table_of

from ._metaclusters import write_map_of

Mapped: TypeAlias = Mapping[str | int, str] | pd.DataFrame | str | Path | ClusterMap


def remap(
    adata: AnnData | SpatialData,
    mapping: Mapped | None = None,
    *,
    merge: Iterable[Sequence[str | int]] = (),
    split: Mapping[str, Sequence[int]] | None = None,
    move: Mapping[str, Sequence[int]] | None = None,
    colors: Mapping[str, str] | None = None,
    table_key: str = "table",
    key_added: str = Layers.SCORE,
) -> ClusterMap:
    """Change metaclusters: merge, split, move nodes, rename, colour; every change can be undone.

    Changes are made in the order of the arguments. Metaclusters are given by name (text) or number.

    Parameters
    ----------
    adata
        Table after :func:`nimbus.tl.cluster`, or the SpatialData object that holds it.
    mapping
        ``{old name: new name}``, where those that get the same name are merged; or a data frame,
        a ``.csv`` or ``.json`` file with all nodes, such as the published page writes
        (``cell_som_cluster``, ``cell_meta_cluster``, ``cell_meta_cluster_rename``); or a
        :class:`~nimbus.cluster.clustermap.ClusterMap`, which takes the place of that in the table,
        with its history, as does a ``.json`` file.
    merge
        Groups of metaclusters; of each the first keeps its name and colour.
    split
        ``{name of a new metacluster: its nodes}``.
    move
        ``{name of a metacluster: nodes to move into it}``. A metacluster without nodes goes away.
    colors
        ``{name: colour}`` as Matplotlib takes it.
    table_key
        Table of a SpatialData object.
    key_added
        As in :func:`nimbus.tl.cluster`.

    Returns
    -------
    The map as it is now: ``tl.remap(adata, tl.remap(adata).undo())`` takes the last change back,
    also after the table was written and read. Sets ``obs["nimbus_metacluster"]``,
    ``uns["nimbus_metacluster_colors"]``, ``uns["dendrogram_nimbus_metacluster"]``, and in
    ``uns["nimbus_cluster"]`` the ``metacluster`` of each node and the ``map`` as JSON text with
    all changes. A metacluster whose cells were taken out of the table stays in the map, and is no
    category.

    Raises
    ------
    ValueError
        There are no metaclusters; an unknown metacluster or node; a name that another metacluster
        has; a file that holds no map, or one of other nodes
        (:class:`~nimbus.cluster.edits.ClusterMapError`). Nothing is changed then.

    Warns
    -----
    UserWarning
        ``obs["nimbus_metacluster"]`` holds names that the map does not know, as those of pandas'
        ``rename_categories``: the map takes their place.

    Examples
    --------
    >>> import nimbus
    >>> scores = np.repeat([[0.9, 0.1], [0.1, 0.9], [0.1, 0.1]], [30, 20, 10], axis=0)
    >>> table = AnnData(np.zeros((60, 2)), layers={"nimbus": scores})
    >>> nimbus.tl.cluster(table, grid=(2, 2), n_metaclusters=3)
    >>> now = remap(table, {"0": "T cell", "1": "B cell", "2": "T cell"})
    >>> table.obs["nimbus_metacluster"].value_counts().to_dict()
    {'T cell': 40, 'B cell': 20}
    >>> now = remap(table, now.undo())
    >>> table.obs["nimbus_metacluster"].value_counts().to_dict()
    {'0': 30, '1': 20, '2': 10}
    """
    table = table_of(adata, table_key)
    record = record_of(table, key_added)
    nodes = nodes_of(record)
    before = map_of(record)
    clusters = _mapped(before, mapping, nodes.counts)
    for group in merge:
        clusters = clusters.merge(group)
    for name, own in (split or {}).items():
        clusters = clusters.split(own, name=name)
    for name, own in (move or {}).items():
        clusters = clusters.move(own, name)
    for name, color in (colors or {}).items():
        clusters = clusters.recolor(name, to_hex(color))
    _require_fit(clusters, nodes.counts)
    _warn_of_other_names(table, key_added + Suffix.METACLUSTER, before)
    write_map_of(table, clusters, key_added=key_added)
    return clusters


def _warn_of_other_names(table: AnnData, key: str, clusters: ClusterMap) -> None:
    """Warn of names that are written over, because they were not given through the map."""
    if key not in table.obs:
        return
    shown = {str(name) for name in column_of(table.obs, key).dropna().unique()}
    strangers = sorted(shown - set(clusters.names.values()))
    if strangers:
        warnings.warn(
            f"obs[{key!r}] held {listed(strangers)}, which the map in uns does not know: names "
            "that were not given with nimbus.tl.remap are replaced by those of the map",
            stacklevel=3,
        )


def _mapped(clusters: ClusterMap, mapping: Mapped | None, counts: IntArray) -> ClusterMap:
    """The map after what was given as `mapping`."""
    match mapping:
        case None:
            return clusters
        case ClusterMap():
            return mapping
        case pd.DataFrame():
            read = map_from_csv(mapping.to_csv(index=False), n_nodes=counts.size)
        case str() | Path():
            read = read_map(mapping, n_nodes=counts.size)
            if Path(mapping).suffix.lower() == ".json":
                return read
        case _ if not isinstance(mapping, Named):
            raise TypeError(
                f"mapping must be {{metacluster: name}}, a table or its file, not {told(mapping)}"
            )
        case _:
            names = dict(mapping.items())
            return clusters.renamed(names) if names else clusters
    return clusters.assign(_without_empty(read, counts))


def _without_empty(clusters: ClusterMap, counts: IntArray) -> ClusterMap:
    """Nodes without cells have no metacluster, whatever a file says."""
    own = np.where(counts > 0, clusters.metacluster, NO_METACLUSTER)
    there = set(own.tolist())
    return ClusterMap.of(
        own.tolist(),
        names={k: name for k, name in clusters.names.items() if k in there},
        colors={k: color for k, color in clusters.colors.items() if k in there},
    )


def _require_fit(clusters: ClusterMap, counts: IntArray) -> None:
    """Refuse a map of other nodes."""
    if len(clusters.metacluster) != counts.size:
        raise ValueError(
            f"the map is of {len(clusters.metacluster)} nodes, but the clustering has {counts.size}"
        )
    assigned = np.array(clusters.metacluster) != NO_METACLUSTER
    for wrong, what in (
        ((counts > 0) & ~assigned, "hold cells, but have no metacluster"),
        ((counts == 0) & assigned, "hold no cell, but have a metacluster"),
    ):
        if wrong.any():
            raise ValueError(
                f"nodes {listed(np.flatnonzero(wrong))} {what} in this map; is it of another "
                "clustering?"
            )
