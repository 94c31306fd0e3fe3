"""Verb: metaclusters of nodes, again and in another number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from anndata import AnnData
from spatialdata import SpatialData

from nimbus._check import by_name, require_known
from nimbus._keys import Layers
from nimbus.data.clusters import nodes_of, record_of
from nimbus.data.tables import table_of

from ._metaclusters import (
    PRESETS,
    ConsensusSettings,
    Preset,
    find_metaclusters,
    write_consensus,
)

METHODS = ("consensus", "linkage")


def metacluster(
    adata: AnnData | SpatialData,
    *,
    n_metaclusters: int,
    method: str = "consensus",
    preset: Preset | None = None,
    options: Mapping[str, Any] | None = None,
    table_key: str = "table",
    key_added: str = Layers.SCORE,
    random_state: int = 0,
) -> None:
    """Put the nodes of :func:`nimbus.tl.cluster` into metaclusters, of any number.

    Nodes that stay together when nodes are left out are one metacluster (consensus clustering,
    Monti et al., 2003). It reads the stored means of the nodes alone.

    Parameters
    ----------
    adata
        Table after :func:`nimbus.tl.cluster`, or the SpatialData object that holds it.
    n_metaclusters
        Number of metaclusters. More than there are cell types is good: merging is easier than
        finding what was never apart; :func:`nimbus.pl.stability` helps to choose.
    method
        ``"consensus"``, or ``"linkage"``: the tree of all nodes alone.
    preset
        ``"pixie"``: z-scores across nodes, limited to 3, and Ward's linkage, as Pixie; ``None``:
        mean scores as they are, and average linkage, which finds more of the rare types.
    options
        ``n_resamples`` (100), ``share`` of the nodes in each (0.9), ``linkage`` (``"average"``,
        ``"ward"``, ``"complete"``), ``zscore_cap``, ``weighted`` (a node counts as often as it
        holds cells). They go before those of `preset`.
    table_key
        Table of a SpatialData object.
    key_added
        As in :func:`nimbus.tl.cluster`.
    random_state
        Seed of the resamples.

    Returns
    -------
    None. Sets

    - ``obs["nimbus_metacluster"]``: categorical; ``"0"`` has most cells. NaN where a cell has no
      node. Earlier metaclusters and their names are an undo away (:func:`nimbus.tl.remap`).
    - ``uns["nimbus_metacluster_colors"]``, ``uns["dendrogram_nimbus_metacluster"]``: as scanpy has
      them, so that ``sc.pl.matrixplot(..., dendrogram=True)`` takes them.
    - ``uns["nimbus_cluster"]["metacluster"]``: of each node, -1 for nodes without cells; and
      ``["consensus"]``: ``matrix``, ``stability`` and ``rare`` of each node, measures ``by_number``
      of metaclusters, ``node_linkage``, ``consensus_linkage`` and ``settings``.

    Raises
    ------
    ValueError
        There is no clustering, more metaclusters than nodes with cells, an unknown method, preset
        or option.

    Examples
    --------
    >>> import nimbus
    >>> import numpy as np
    >>> scores = np.repeat([[0.9, 0.1], [0.1, 0.9], [0.1, 0.1]], 20, axis=0)
    >>> table = AnnData(np.zeros((60, 2)), layers={"nimbus": scores})
    >>> nimbus.tl.cluster(table, grid=(2, 2), n_metaclusters=3)
    >>> metacluster(table, n_metaclusters=2)
    >>> table.obs["nimbus_metacluster"].value_counts().tolist()
    [40, 20]
    """
    table = table_of(adata, table_key)
    settings = _settings(n_metaclusters, preset, options or {}, random_state)
    require_known("method", [method], METHODS)
    if method == "linkage":  # one resample that holds every node
        settings = replace(settings, n_resamples=1, share=1.0)
    nodes = nodes_of(record_of(table, key_added))
    write_consensus(table, find_metaclusters(nodes, settings), settings, key_added=key_added)


def _settings(
    n_metaclusters: int, preset: str | None, options: Mapping[str, Any], random_state: int
) -> ConsensusSettings:
    settings = ConsensusSettings(n_metaclusters, random_state=random_state)
    fields = ("n_resamples", "share", "linkage", "zscore_cap", "weighted")
    options = by_name("options", options)
    require_known("option", options, fields)
    if preset is not None:
        require_known("preset", [preset], list(PRESETS))
        settings = replace(settings, **PRESETS[preset])
    return replace(settings, **options)
