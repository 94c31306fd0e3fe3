"""Finished tiles on disk, so that a second run does only what is missing."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nimbus.core.cellsums import CellSums

_FINGERPRINT = "fingerprint.json"
_DIGEST_BYTES = 32


class ResumeError(ValueError):
    """A resume folder that belongs to another run."""


@dataclass(frozen=True, slots=True)
class Journal:
    """A folder with the sums of each finished tile.

    Each file begins with the sha256 of the rest and appears by an atomic rename: a file that is
    there and sums up is a tile that is done. A file that does not sum up counts as missing.
    """

    folder: Path

    def load(self, field: int, tile: int) -> tuple[bool, CellSums | None]:
        """Whether the tile is done, and its sums (``None`` where it has no cells)."""
        path = self._path(field, tile)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return False, None
        digest, body = data[:_DIGEST_BYTES], data[_DIGEST_BYTES:]
        if hashlib.sha256(body).digest() != digest:
            return False, None
        with np.load(io.BytesIO(body), allow_pickle=False) as arrays:
            sums = {name: arrays[name] for name in arrays.files}
        ids = sums.pop("ids", None)
        return True, None if ids is None else CellSums(ids, sums)

    def save(self, field: int, tile: int, sums: CellSums | None) -> None:
        """Keep the sums of a finished tile."""
        buffer = io.BytesIO()
        if sums is None:
            np.savez(buffer)
        else:
            arrays: dict[str, Any] = {"ids": sums.ids, **sums.sums}
            np.savez(buffer, **arrays)
        body = buffer.getvalue()
        _write_whole(self._path(field, tile), hashlib.sha256(body).digest() + body)

    def _path(self, field: int, tile: int) -> Path:
        return self.folder / f"field{field:05d}-tile{tile:07d}.npz"


def open_journal(folder: str | Path, fingerprint: Mapping[str, Any]) -> Journal:
    """Open or start the resume folder of a run.

    Parameters
    ----------
    folder
        Made where it does not exist.
    fingerprint
        All that decides the result, as JSON values; compared entry by entry.

    Raises
    ------
    ResumeError
        The folder was begun with another fingerprint; the differences are named.
    """
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    now = json.loads(json.dumps(fingerprint))
    note = path / _FINGERPRINT
    if not note.exists():
        _write_whole(note, json.dumps(now, indent=1, sort_keys=True).encode())
        return Journal(path)
    then = json.loads(note.read_text())
    differ = sorted(key for key in {*now, *then} if now.get(key) != then.get(key))
    if differ:
        what = "; ".join(f"{key}: {then.get(key)!r} then, {now.get(key)!r} now" for key in differ)
        raise ResumeError(
            f"{str(path)!r} holds tiles of another run ({what}); "
            "pass the same input and settings, or another folder as resume="
        )
    return Journal(path)


def _write_whole(path: Path, data: bytes) -> None:
    """Write a file that is either absent or complete, also after a crash."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
