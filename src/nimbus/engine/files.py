"""Files that tasks read by path, for workers that do not see that path."""

from __future__ import annotations

import atexit
import hashlib
import os
import shutil
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

Contents = Mapping[str, bytes]
"""Content of files by the path that they have where the run began."""

_unpacked: dict[str, str] = {}
_unpacking = threading.Lock()


def missing(path: str) -> bool:
    """Whether this process does not see `path`."""
    return not os.path.isfile(path)


def lacking(paths: Sequence[str]) -> list[str]:
    """Those of `paths` that this process does not see."""
    return [path for path in paths if missing(path)]


def unpack(contents: Contents) -> None:
    """Write what this process lacks to a temporary folder of its own, once.

    Files of one folder stay in one folder: a card lies beside its weights.
    """
    with _unpacking:
        for path, content in contents.items():
            if path in _unpacked or not missing(path):
                continue
            target = _folder(str(Path(path).parent)) / Path(path).name
            target.write_bytes(content)
            _unpacked[path] = str(target)


def here(path: str) -> str:
    """Where `path` is in this process."""
    return _unpacked.get(path, path)


def _folder(parent: str) -> Path:
    if not _unpacked:
        root = tempfile.mkdtemp(prefix="nimbus-")
        atexit.register(shutil.rmtree, root, ignore_errors=True)
    else:
        root = str(Path(next(iter(_unpacked.values()))).parent.parent)
    folder = Path(root) / hashlib.sha256(parent.encode()).hexdigest()[:16]
    folder.mkdir(exist_ok=True)
    return folder
