"""Writing of files: whole and on disk when the call returns, or to the last byte."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO


def write_durably(path: Path, text: str) -> None:
    """Put a text into a file; whatever happens meanwhile, the file is whole or as before.

    Raises
    ------
    OSError
        The folder cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.txt"
    >>> write_durably(path, "one")
    >>> path.read_text(), len(list(path.parent.iterdir()))
    ('one', 1)
    """
    write_together({path: text.encode("utf-8")})


def write_together(contents: Mapping[Path, bytes]) -> None:
    """Put several contents into files of one folder; all are on disk before one takes its place.

    Raises
    ------
    OSError
        The folder cannot be written or is full; all files are as before.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> write_together({folder / "a": b"one", folder / "b": b"two"})
    >>> sorted(path.name for path in folder.iterdir())
    ['a', 'b']
    """
    parts = {path: path.with_name(path.name + ".part") for path in contents}
    try:
        for path, part in parts.items():
            with part.open("wb") as file:
                file.write(contents[path])
                file.flush()
                os.fsync(file.fileno())
    except OSError:
        for part in parts.values():
            part.unlink(missing_ok=True)
        raise
    for path, part in parts.items():
        part.replace(path)
    if os.name == "posix":  # the names themselves, too
        for parent in {path.parent for path in contents}:
            folder = os.open(parent, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)


def write_all(file: BinaryIO, data: bytes) -> None:
    """Write all of `data` where `file` is; a raw file may write less than it was given.

    Raises
    ------
    OSError
        It could not be written; a part of it may have been.

    Examples
    --------
    >>> import io
    >>> file = io.BytesIO()
    >>> write_all(file, b"one")
    >>> file.getvalue()
    b'one'
    """
    left = memoryview(data)
    while left:
        left = left[file.write(left) :]
