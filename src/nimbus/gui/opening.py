"""From a table in memory or a store on disk to what a page needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import spatialdata
import zarr
from anndata import AnnData
from numpy.typing import NDArray
from spatialdata import SpatialData
from spatialdata.models import get_table_keys

from nimbus._check import listed, require_known
from nimbus._exchange import beside
from nimbus._keys import Obs, Suffix
from nimbus._types import AnyArray
from nimbus.cluster.grid import Grid
from nimbus.cluster.spanning import spanning_tree, tree_layout
from nimbus.data.clusters import NodeTable, map_of, nodes_of, record_of
from nimbus.data.elements import image_names, pair_elements
from nimbus.data.layers import dense, layer_names, marker_values
from nimbus.data.mapstore import TablePlace, holds
from nimbus.data.tables import table_of
from nimbus.tl._clusterinput import obsm_columns
from nimbus.tl._metaclusters import ConsensusSettings

from .cells import Cells, Histograms, numbers_of
from .desk import Desk, Facts
from .keeping import Edit, InMemory, OnDisk, recover
from .saving import Keeper, Saving
from .state import State
from .tissue import Tissue, tissue_of
from .view import ends_of


@dataclass(frozen=True, slots=True)
class Request:
    """What a page is made of.

    Parameters
    ----------
    key
        ``key_added`` of the clustering.
    layer
        Values of the histograms; ``None`` takes what was clustered.
    table_key
        Table of a SpatialData object.
    image_key
        Image of all labels, or of each; ``None`` finds it.
    region_key
        Column of ``obs`` with the field of each cell, where the table annotates no labels.
    """

    key: str
    layer: str | None = None
    table_key: str = "table"
    image_key: str | Mapping[str, str] | None = None
    region_key: str | None = None


def desk_of(
    data: AnnData | SpatialData, request: Request, *, write: bool = False, title: str = ""
) -> Desk:
    """A desk for a table; with `write` its edits also go to the store of `data`.

    Raises
    ------
    ValueError
        There is no clustering, there are no metaclusters, `data` has no store to write to or one
        that holds another table, or images and labels do not lie on each other.
    """
    table = table_of(data, request.table_key)
    record_of(table, request.key)  # refuses a table without a clustering
    keeper: Keeper[Edit] = InMemory(table, request.key)
    if write:
        if isinstance(data, AnnData) or data.path is None:
            raise ValueError(
                "write=True, but the data have no store; write them once with sdata.write(path), "
                "or pass write=False"
            )
        place = TablePlace(Path(data.path), f"tables/{request.table_key}", request.key)
        _require_same(place, table, request.table_key)
        keeper = OnDisk(InMemory(table, request.key), place)
    return _desk(data, table, request, keeper, title=title)


def _require_same(place: TablePlace, table: AnnData, table_key: str) -> None:
    """Refuse a store that edits of this table do not fit, or that lacks edits made before."""
    if place.journal.exists():
        raise ValueError(
            f"{str(place.journal)!r} holds edits that did not reach the store yet, and new ones "
            "would take their place; if no page is open on it, bring them in with nimbus gui, or "
            "give the file to nimbus.tl.remap, then move it away"
        )
    if not holds(place, table):
        raise ValueError(
            f"write=True, but the store {str(place.path)!r} does not hold table {table_key!r} as "
            "it is in memory: it has other cells or another order of them, or not these "
            f"metaclusters; write it first with nimbus.io.write_table(sdata, {table_key!r}), or "
            "pass write=False"
        )


def open_desk(path: Path, request: Request) -> Desk:
    """A desk for a SpatialData store, or for a table in ``.h5ad`` or zarr; edits go to it.

    Edits of an earlier run that was stopped before they reached the table are brought in first.

    Raises
    ------
    FileNotFoundError
        There is no such store.
    ValueError
        As :func:`desk_of`.
    """
    if not path.exists():
        raise FileNotFoundError(f"there is no store {str(path)!r}")
    group = f"tables/{request.table_key}" if (path / "tables").is_dir() else ""
    place = TablePlace(path, group, request.key)
    recover(place)
    data: AnnData | SpatialData
    if group:
        data = spatialdata.read_zarr(path)
        table = table_of(data, request.table_key)
    elif path.is_dir():
        if zarr.open_group(path, mode="r").attrs.get("encoding-type") != "anndata":
            raise ValueError(f"{str(path)!r} holds no table; score and cluster its cells first")
        data = table = anndata.read_zarr(path)
    else:
        data = table = anndata.read_h5ad(path)
    record_of(table, request.key)
    keeper = OnDisk(InMemory(table, request.key), place, alone=True)
    return _desk(data, table, request, keeper, title=beside(path, "").name)


def _desk(
    data: AnnData | SpatialData,
    table: AnnData,
    request: Request,
    keeper: Keeper[Edit],
    *,
    title: str,
) -> Desk:
    record = record_of(table, request.key)
    nodes, clusters = nodes_of(record), map_of(record)
    node = numbers_of(table.obs[request.key + Suffix.SOM])
    pairs = image_pairs(data, table_key=request.table_key, image_key=request.image_key)
    region_key = _region_key(table, request.region_key)
    tissue = tissue_of(data, table, node, pairs=pairs, region_key=region_key)
    cells = _cells(table, node, region_key, tissue, nodes)
    edges, places = _places(record, nodes)
    facts = Facts(
        title=title or request.key,
        nodes=nodes,
        places=places,
        edges=edges,
        cells=cells,
        histograms=Histograms(_values(table, record, request.layer), cells),
        tissue=tissue,
        settings=_settings(record, len(clusters.names)),
        **_flags(record, nodes),
    )
    state = State.of(clusters, markers=nodes.markers)
    state = state.shown(state.view.with_limits(*ends_of(nodes.means[nodes.counts > 0])))
    if tissue is not None and tissue.fields:
        field = tissue.fields[0]
        state = state.shown(state.view.with_tissue(field, _first_channel(tissue, field, nodes)))
    return Desk(facts, state, Saving(keeper, advice="Export the mapping to keep it."))


def image_pairs(
    data: AnnData | SpatialData,
    *,
    table_key: str,
    image_key: str | Mapping[str, str] | None,
) -> dict[str, str]:
    """Image of each labels element that the table annotates; none where there are no images."""
    if isinstance(data, AnnData):
        return {}
    table = table_of(data, table_key)
    if "spatialdata_attrs" not in table.uns or not image_names(data):
        return {}
    regions = table.obs[get_table_keys(table)[1]].astype(str).unique()
    wanted = [name for name in regions if name in data.labels]
    if not wanted:
        return {}
    return pair_elements(data, image_key=image_key, labels_key=wanted)


def _region_key(table: AnnData, given: str | None) -> str | None:
    if given is not None:
        require_known("region_key", [given], list(table.obs.columns))
        return given
    if "spatialdata_attrs" in table.uns:
        return str(get_table_keys(table)[1])
    return Obs.REGION if Obs.REGION in table.obs else None


def _cells(
    table: AnnData,
    node: NDArray[np.int32],
    region_key: str | None,
    tissue: Tissue | None,
    nodes: NodeTable,
) -> Cells:
    """Cells by the fields of the tissue; by one field of no name where there is none."""
    n_nodes = nodes.counts.size
    if tissue is None or region_key is None:
        fields = ("all cells",) if tissue is None else tissue.fields
        return Cells.of(node, np.zeros(node.size, np.int32), fields, n_nodes=n_nodes)
    regions = table.obs[region_key].astype("category").cat
    place = {name: k for k, name in enumerate(tissue.fields)}
    of_code = np.array([place.get(str(c), -1) for c in regions.categories] + [-1], dtype=np.int32)
    return Cells.of(node, of_code[regions.codes.to_numpy()], tissue.fields, n_nodes=n_nodes)


def _values(
    table: AnnData, record: Mapping[str, Any], layer: str | None
) -> Callable[[str], AnyArray]:
    """Values of a marker for every cell, from the layer asked for or from what was clustered."""
    source = str(record.get("settings", {}).get("source", "X"))
    if layer is None and source.startswith("obsm/"):
        values, columns = obsm_columns(table, source.removeprefix("obsm/"))
        return lambda marker: dense(values[:, [columns.index(marker)]]).ravel()
    wanted = layer or source.removeprefix("layers/")
    if wanted not in ("X", *table.layers):
        raise ValueError(f"layer {wanted!r} does not exist; there is {listed(layer_names(table))}")
    if wanted == "X":
        return lambda marker: dense(table.X[:, [table.var_names.get_loc(marker)]]).ravel()
    return lambda marker: marker_values(table, marker, wanted)


def _places(
    record: Mapping[str, Any], nodes: NodeTable
) -> tuple[NDArray[np.int64], dict[str, NDArray[np.float64]]]:
    """Edges of the tree, and where nodes are drawn; nodes without cells are not on the tree."""
    n_nodes = nodes.counts.size
    given = record.get("grid")
    sides = (int(given[0]), int(given[1])) if given is not None else (1, n_nodes)
    grid = Grid(*sides).positions()[:, ::-1].astype(np.float64)
    there = np.flatnonzero(nodes.counts)
    edges = spanning_tree(nodes.weighted_means[there])
    tree = np.full((n_nodes, 2), np.nan)
    tree[there] = tree_layout(edges)
    return there[edges], {"grid": grid, "tree": tree}


def _flags(record: Mapping[str, Any], nodes: NodeTable) -> dict[str, Any]:
    found = record.get("consensus", {})
    n_nodes = nodes.counts.size
    return {
        "rare": np.asarray(found.get("rare", np.zeros(n_nodes, bool)), dtype=bool),
        "stability": np.asarray(found.get("stability", np.full(n_nodes, np.nan)), dtype=np.float64),
    }


def _settings(record: Mapping[str, Any], n_metaclusters: int) -> ConsensusSettings:
    """How metaclusters were found; as by default where that is unknown."""
    known = record.get("consensus", {}).get("settings", {})
    plain = ConsensusSettings(n_metaclusters)
    kept = {
        name: type(getattr(plain, name))(value)
        for name, value in known.items()
        if name not in ("n_metaclusters", "zscore_cap") and hasattr(plain, name)
    }
    cap = known.get("zscore_cap")
    return replace(plain, **kept, zscore_cap=None if cap is None else float(cap))


def _first_channel(tissue: Tissue, field: str, nodes: NodeTable) -> str | None:
    """A channel that was clustered, else the first."""
    there = tissue.channels(field)
    return next((m for m in nodes.markers if m in there), there[0] if there else None)
