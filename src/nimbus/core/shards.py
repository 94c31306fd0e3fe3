"""Training tiles on disk: plain ``.npy`` files and an index, readable with NumPy alone.

::

    folder/
      index.json                 format version, pixel size, what made it, files with their sha256
      shard-000.planes.npy       (sample, y, x)    uint16: intensity in [0, 1] times 65535
      shard-000.geometry.npy     (sample,)         int32: which mask and ids belong to a sample
      shard-000.labels.npy       (sample, cell)    int8: 1 positive, 0 negative, -1 undecided
      shard-000.masks.npy        (geometry, y, x)  uint8: the mask plane
      shard-000.ids.npy          (geometry, y, x)  int32: 0 background, k is column k - 1 of labels
      shard-000.source.npy       (sample,)         int32: index into the sources of the index
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from nimbus._check import listed
from nimbus._durable import write_durably

FORMAT_VERSION = 2
"""Version 1 had no sources; its folders are read as of one source, `SIMULATED`."""

_READABLE = (1, FORMAT_VERSION)

_MAPPED = frozenset({"planes", "masks", "ids"})
"""Arrays that stay on disk until a sample is asked for; the others are small."""

PLANE_MAX = 65535
"""Value of a plane's pixel that stands for an intensity of 1."""

INDEX = "index.json"

SOURCES = "sources"
"""Entry of `about` that lists the sources, each with ``dataset`` and ``marker``."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where samples come from; how far labels can be trusted is judged for each source alone.

    Parameters
    ----------
    dataset, marker
        Names of the data set and of its marker.
    """

    dataset: str
    marker: str


SIMULATED = Source("simulated", "random")
"""Source of folders that name none."""


@dataclass(frozen=True, slots=True)
class Tiles:
    """Training tiles: several channels of each piece of tissue.

    Parameters
    ----------
    planes
        Channel over its scale, clipped to [0, 1], times `PLANE_MAX`: uint16 ``(sample, y, x)``.
    geometry
        Index into `masks` and `ids` of each sample.
    labels
        1 positive, 0 negative, -1 undecided or no cell: int8 ``(sample, cell)``; column ``k - 1``
        is the cell of id ``k``.
    masks
        Mask plane of each geometry, uint8 ``(geometry, y, x)``.
    ids
        Cell of each pixel, int32 ``(geometry, y, x)``; 0 is background.
    source
        Index of each sample's source in those of its folder, int32 ``(sample,)``.
    """

    planes: NDArray[np.uint16]
    geometry: NDArray[np.int32]
    labels: NDArray[np.int8]
    masks: NDArray[np.uint8]
    ids: NDArray[np.int32]
    source: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.planes)


@dataclass(frozen=True, slots=True)
class ShardFolder:
    """An opened folder of shards: its index, none of its arrays.

    Parameters
    ----------
    path
        The folder.
    shards
        For each shard the sha256 of its files, by name of the array.
    about
        What wrote the tiles, with which settings, and ``about["sources"]``.
    """

    path: Path
    shards: tuple[Mapping[str, str], ...]
    about: Mapping[str, Any]

    def __len__(self) -> int:
        return len(self.shards)

    @property
    def sources(self) -> tuple[Source, ...]:
        """The sources that samples name by their position; one, `SIMULATED`, where none are."""
        named = self.about.get(SOURCES)
        return (SIMULATED,) if named is None else tuple(Source(**one) for one in named)


def write_shard(folder: Path, number: int, tiles: Tiles) -> dict[str, str]:
    """Write one shard and return the sha256 of each of its files, for the index."""
    folder.mkdir(parents=True, exist_ok=True)
    sums = {}
    for field in fields(Tiles):
        path = _path(folder, number, field.name)
        np.save(path, getattr(tiles, field.name), allow_pickle=False)
        sums[field.name] = _sha256(path)
    return sums


def write_index(folder: Path, shards: list[dict[str, str]], about: Mapping[str, Any]) -> None:
    """Write the index; it comes last, so that a folder cut off half-way has none.

    Parameters
    ----------
    folder
        Where the shards are.
    shards
        What :func:`write_shard` returned for each.
    about
        What wrote the tiles. ``about["sources"]`` lists the sources that ``Tiles.source`` counts
        through: ``[{"dataset": ..., "marker": ...}, ...]``; without it there is one, `SIMULATED`.
    """
    index = {"format_version": FORMAT_VERSION, "about": dict(about), "shards": shards}
    write_whole(folder / INDEX, index)


def write_whole(path: Path, content: Mapping[str, Any]) -> None:
    """Write a JSON file that is either as it was or complete, also after a crash."""
    write_durably(path, json.dumps(content, indent=1) + "\n")


def read_whole(path: Path, *, entries: Sequence[str]) -> dict[str, Any]:
    """What :func:`write_whole` wrote.

    Raises
    ------
    ValueError
        Naming the file, where it is damaged or lacks one of the entries.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise _damaged(path, str(error)) from error
    there = content if isinstance(content, dict) else {}
    if missing := [name for name in entries if name not in there]:
        raise _damaged(path, f"it has no {listed(missing)}")
    return there


def _damaged(path: Path, how: str) -> ValueError:
    return ValueError(f"{str(path)!r} is damaged: {how}; write the tiles again, to an empty folder")


def open_shards(folder: str | Path) -> ShardFolder:
    """The index of a folder of shards.

    Raises
    ------
    FileNotFoundError
        Where there is no index: the folder is not one of shards, or was not finished.
    ValueError
        For an index that is damaged or of another format version.
    """
    path = Path(folder)
    if not (path / INDEX).is_file():
        raise FileNotFoundError(
            f"no {INDEX} in {str(path)!r}: not a folder of shards, or its writing was cut off"
        )
    index = read_whole(path / INDEX, entries=("format_version", "shards", "about"))
    if index["format_version"] not in _READABLE:
        raise ValueError(
            f"shards in {str(path)!r} have format version {index['format_version']!r}; "
            f"this nimbus reads {' and '.join(map(str, _READABLE))}. Write them again."
        )
    return ShardFolder(path, tuple(index["shards"]), index["about"])


def read_shard(folder: ShardFolder, number: int) -> Tiles:
    """One shard, its images mapped from disk, after its checksums were compared.

    Raises
    ------
    ValueError
        Naming the file whose content is not what was written.
    """
    arrays = {}
    for name, sha256 in folder.shards[number].items():
        path = _path(folder.path, number, name)
        if _sha256(path) != sha256:
            raise ValueError(f"{str(path)!r} is damaged: its sha256 is not that of the index")
        mode: Literal["r"] | None = "r" if name in _MAPPED else None
        arrays[name] = np.load(path, mmap_mode=mode, allow_pickle=False)
    if "source" not in arrays:  # format version 1
        arrays["source"] = np.zeros(len(arrays["geometry"]), dtype=np.int32)
    return Tiles(**arrays)


def merged(parts: Sequence[Tiles]) -> Tiles:
    """Several sets of tiles as one; rows of labels are filled up with -1.

    Raises
    ------
    ValueError
        There is none.
    """
    n_cells = max((part.labels.shape[1] for part in parts), default=0)
    start = np.cumsum([0] + [len(part.masks) for part in parts])
    return Tiles(
        planes=np.concatenate([part.planes for part in parts]),
        geometry=np.concatenate(
            [part.geometry + np.int32(s) for part, s in zip(parts, start, strict=False)]
        ),
        labels=np.concatenate([_widened(part.labels, n_cells) for part in parts]),
        masks=np.concatenate([part.masks for part in parts]),
        ids=np.concatenate([part.ids for part in parts]),
        source=np.concatenate([part.source for part in parts]),
    )


def _widened(labels: NDArray[np.int8], n_cells: int) -> NDArray[np.int8]:
    missing = ((0, 0), (0, n_cells - labels.shape[1]))
    return np.pad(labels, missing, constant_values=-1)


def _path(folder: Path, number: int, name: str) -> Path:
    return folder / f"shard-{number:03d}.{name}.npy"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
