"""Cluster maps in files."""

from __future__ import annotations

from pathlib import Path

from nimbus._durable import write_durably

from .clustermap import ClusterMap
from .edits import ClusterMapError
from .mapcsv import map_from_csv, map_to_csv
from .mapjson import map_from_json, map_to_json


def read_map(path: str | Path, *, n_nodes: int | None = None) -> ClusterMap:
    """The map of a ``.json`` or ``.csv`` file; nothing in it is run.

    Raises
    ------
    ClusterMapError
        Another kind of file, or one that holds no map; the message begins with its path.
    """
    path = Path(path)
    kind = path.suffix.lower()
    if kind not in (".json", ".csv"):
        raise ClusterMapError(f"{path}: a cluster map is a .json or .csv file, not {kind!r}")
    try:
        text = path.read_text(encoding="utf-8")
        return map_from_json(text) if kind == ".json" else map_from_csv(text, n_nodes=n_nodes)
    except (ClusterMapError, UnicodeDecodeError) as error:
        raise ClusterMapError(f"{path}: {error}") from error


def write_map(clusters: ClusterMap, path: str | Path) -> None:
    """Write a map as ``.json`` (with its history) or ``.csv``; the file is whole or as before."""
    path = Path(path)
    if path.suffix.lower() not in (".json", ".csv"):
        raise ClusterMapError(f"{path}: write a cluster map to a .json or .csv file")
    json = path.suffix.lower() == ".json"
    write_durably(path, map_to_json(clusters) if json else map_to_csv(clusters))
