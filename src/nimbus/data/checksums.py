"""Checksums of the pixels of a store, so that a flipped bit is an error and not another pixel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import google_crc32c

_CODEC = {"name": "crc32c"}

_METADATA = "zarr.json"


def add_checksums(store: Path) -> None:
    """Add a checksum (CRC-32C) to each chunk of the images and labels of a store of Zarr 3.

    What SpatialData writes has none, and its writer takes no codecs. This one stands in the
    specification of Zarr 3: it comes last, so a chunk is followed by four bytes, and nothing is
    compressed anew. Left as they are: arrays that have checksums; those in shards, whose chunks
    could no longer be read one by one; stores of Zarr 2. It must not be stopped on its way: use it
    on a store that is not yet in its place.

    Parameters
    ----------
    store
        Folder of the store.

    Examples
    --------
    >>> import tempfile, zarr, numpy as np
    >>> store = Path(tempfile.mkdtemp())
    >>> array = zarr.create_array(store / "images" / "a", shape=(4, 4), chunks=(2, 2), dtype="u1")
    >>> array[:] = 7
    >>> add_checksums(store)
    >>> again = zarr.open_array(store / "images" / "a")
    >>> int(again[:].sum()), again.metadata.codecs[-1]
    (112, Crc32cCodec())
    """
    done = set()
    for kind in ("images", "labels"):
        for file in sorted((store / kind).rglob(_METADATA)):
            node = json.loads(file.read_text())
            if node["node_type"] == "array" and _may_have(node["codecs"]):
                for chunk in _chunks(file.parent):
                    _seal(chunk)
                _rewrite(file, _with_codec(node))
                done.add(file.parent.relative_to(store).as_posix())
    for file in (store, *(store / kind for kind in ("images", "labels"))):
        _rewrite_consolidated(file / _METADATA, store, done)


def _may_have(codecs: list[dict[str, Any]]) -> bool:
    """Whether an array of these codecs has no checksums yet, and chunks that are whole files."""
    return not {"crc32c", "sharding_indexed"}.intersection(codec["name"] for codec in codecs)


def _chunks(array: Path) -> list[Path]:
    """Files of the chunks of an array."""
    return [path for path in (array / "c").rglob("*") if path.is_file()]


def _seal(chunk: Path) -> None:
    """Add the checksum of a file to its end."""
    check = google_crc32c.value(chunk.read_bytes())
    with chunk.open("ab") as file:
        file.write(check.to_bytes(4, "little"))


def _with_codec(node: dict[str, Any]) -> dict[str, Any]:
    return node | {"codecs": [*node["codecs"], _CODEC]}


def _rewrite_consolidated(file: Path, store: Path, done: set[str]) -> None:
    """The copies of the metadata of these arrays that a group above them holds."""
    if not file.is_file():
        return
    node = json.loads(file.read_text())
    held = (node.get("consolidated_metadata") or {}).get("metadata", {})
    here = file.parent.relative_to(store).as_posix()
    for name, copy in held.items():
        if (name if here == "." else f"{here}/{name}") in done:
            held[name] = _with_codec(copy)
    _rewrite(file, node)


def _rewrite(file: Path, node: dict[str, Any]) -> None:
    file.write_text(json.dumps(node, indent=2))
