"""An append-only log of records with checksums, which may be cut off at any byte.

    folder/
      00000.log    complete, on disk, never changed again
      00001.log
      00002.open   grows; its last record may be torn

A record is a header (magic, two keys, length and checksum of the body, checksum of the header)
and its body. A torn or damaged record counts as missing, and the search goes on behind it.
"""

from __future__ import annotations

import hashlib
import logging
import mmap
import os
import struct
import time
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nimbus._durable import write_all

logger = logging.getLogger(__name__)

SEGMENTS = ("[0-9][0-9][0-9][0-9][0-9]*.log", "[0-9][0-9][0-9][0-9][0-9]*.open")
"""Patterns of the files of a log."""

SEGMENT_BYTES = 256 * 2**20
"""A segment is closed at this size: what is closed has reached the disk."""

SYNC_SECONDS = 5.0
"""How much work a power cut may cost; a killed process loses nothing that it appended."""

_MAGIC = b"nbr\x01"
_HEADER = struct.Struct("<4sIIQ8s")
_CRC = struct.Struct("<I")
HEADER_BYTES = _HEADER.size + _CRC.size


class Record(NamedTuple):
    """Where the body of a record is."""

    first: int
    second: int
    segment: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True, eq=False)
class Index:
    """Records by their two keys: four arrays, 28 bytes a record."""

    keys: NDArray[np.uint64]
    segments: NDArray[np.uint32]
    offsets: NDArray[np.uint64]
    lengths: NDArray[np.uint64]

    def find(self, first: int, second: int) -> Record | None:
        """The record of these keys."""
        key = np.uint64(first << 32 | second)
        at = int(np.searchsorted(self.keys, key))
        if at == len(self.keys) or self.keys[at] != key:
            return None
        return Record(
            first, second, int(self.segments[at]), int(self.offsets[at]), int(self.lengths[at])
        )

    def __len__(self) -> int:
        return len(self.keys)


@dataclass(slots=True, eq=False)
class RecordLog:
    """Records found when the log was opened, and a segment that new ones are appended to."""

    folder: Path
    index: Index
    next_segment: int
    _file: BinaryIO | None = field(default=None, repr=False)
    _synced: float = 0.0

    def read(self, first: int, second: int) -> bytes | None:
        """Body of a record that was there when the log was opened; ``None`` if it was not."""
        record = self.index.find(first, second)
        if record is None:
            return None
        with (self.folder / f"{record.segment:05d}.log").open("rb") as file:
            file.seek(record.offset)
            return file.read(record.length)

    def append(self, first: int, second: int, body: bytes) -> None:
        """Add a record, wholly or (on an error, such as a full disk) not at all."""
        if self._file is None:
            self._file = self._path.open("xb", buffering=0)
            self._synced = time.monotonic()
        head = _HEADER.pack(_MAGIC, first, second, len(body), _digest(body))
        start = self._file.tell()
        try:
            write_all(self._file, head + _CRC.pack(zlib.crc32(head)) + body)
        except OSError:
            self._file.truncate(start)
            self._file.seek(start)
            raise
        if self._file.tell() >= SEGMENT_BYTES:
            self.close()
        elif time.monotonic() - self._synced > SYNC_SECONDS:
            os.fsync(self._file.fileno())
            self._synced = time.monotonic()

    def close(self) -> None:
        """Bring what was appended to the disk and close the segment."""
        if self._file is None:
            return
        with self._file as file:
            self._file = None
            os.fsync(file.fileno())
        path = self._path
        path.replace(path.with_suffix(".log"))
        self.next_segment += 1

    @property
    def _path(self) -> Path:
        return self.folder / f"{self.next_segment:05d}.open"


def open_log(folder: Path) -> RecordLog:
    """Open the log of `folder`: every record is read once and compared with its checksum.

    A segment that a killed process left open is cut off behind its last whole record and closed.
    """
    found = array("Q"), array("I"), array("Q"), array("Q")
    last = -1
    for path in sorted(path for pattern in SEGMENTS for path in folder.glob(pattern)):
        last = int(path.stem)
        end = 0
        for record in _records(path):
            values = record.first << 32 | record.second, last, record.offset, record.length
            for column, value in zip(found, values, strict=True):
                column.append(value)
            end = record.offset + record.length
        if path.suffix == ".open":
            _seal(path, end)
    return RecordLog(folder, _indexed(*found), last + 1)


def _indexed(keys: array[int], *columns: array[int]) -> Index:
    values = np.array(keys, dtype=np.uint64)
    order = np.argsort(values, kind="stable")
    latest = np.ones(len(values), dtype=bool)  # of several records of a key, the last
    latest[:-1] = values[order][1:] != values[order][:-1]
    chosen = order[latest]
    segments, offsets, lengths = (np.array(column)[chosen] for column in columns)
    return Index(values[chosen], segments.astype(np.uint32), offsets, lengths)


def _records(path: Path) -> Iterator[Record]:
    """The whole records of a segment."""
    if path.stat().st_size == 0:
        return
    damaged = 0
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        at = 0
        while at >= 0:
            record = _record_at(data, at, int(path.stem))
            if record is None:
                damaged += path.suffix == ".log"
                at = data.find(_MAGIC, at + 1)
                continue
            yield record
            at = record.offset + record.length
            if at == len(data):
                break
    if damaged:
        logger.warning("%s is damaged in %d places; those tiles are computed again", path, damaged)


def _record_at(data: mmap.mmap, at: int, segment: int) -> Record | None:
    start = at + HEADER_BYTES
    if start > len(data):
        return None
    head = data[at : at + _HEADER.size]
    magic, first, second, length, digest = _HEADER.unpack(head)
    if magic != _MAGIC or _CRC.unpack(data[at + _HEADER.size : start]) != (zlib.crc32(head),):
        return None
    if start + length > len(data) or _digest(data[start : start + length]) != digest:
        return None
    return Record(first, second, segment, start, length)


def _digest(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=8).digest()


def _seal(path: Path, end: int) -> None:
    """Close a segment that a killed process left open."""
    with path.open("r+b") as file:
        file.truncate(end)
        os.fsync(file.fileno())
    path.replace(path.with_suffix(".log"))
