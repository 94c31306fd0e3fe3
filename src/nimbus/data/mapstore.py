"""Metaclusters on disk: every edit safe at once, the table brought up to date behind it."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import h5py
import pandas as pd
import zarr
from anndata import AnnData
from anndata.io import read_elem, write_elem

from nimbus._durable import write_durably
from nimbus._exchange import beside
from nimbus._keys import Suffix
from nimbus.cluster.clustermap import ClusterMap
from nimbus.cluster.edits import ClusterMapError
from nimbus.cluster.mapfiles import read_map
from nimbus.cluster.mapjson import map_from_json, map_to_json

Group: TypeAlias = Any
"""Of a zarr store or of an HDF5 file; AnnData writes to both alike."""

Touched: TypeAlias = Mapping[str, Any]
"""Value by its path in the table; ``None`` where there is none any more."""

_AFTER = "after"
"""In a file with edits: marks of the maps that the table may have, beside the map itself."""


@dataclass(frozen=True, slots=True)
class TablePlace:
    """Where a table is on disk.

    Parameters
    ----------
    path
        The zarr store or the ``.h5ad`` file.
    group
        The table within a zarr store, ``"tables/table"``; empty where the store is the table.
    key
        ``key_added`` of the clustering.
    """

    path: Path
    group: str
    key: str

    @property
    def journal(self) -> Path:
        """File beside it with edits that the table does not have yet; it is a cluster map."""
        name = self.group.rpartition("/")[2]
        own = f".{name}.{self.key}" if name else f".{self.key}"
        return beside(self.path, own + ".edits.json")

    @property
    def record(self) -> str:
        """Path of the clustering in the table."""
        return f"uns/{self.key}{Suffix.CLUSTER}"


def touched(table: AnnData, key: str) -> Touched:
    """What an edit of metaclusters changes in a table."""
    column = key + Suffix.METACLUSTER
    record = table.uns[key + Suffix.CLUSTER]
    found = {
        f"obs/{column}": table.obs[column].array,
        f"uns/{column}{Suffix.COLORS}": table.uns[column + Suffix.COLORS],
        f"uns/dendrogram_{column}": table.uns.get(f"dendrogram_{column}"),
    }
    names = ("consensus", "metacluster", "map")  # the map is last: it tells that all is there
    return found | {f"uns/{key}{Suffix.CLUSTER}/{n}": record.get(n) for n in names}


def write_touched(place: TablePlace, values: Touched, *, skip: tuple[str, ...] = ()) -> None:
    """Write these keys of a table; an HDF5 file is replaced as a whole, so that it is never torn.

    A zarr store is changed in place: whoever needs it whole at every moment keeps a journal beside
    it, or passes a copy (:func:`nimbus.data.store.write_values`).

    Raises
    ------
    OSError
        It cannot be written.
    """
    with _writable(place) as table:
        for path, value in values.items():
            if path not in skip:
                _write(table, path, value)


def stored_map(place: TablePlace) -> str | None:
    """The map as the table on disk has it; ``None`` where it cannot be read."""
    try:
        with _readable(place) as table:
            return str(read_elem(table[f"{place.record}/map"]))
    except (KeyError, ValueError, OSError):
        return None


def holds(place: TablePlace, table: AnnData) -> bool:
    """Whether a zarr store has this table: nodes of the cells, row by row, and metaclusters."""
    if not (place.path / place.group / place.record).is_dir():
        return False
    own = table.uns[place.key + Suffix.CLUSTER].get("map")
    return stored_map(place) == (None if own is None else str(own)) and has_nodes(place, table)


def has_nodes(place: TablePlace, table: AnnData) -> bool:
    """Whether the cells on disk have the nodes of those in memory, row by row.

    Only then is a column of metaclusters that was made in memory right for them.
    """
    som = place.key + Suffix.SOM
    try:
        with _readable(place) as stored:
            if som not in stored["obs"] or place.record not in stored:
                return False
            nodes = read_elem(stored[f"obs/{som}"])
    except (KeyError, FileNotFoundError):  # the table or the store is gone
        return False
    return _numbers(nodes).equals(_numbers(table.obs[som].array))


def _numbers(nodes: Any) -> pd.Series:
    return pd.Series(nodes).astype("float64")


def pending_map(place: TablePlace) -> ClusterMap | None:
    """Edits of an earlier run that did not reach the table.

    Raises
    ------
    ClusterMapError
        They are of another clustering, or another program changed the metaclusters since.
    """
    beside, stored = text_beside(place), stored_map(place)
    if beside is None:
        return None
    edits = read_map(place.journal)
    if stored is not None and map_from_json(stored).start != edits.start:
        raise ClusterMapError(
            f"{str(place.journal)!r} holds edits of another clustering than {str(place.path)!r} "
            "has now; move that file away (nimbus.tl.remap reads it), then open the page again"
        )
    if stored is not None and not _follows(beside, stored):
        raise ClusterMapError(
            f"{str(place.journal)!r} holds edits, and another program has changed the metaclusters "
            f"in {str(place.path)!r} since, which would be lost; move that file away "
            "(nimbus.tl.remap reads it), then open the page again"
        )
    return edits


def _follows(beside: str, stored: str) -> bool:
    """Whether the edits in a file were made from what the table has; true where it tells nothing.

    A file that another program wrote is a map alone.
    """
    marks = json.loads(beside).get(_AFTER)
    return not isinstance(marks, list) or mark_of(stored) in marks


def mark_of(stored: str) -> str:
    """Short text by which a map is known again."""
    return hashlib.sha256(stored.encode()).hexdigest()[:16]


def write_journal(place: TablePlace, clusters: ClusterMap, *, after: Sequence[str]) -> str:
    """Put the edits beside the table; they are on disk when this returns.

    Parameters
    ----------
    place
        The table.
    clusters
        Metaclusters after the edits.
    after
        Marks of the maps that the table may have until these are in it.

    Returns
    -------
    The text of the file.

    Raises
    ------
    OSError
        The folder cannot be written.
    """
    content = json.loads(map_to_json(clusters)) | {_AFTER: list(after)}
    text = json.dumps(content, ensure_ascii=False)
    write_durably(place.journal, text)
    return text


def text_beside(place: TablePlace) -> str | None:
    """The file with edits beside the table; ``None`` where there is none."""
    try:
        return place.journal.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def node_part(place: TablePlace) -> AnnData:
    """The nodes of the cells and of the clustering, without the rest of the table."""
    with _readable(place) as stored:
        som = place.key + Suffix.SOM
        nodes = read_elem(stored[f"obs/{som}"])
        table = AnnData(shape=(len(nodes), 0))
        table.obs[som] = nodes
        names = ("node_means", "node_counts", "importance", "markers")
        record = stored[place.record]
        table.uns[place.key + Suffix.CLUSTER] = {
            name: read_elem(record[name]) for name in names if name in record
        }
    return table


def _write(table: Group, path: str, value: Any) -> None:
    parent, _, name = path.rpartition("/")
    group = table[parent]
    if name in group:
        del group[name]  # not written over: its chunks may be hard links
    if value is not None:
        write_elem(group, name, value)
    if parent == "obs":
        columns = [str(one) for one in group.attrs["column-order"]]
        if value is None and name in columns:
            group.attrs["column-order"] = [one for one in columns if one != name]
        elif value is not None and name not in columns:
            group.attrs["column-order"] = [*columns, name]


@contextmanager
def _readable(place: TablePlace) -> Iterator[Group]:
    if place.path.is_dir():
        root = zarr.open_group(place.path, mode="r", use_consolidated=False)
        yield root[place.group] if place.group else root
        return
    with h5py.File(place.path, "r") as file:
        yield file


@contextmanager
def _writable(place: TablePlace) -> Iterator[Group]:
    if place.path.is_dir():
        yield zarr.open_group(place.path / place.group, mode="r+", use_consolidated=False)
        root = zarr.open_group(place.path, mode="r")
        if root.metadata.consolidated_metadata is not None:
            with warnings.catch_warnings():  # parquet files, the lock: no part of a hierarchy
                warnings.filterwarnings("ignore", category=zarr.errors.ZarrUserWarning)
                zarr.consolidate_metadata(place.path, zarr_format=root.metadata.zarr_format)
        return
    beside = place.path.with_name(place.path.name + ".part")
    try:
        shutil.copyfile(place.path, beside)
        with h5py.File(beside, "r+") as file:
            yield file
        with beside.open("rb") as done:
            os.fsync(done.fileno())
        beside.replace(place.path)
    finally:
        beside.unlink(missing_ok=True)
