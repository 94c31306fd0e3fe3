"""Verb: clusters of a part of the cells, put back among those of all cells."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from anndata import AnnData
from spatialdata import SpatialData

from nimbus._check import listed, require_known
from nimbus._keys import Suffix
from nimbus.cluster.palette import distinct_colors
from nimbus.data.clusters import record_of
from nimbus.data.names import table_for_optional_key
from nimbus.data.tables import column_of


def combine_clusters(
    adata: AnnData | SpatialData,
    *,
    key: str,
    table_key: str = "table",
    key_added: str | None = None,
) -> None:
    """Put the clusters of a chosen group back among the groups of all cells.

    After ``tl.cluster(adata, restrict_to=("nimbus_metacluster", ["3", "7"]), key_added="t")`` the
    metaclusters of ``"t"`` are known for the cells of these two groups alone. This makes one column
    for all cells, named as ``restrict_to`` of scanpy does.

    Parameters
    ----------
    adata
        Table, or the SpatialData object that holds it.
    key
        ``key_added`` of the clustering of a part.
    table_key
        Table of a SpatialData object.
    key_added
        Name of the column; ``None`` is `key` and ``"_combined"``.

    Returns
    -------
    None. Sets ``obs["t_combined"]``, categorical: cells of other groups keep the name of theirs;
    those of the chosen groups are ``"3-7,0"``, ``"3-7,1"`` and so on after their metacluster (its
    node where there are none), or have its name where :func:`nimbus.tl.remap` gave it one. Equal
    names are one group. A cell that no node has is NaN. And ``uns["t_combined_colors"]``: groups
    keep their colours.

    Raises
    ------
    ValueError
        There is no such clustering, it was not of a part of the cells, or the column that it was
        restricted by has changed.

    Examples
    --------
    >>> import nimbus
    >>> scores = np.repeat([[0.9, 0.1], [0.9, 0.9], [0.1, 0.1]], 20, axis=0)
    >>> table = AnnData(np.zeros((60, 2)), layers={"nimbus": scores})
    >>> table.obs["lineage"] = ["T"] * 40 + ["B"] * 20
    >>> nimbus.tl.cluster(table, restrict_to=("lineage", ["T"]), key_added="t", grid=(1, 2),
    ...                   n_metaclusters=2)
    >>> combine_clusters(table, key="t")
    >>> table.obs["t_combined"].value_counts().to_dict()
    {'B': 20, 'T,0': 20, 'T,1': 20}
    """
    table = table_for_optional_key(adata, table_key, key_added)
    column, groups = _restricted_by(table, key)
    own = key + Suffix.METACLUSTER
    if own not in table.obs:
        own = key + Suffix.SOM
    prefix = "-".join(groups) + ","
    clusters = column_of(table.obs, own)
    part = clusters.astype(object)
    numbers = {name: str(name).isdigit() for name in clusters.cat.categories}
    names = {name: prefix + name if number else name for name, number in numbers.items()}
    before = pd.Categorical(column_of(table.obs, column))
    whole = pd.Series(before).astype("string").astype(object)
    chosen = whole.isin(groups).to_numpy()
    if (part.notna().to_numpy() & ~chosen).any():
        raise ValueError(
            f"obs[{column!r}] is not what {key!r} was restricted by: some of its cells are in "
            "other groups now; run nimbus.tl.cluster again"
        )
    combined = np.where(chosen, part.map(names), whole)
    kept = [str(name) for name in before.categories if str(name) not in groups]
    order = [*kept, *names.values()]
    result = pd.Categorical(combined, categories=list(dict.fromkeys(order)))
    result = result.remove_unused_categories()
    added = key_added or key + "_combined"
    table.obs[added] = result
    known = table.uns.get(column + Suffix.COLORS)
    table.uns[added + Suffix.COLORS] = _colors(list(result.categories), before, known)


def _restricted_by(table: AnnData, key: str) -> tuple[str, list[str]]:
    """Column and groups that a clustering was restricted to."""
    settings = record_of(table, key)["settings"]
    if "restrict_to" not in settings:
        raise ValueError(
            f"{key!r} is a clustering of all cells; nothing is to be combined (restrict_to= of "
            "nimbus.tl.cluster chooses a part)"
        )
    column = str(settings["restrict_to"]["key"])
    require_known("column of obs", [column], [str(name) for name in table.obs])
    groups = [str(name) for name in settings["restrict_to"]["groups"]]
    there = [str(name) for name in column_of(table.obs, column).astype("string").dropna().unique()]
    if not set(groups) & set(there):
        raise ValueError(
            f"obs[{column!r}] has no group {listed(groups)} any more; there is {listed(there)}"
        )
    return column, groups


def _colors(
    names: Sequence[str], before: pd.Categorical, known: Sequence[str] | None
) -> np.ndarray:
    """Colours that groups had before; others get new ones."""
    old: dict[str, str] = {}
    if known is not None and len(known) == len(before.categories):
        old = dict(zip(map(str, before.categories), known, strict=True))
    kept = {name: str(old[name]) for name in names if name in old}
    rest = [name for name in names if name not in kept]
    fresh = dict(zip(rest, distinct_colors(len(rest), taken=list(kept.values())), strict=True))
    return np.array([(kept | fresh)[name] for name in names], dtype=object)
