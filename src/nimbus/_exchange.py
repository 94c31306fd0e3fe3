"""Folders that take each other's place in one step."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import sys
import uuid
from pathlib import Path

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2  # Linux: renameat2(2)
_RENAME_SWAP = 2  # macOS: renamex_np(2)
_CANNOT = {errno.ENOSYS, errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP}


def put_in_place(new: Path, target: Path, *, spare: Path) -> None:
    """Let the file or folder `new` take the place of `target`; what was there is removed.

    Whenever the process is killed, `target` is the old one or the new one, whole. Only where
    the system cannot exchange two names (some network file systems, Windows), there is a moment
    between two renames without `target`; then the old one is at `spare`.

    Parameters
    ----------
    new, target
        On the same file system.
    spare
        A free name on that file system.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("old", "new"):
    ...     (folder / name).mkdir()
    ...     _ = (folder / name / "text").write_text(name)
    >>> put_in_place(folder / "new", folder / "old", spare=folder / "spare")
    >>> (folder / "old" / "text").read_text(), len(list(folder.iterdir()))
    ('new', 1)
    """
    if not target.exists():
        new.rename(target)
    elif not target.is_dir():
        new.replace(target)
    elif _exchange(new, target):
        shutil.rmtree(new)
    else:
        target.rename(spare)
        new.rename(target)
        shutil.rmtree(spare)


def beside(path: Path, ending: str) -> Path:
    """The name of `path` and an ending, in the same folder; also where `path` is ``.`` or ``..``.

    Examples
    --------
    >>> beside(Path("data/tissue.zarr"), ".part").as_posix()
    'data/tissue.zarr.part'
    >>> beside(Path("."), ".part") == beside(Path.cwd(), ".part")
    True
    """
    named = path.resolve() if path.name in ("", "..") else path
    return named.with_name(named.name + ending)


def hidden_beside(path: Path) -> Path:
    """A free hidden name in the same folder, with the same ending."""
    return path.with_name(f".{path.stem}-{uuid.uuid4().hex[:8]}{path.suffix}")


def _exchange(a: Path, b: Path) -> bool:
    """Exchange two names; ``False`` where system or file system has no such call."""
    here, there = os.fsencode(a), os.fsencode(b)
    if sys.platform == "win32":
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        if sys.platform == "darwin":
            failed = libc.renamex_np(here, there, _RENAME_SWAP)
        else:
            failed = libc.renameat2(_AT_FDCWD, here, _AT_FDCWD, there, _RENAME_EXCHANGE)
    except AttributeError:  # a C library without the call
        return False
    number = ctypes.get_errno()
    if failed and number not in _CANNOT:
        raise OSError(number, os.strerror(number), str(a), None, str(b))
    return not failed
