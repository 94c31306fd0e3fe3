"""Label images as 16-bit PNG and as arrays of NumPy, as Cellpose and notebooks leave them."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from pathlib import Path
from tokenize import TokenError
from typing import BinaryIO

import dask.array as da
import imagecodecs
import numpy as np

from nimbus._types import AnyArray

from ._codecs import DEFLATE_RATIO, MAX_SEGMENT_BYTES
from .errors import read_error, reading

_CHUNK = 1024
"""Side of a chunk of a ``.npy`` in pixels; a PNG is decoded whole."""

_LONGEST_HEADER = 10_000
"""Bytes of the header of a ``.npy``, as in NumPy."""

_PNG_START = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
_COLOURS = {
    2: "colours (RGB)",
    3: "a palette of colours",
    4: "grey with alpha",
    6: "colours (RGBA)",
}
_ADVICE = (
    "cell ids are one plane of integers: save the masks as such, not a picture of them, e.g. "
    "tifffile.imwrite('fov1.tif', masks.astype('uint32'))"
)


@dataclass(frozen=True, slots=True, eq=False)
class LabelFile:
    """One plane in a file, as an array-like with axes ``(y, x)`` that reads what is sliced.

    Parameters
    ----------
    path, n_bytes, stamp
        The file, its size, and the time of its last change in nanoseconds.
    shape
        ``(y, x)`` in pixels.
    dtype
        Of the values, in native byte order.
    decode
        Gives the plane of a file.
    """

    path: str
    n_bytes: int
    stamp: int
    shape: tuple[int, int]
    dtype: np.dtype[np.generic]
    decode: Callable[[Path], AnyArray]

    @property
    def ndim(self) -> int:
        """Always 2."""
        return 2

    def __dask_tokenize__(self) -> tuple[object, ...]:
        return ("nimbus.io.LabelFile", self.path, self.stamp, self.n_bytes)

    def __getitem__(self, key: tuple[slice, slice]) -> AnyArray:
        path = Path(self.path)
        with reading(path):
            plane = self.decode(path)
            if plane.shape != self.shape or plane.dtype.newbyteorder("=") != self.dtype:
                raise read_error(
                    path,
                    f"gives {plane.dtype} of shape {plane.shape}, its header says {self.dtype} of "
                    f"shape {self.shape}: it is damaged, or has changed since it was opened",
                )
            return np.array(plane[key], dtype=self.dtype, order="C")


def read_png(path: Path) -> da.Array:
    """Grey values of a PNG of 8 or 16 bits, axes ``(y, x)``, lazy; decoded in one piece.

    Raises
    ------
    ReadError
        Another file, colours, fewer bits, or a size that the file cannot hold.
    """
    with reading(path), path.open("rb") as handle:
        start = handle.read(len(_PNG_START) + 10)
        if not start.startswith(_PNG_START):
            raise read_error(path, "not a PNG file")
        width, height, bits, colour = struct.unpack(">IIBB", start[len(_PNG_START) :])
        if colour in _COLOURS:
            raise read_error(path, f"holds {_COLOURS[colour]}; {_ADVICE}")
        if bits not in (8, 16):
            raise read_error(path, f"holds grey values of {bits} bits; {_ADVICE}")
        dtype = np.dtype(f"uint{bits}")
        size, n_bytes = width * height * dtype.itemsize, os.fstat(handle.fileno()).st_size
        if not 0 < size <= min(MAX_SEGMENT_BYTES, DEFLATE_RATIO * n_bytes):
            raise read_error(
                path,
                f"declares {height} x {width} pixels, {size} bytes, which a PNG of {n_bytes} bytes "
                f"cannot hold, or more than {MAX_SEGMENT_BYTES}: save it as TIFF in tiles",
            )
        return _lazy(handle, path, (height, width), dtype, _decoded_png, side=max(height, width))


def read_npy(path: Path) -> da.Array:
    """An array that NumPy saved, axes ``(y, x)``, lazy; axes of length 1 before them are left out.

    Raises
    ------
    ReadError
        Another file, Python objects, several planes, or cut off.
    """
    with reading(path), path.open("rb") as handle:
        shape, dtype = _npy_header(handle, path)
        if dtype.hasobject:
            raise read_error(
                path,
                "holds Python objects, which can run code and are not loaded; of Cellpose's "
                "_seg.npy save the masks alone: numpy.save('fov1_cp_masks.npy', "
                "numpy.load('fov1_seg.npy', allow_pickle=True).item()['masks'])",
            )
        if len(shape) < 2 or prod(shape[:-2]) != 1 or min(shape) < 1:
            raise read_error(path, f"holds an array of shape {shape}; {_ADVICE}")
        there = os.fstat(handle.fileno()).st_size - handle.tell()
        if prod(shape) * dtype.itemsize > there:
            raise read_error(
                path, f"cut off: {there} of {prod(shape) * dtype.itemsize} bytes of pixels"
            )
        native = dtype.newbyteorder("=")
        return _lazy(handle, path, (shape[-2], shape[-1]), native, _mapped_npy, side=_CHUNK)


def _npy_header(handle: BinaryIO, path: Path) -> tuple[tuple[int, ...], np.dtype[np.generic]]:
    """Shape and type of what follows; `handle` is at the start, and then at the first value."""
    version = np.lib.format.read_magic(handle)
    old, form = version == (1, 0), "<H" if version == (1, 0) else "<I"
    start = handle.tell()
    (length,) = struct.unpack(form, handle.read(struct.calcsize(form)))
    if length > _LONGEST_HEADER:  # NumPy would take that much memory before it looks
        raise read_error(path, f"declares a header of {length} bytes; the file is damaged")
    handle.seek(start)
    read = np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
    try:
        shape, _, dtype = read(handle)
    except (SyntaxError, TokenError) as error:  # it is read as Python
        raise read_error(path, f"the header is damaged ({error})") from error
    return shape, dtype


def _lazy(  # one argument per field of what is made
    handle: BinaryIO,
    path: Path,
    shape: tuple[int, int],
    dtype: np.dtype[np.generic],
    decode: Callable[[Path], AnyArray],
    *,
    side: int,
) -> da.Array:
    stat = os.fstat(handle.fileno())
    file = LabelFile(str(path), stat.st_size, stat.st_mtime_ns, shape, dtype, decode)
    chunks = tuple(min(side, length) for length in shape)
    meta = np.empty((0, 0), dtype=dtype)
    array: da.Array = da.from_array(file, chunks=chunks, asarray=False, fancy=False, meta=meta)
    return array


def _decoded_png(path: Path) -> AnyArray:
    decoded: AnyArray = imagecodecs.png_decode(path.read_bytes())
    return decoded


def _mapped_npy(path: Path) -> AnyArray:
    mapped = np.lib.format.open_memmap(path, mode="r")
    plane: AnyArray = mapped.reshape(mapped.shape[-2:])
    return plane
