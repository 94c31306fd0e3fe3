"""What reading raises when a file cannot be what it claims to be."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tifffile import TiffFileError

_DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    BufferError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,  # all errors of imagecodecs
    TypeError,
    ValueError,
    struct.error,
    TiffFileError,  # a ValueError in newer versions alone
)
"""What tifffile and its codecs were seen to raise on cut and altered files."""

_NOT_DAMAGE = (FileNotFoundError, PermissionError, IsADirectoryError)


class ReadError(ValueError):
    """A file is damaged, cut off, or not of a kind that nimbus reads; the message names it.

    Examples
    --------
    >>> import tempfile
    >>> from nimbus.io import read_qupath
    >>> path = Path(tempfile.mkdtemp()) / "cells.geojson"
    >>> _ = path.write_bytes(b"cut off {")
    >>> try:
    ...     read_qupath(path)
    ... except ReadError as error:
    ...     str(path) in str(error)
    True
    """


def read_error(path: Path | str, why: str) -> ReadError:
    """Error about the file `path`.

    Examples
    --------
    >>> read_error("fov1.tiff", "is cut off")
    ReadError('fov1.tiff: is cut off')
    """
    return ReadError(f"{path}: {why}")


@contextmanager
def reading(path: Path | str) -> Iterator[None]:
    """Name the file in every error that its content causes.

    Raises
    ------
    ReadError
        Whatever the libraries below raise on damaged input. A file that is absent or closed to
        the user keeps its own error.

    Examples
    --------
    >>> with reading("fov1.tiff"):
    ...     b"II"[7]
    Traceback (most recent call last):
    nimbus.io.errors.ReadError: fov1.tiff: damaged or cut off (IndexError: index out of range)
    """
    try:
        yield
    except (ReadError, *_NOT_DAMAGE):
        raise
    except _DAMAGE as error:
        told = str(error).strip()[:200]
        raise read_error(path, f"damaged or cut off ({type(error).__name__}: {told})") from error
