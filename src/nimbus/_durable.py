"""Writing of files: whole and on disk when the call returns, or to the last byte."""

from __future__ import annotations

import os
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
    beside = path.with_name(path.name + ".part")
    with beside.open("w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
    if os.name == "posix":  # the name itself, too
        folder = os.open(path.parent, os.O_RDONLY)
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
