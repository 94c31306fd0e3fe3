"""The work of ``nimbus cluster`` and ``nimbus annotate``."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from anndata import AnnData
from spatialdata import SpatialData

import nimbus
from nimbus._keys import Suffix
from nimbus._progress import tell
from nimbus.data.clusters import nodes_of, record_of
from nimbus.data.names import require_key_names, table_for_key
from nimbus.data.tables import table_of

from ._columns import columns, number
from ._measure import export
from ._newfile import require_file
from ._opened import claimed_if_store, opened, save_keys
from ._outputs import TABLE_KINDS
from ._whole import written_whole

POSITIVE = 0.5
"""Mean score from which a marker is shown as one of a metacluster."""

MOST_MARKERS = 6
"""Markers that are shown in a row; the table in ``uns`` has them all."""

CLUSTER_KEYS = (
    ("obs", Suffix.SOM),
    ("obs", Suffix.SOM_DISTANCE),
    ("obs", Suffix.METACLUSTER),
    ("uns", Suffix.METACLUSTER + Suffix.COLORS),
    ("uns", Suffix.CLUSTER),
)
ANNOTATE_KEYS = (
    ("obs", Suffix.CELL_TYPE),
    ("obs", Suffix.CELL_TYPE_CONFIDENCE),
    ("uns", Suffix.CELL_TYPE + Suffix.COLORS),
    ("uns", Suffix.CELL_TYPE),
    ("obsm", Suffix.CELL_TYPE),
)


@dataclass(frozen=True, slots=True, eq=False)
class Grouping:
    """All that one of the two commands was asked for.

    Parameters
    ----------
    store
        SpatialData store or ``.h5ad``.
    wanted
        Arguments of the verb.
    table
        File to write the cells to.
    overwrite
        Replace it.
    """

    store: Path
    wanted: Mapping[str, Any]
    table: Path | None
    overwrite: bool


def cluster_all(run: Grouping) -> str:
    """Cluster the cells of a store, write the result into it, and sum it up in text."""
    prefix = run.wanted["key_added"]
    keys = [f"{part}/{prefix}{suffix}" for part, suffix in CLUSTER_KEYS]
    keys.append(f"uns/dendrogram_{prefix}{Suffix.METACLUSTER}")
    return _run(run, nimbus.tl.cluster, keys, clusters_as_text)


def annotate_all(run: Grouping, assignment: Path) -> str:
    """Name the cells of a store, write the result into it, and sum it up in text."""
    prefix = run.wanted["key_added"]
    keys = [f"{part}/{prefix}{suffix}" for part, suffix in ANNOTATE_KEYS]

    def annotate(data: Any, **wanted: Any) -> None:
        nimbus.tl.annotate(data, assignment, **wanted)

    return _run(run, annotate, keys, types_as_text)


def clusters_as_text(table: AnnData, key: str) -> str:
    """Metaclusters, the largest first: cells, their share, and markers of high mean."""
    record = record_of(table, key)
    nodes = nodes_of(record)
    head = (
        f"{int(nodes.counts.sum())} cells, {len(nodes.markers)} markers, "
        f"{int((nodes.counts > 0).sum())} nodes with cells; quantisation error "
        f"{float(record['quantisation_error']):.3f}"
    )
    own = key + Suffix.METACLUSTER
    if own not in table.obs:
        return head
    clusters, codes = table.obs[own].cat.categories, table.obs[own].cat.codes.to_numpy()
    node = table.obs[key + Suffix.SOM].astype("float64").fillna(-1).to_numpy().astype(int)
    rows = []
    for k, name in enumerate(clusters):
        here = np.bincount(node[codes == k], minlength=nodes.counts.size)
        mean = here @ nodes.means / max(int(here.sum()), 1)
        high = [j for j in np.argsort(-mean, kind="stable") if mean[j] >= POSITIVE]
        shown = ", ".join(f"{nodes.markers[j]} {mean[j]:.2f}" for j in high[:MOST_MARKERS])
        rows.append([str(name), str(here.sum()), _share(here.sum(), nodes.counts.sum()), shown])
    text = columns(["metacluster", "cells", "share", "markers"], rows, right=["cells", "share"])
    return f"{head}\n\n{text}"


def types_as_text(table: AnnData, key: str) -> str:
    """Cell types or named groups: cells, confidence, and what spoke for and against."""
    record = table.uns[key + Suffix.CELL_TYPE]
    summary = record["summary"]
    by_group = "groupby" in record["settings"]
    n_cells = int(summary["n_cells"].sum())
    rows = []
    for row in summary.sort_values("n_cells", ascending=False, kind="stable").to_dict("records"):
        name = [str(row["group"]), row["cell_type"]] if by_group else [row["cell_type"]]
        agreement = [number(row["agreement"], 2)] if by_group else []
        rows.append(
            [
                *name,
                str(row["n_cells"]),
                _share(row["n_cells"], n_cells),
                number(row["confidence"], 2),
                *agreement,
                _first(row["for"], 4),
                _first(row["against"], 2),
            ]
        )
    right = ["cells", "share", "confidence", "agreement"]
    head = [*(["group"] if by_group else []), "cell type", "cells", "share", "confidence"]
    head += [*(["agreement"] if by_group else []), "for", "against"]
    told = (
        f"{n_cells} cells, {len(record['types'])} cell types\n\n{columns(head, rows, right=right)}"
    )
    n_overlaps = len(record["overlaps"])
    if n_overlaps:
        told += f"\n\n{n_overlaps} pairs or groups of types that the panel cannot tell apart."
    return told


def _run(
    run: Grouping,
    verb: Callable[..., None],
    keys: list[str],
    as_text: Callable[[AnnData, str], str],
) -> str:
    """Read, run, write back what was touched, and tell."""
    _check_output(run)
    tell("settings", **run.wanted)
    table_key, prefix = run.wanted["table_key"], run.wanted["key_added"]
    with claimed_if_store(run.store):
        data = opened(run.store)
        _require_names(data, keys, run.wanted)
        verb(data, **run.wanted)
        save_keys(run.store, data, keys, table_key=table_key)
    table = table_of(data, table_key)
    written = [f"wrote {run.store}"]
    if run.table is not None:
        with written_whole(run.table) as part:
            export(table, part, layer=run.wanted["layer"])
        written.append(f"wrote {run.table}")
    tell("result", cells=table.n_obs, markers=table.n_vars, written=written)
    return "\n".join([as_text(table, prefix), "", *written])


def _require_names(data: AnnData | SpatialData, keys: list[str], wanted: Mapping[str, Any]) -> None:
    """Fail before the work if the store could not be read with what it is called."""
    prefix = wanted["key_added"]
    table = table_for_key(data, wanted["table_key"], prefix)
    if isinstance(data, SpatialData):
        for attribute, _, name in (key.partition("/") for key in keys):
            require_key_names(table, {attribute: [name]}, key_added=prefix)


def _check_output(run: Grouping) -> None:
    """Fail before the work if its result could not be written."""
    if run.store.exists() and not os.access(
        run.store if run.store.is_dir() else run.store.absolute().parent, os.W_OK
    ):
        raise PermissionError(f"{run.store} cannot be written; copy it")
    if run.table is not None:
        require_file("--table", run.table, TABLE_KINDS, overwrite=run.overwrite)


def _share(part: int, whole: int) -> str:
    return f"{100 * part / max(whole, 1):.1f}%"


def _first(text: str, n: int) -> str:
    return ", ".join(text.split(", ")[:n])
