"""Finished tiles on disk, so that a second run does only what is missing."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nimbus._claim import claimed
from nimbus.core.cellsums import CellSums

from .recordlog import SEGMENTS, RecordLog, open_log

_FINGERPRINT = "fingerprint.json"
_FORMAT = 2
"""Format of the folder; it is part of the fingerprint."""


class ResumeError(ValueError):
    """A resume folder that belongs to another run."""


@dataclass(frozen=True, slots=True, eq=False)
class Journal:
    """A folder with the sums of each finished tile; :func:`open_journal` opens it.

    All tiles stand in a few append-only files (:mod:`nimbus.engine.recordlog`): a tile costs 32
    bytes and its sums.
    """

    log: RecordLog

    def has(self, field: int, tile: int) -> bool:
        """Whether the tile was done when the journal was opened."""
        return self.log.index.find(field, tile) is not None

    def load(self, field: int, tile: int) -> CellSums | None:
        """Sums of a tile that the journal has; ``None`` where it has no cells."""
        body = self.log.read(field, tile)
        if body is None:
            raise KeyError(f"tile {tile} of field {field} is not done")
        return _sums(body)

    def save(self, field: int, tile: int, sums: CellSums | None) -> None:
        """Keep the sums of a finished tile.

        Raises
        ------
        OSError
            They could not be written; a full disk, for instance. Earlier tiles are kept.
        """
        try:
            self.log.append(field, tile, _body(sums))
        except OSError as error:
            raise OSError(
                error.errno,
                f"a finished tile cannot be kept ({error.strerror}); the tiles before it are, and "
                "the same call goes on there once it can be",
                str(self.log.folder),
            ) from error


@contextmanager
def open_journal(folder: str | Path, fingerprint: Mapping[str, Any]) -> Iterator[Journal]:
    """Open or start the resume folder of a run, and close it at the end of the block.

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
    ClaimedError
        Another process works with it.
    """
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    with claimed(path):
        _compare(path, json.loads(json.dumps({"format": _FORMAT, **fingerprint})))
        log = open_log(path)
        try:
            yield Journal(log)
        finally:
            log.close()


def discard_journal(folder: str | Path) -> None:
    """Remove what a journal wrote in `folder`, and the folder if nothing else is in it.

    Raises
    ------
    ClaimedError
        Another process works with it.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "resume"
    >>> with open_journal(folder, {"weights": "abc"}) as journal:
    ...     journal.save(0, 0, None)
    >>> discard_journal(folder)
    >>> folder.exists()
    False
    """
    path = Path(folder)
    if not path.is_dir():
        return
    with claimed(path):
        for pattern in (_FINGERPRINT, *SEGMENTS):
            for own in path.glob(pattern):
                own.unlink()
    if not any(path.iterdir()):
        path.rmdir()


def _compare(path: Path, now: dict[str, Any]) -> None:
    """Keep the fingerprint of a new folder; refuse one that differs."""
    note = path / _FINGERPRINT
    if not note.exists():
        _write_whole(note, json.dumps(now, indent=1, sort_keys=True).encode())
        return
    try:
        then = json.loads(note.read_text())
        if not isinstance(then, dict):
            raise ValueError("no JSON object")
    except ValueError as error:
        raise ResumeError(f"{note} is damaged ({error}); pass another folder as resume=") from error
    differ = [what for key in sorted({*now, *then}) for what in _differences(key, then, now)]
    if differ:
        raise ResumeError(
            f"{str(path)!r} holds tiles of another run ({'; '.join(differ)}); "
            "pass the same input and settings, or another folder as resume="
        )


def _differences(key: str, then: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    """What differs under `key`; of a mapping, the entries that do."""
    old, new = then.get(key), now.get(key)
    if old == new:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for entry in sorted({*old, *new}):
            for what in _differences(entry, old, new):
                yield f"{key}, {what}"
    else:
        yield f"{key}: {old!r} then, {new!r} now"


def _body(sums: CellSums | None) -> bytes:
    """Names and shapes as a line of JSON, then the arrays; nothing for a tile without cells."""
    if sums is None:
        return b""
    shapes = {name: list(values.shape[1:]) for name, values in sums.sums.items()}
    head = json.dumps([len(sums.ids), shapes], separators=(",", ":")).encode()
    arrays = [np.asarray(sums.ids, "<i8"), *(np.asarray(v, "<f8") for v in sums.sums.values())]
    return head + b"\n" + b"".join(values.tobytes() for values in arrays)


def _sums(body: bytes) -> CellSums | None:
    if not body:
        return None
    at = body.index(b"\n") + 1
    n_cells, shapes = json.loads(body[:at])
    ids = np.frombuffer(body, "<i8", n_cells, at)
    at += ids.nbytes
    sums = {}
    for name, shape in shapes.items():
        values = np.frombuffer(body, "<f8", n_cells * int(np.prod(shape)), at)
        # A copy of its own: who keeps one of the sums need not keep them all.
        sums[name] = values.reshape(n_cells, *shape).copy()
        at += values.nbytes
    return CellSums(ids, sums)


def _write_whole(path: Path, data: bytes) -> None:
    """Write a file that is either absent or complete, also after a crash."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    with part.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
