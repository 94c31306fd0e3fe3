"""One process at a time: a lock file that the operating system lets go when its holder dies."""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

LOCK_NAME = ".nimbus-lock"
"""File inside the claimed folder: which process works there."""

_BEYOND = 1 << 20  # Windows locks bytes; these lie behind the note, so that it can be read
_held: set[Path] = set()  # claims of this process: a command claims, then the verb that it calls


class ClaimedError(OSError):
    """A folder that another process works in."""


@contextmanager
def claimed(folder: str | Path) -> Iterator[None]:
    """Keep other processes out of `folder` until the end of the block.

    Within one process claims nest: the inner ones do nothing. A process that was killed holds
    nothing any more, whatever file it left.

    Parameters
    ----------
    folder
        It exists.

    Raises
    ------
    ClaimedError
        Another process holds it; the message names it.
    OSError
        The folder cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> with claimed(folder):
    ...     (folder / LOCK_NAME).is_file()
    True
    >>> list(folder.iterdir())
    []
    """
    place = Path(folder).resolve()
    if place in _held:
        yield
        return
    handle = _locked(place / LOCK_NAME)
    _held.add(place)
    try:
        yield
    finally:
        _held.discard(place)
        _let_go(place / LOCK_NAME, handle)


def _locked(path: Path) -> int:
    """Open handle of a lock file that is ours."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            _lock(handle)
        except OSError as error:
            holder = _note(path)
            os.close(handle)
            raise ClaimedError(
                f"{str(path.parent)!r} is in use by another run ({holder}); wait until it has "
                "ended, or stop it"
            ) from error
        if _is_still(path, handle):
            break
        os.close(handle)  # its last holder removed the file between our open and our lock
    try:
        os.ftruncate(handle, 0)
        os.write(handle, json.dumps(_who()).encode())
    except OSError:  # a full disk: nothing may stay locked
        _let_go(path, handle)
        raise
    return handle


def _lock(handle: int) -> None:
    if sys.platform == "win32":
        os.lseek(handle, _BEYOND, os.SEEK_SET)
        msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        os.lseek(handle, 0, os.SEEK_SET)
    else:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _let_go(path: Path, handle: int) -> None:
    if sys.platform == "win32":  # an open file cannot be removed there
        os.close(handle)
        path.unlink(missing_ok=True)
    else:
        if _is_still(path, handle):  # the folder may be gone by now
            path.unlink()
        os.close(handle)


def _is_still(path: Path, handle: int) -> bool:
    """Whether the file of that name is the one that is open."""
    try:
        return os.path.samestat(os.stat(path), os.fstat(handle))
    except FileNotFoundError:
        return False


def _who() -> dict[str, str | int]:
    return {
        "process": os.getpid(),
        "host": socket.gethostname(),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
    }


def _note(path: Path) -> str:
    """What the holder wrote of itself."""
    try:
        who = json.loads(path.read_text())
        return f"process {who['process']} on {who['host']}, since {who['since']}"
    except (OSError, ValueError, KeyError):  # it writes at this moment, or just left
        return "it has not told its name yet"
