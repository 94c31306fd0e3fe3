"""The pages of a TIFF file: where each lies and what it holds, checked before any decoding."""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from tifffile import TiffFile, TiffPage

from nimbus._types import FloatArray

from ._codecs import MAX_SEGMENT_BYTES, codec_of
from .errors import read_error, reading

_REDUCED, _MASK = 0b1, 0b100  # bits of the NewSubfileType tag
_PAGE_NAME, _IMAGEJ_METADATA = 285, 50839
_MAX_TAGS = 4096
_SMALL = 1024  # bytes that any few bytes may decode to


@dataclass(frozen=True, slots=True)
class Page:
    """One page at full resolution; small, and good in another process.

    Parameters
    ----------
    path, n_bytes, stamp
        The file, its size, and the time of its last change in nanoseconds.
    offset
        Where the page's directory lies in the file.
    shape
        ``(y, x)`` in pixels.
    n_samples, interleaved
        Values per pixel, and whether they lie side by side (``y, x, s``) or one plane after the
        other (``s, y, x``).
    dtype
        Of the decoded values.
    segment
        ``(y, x)`` of a strip or tile.
    contiguous
        The page is one uncompressed block, of which any part can be read alone.
    nth
        The planes before this one in such a block (long ImageJ stacks have a single directory).
    """

    path: str
    n_bytes: int
    stamp: int
    offset: int
    shape: tuple[int, int]
    n_samples: int
    interleaved: bool
    dtype: np.dtype[np.generic]
    segment: tuple[int, int]
    contiguous: bool
    nth: int = 0


@dataclass(frozen=True, slots=True)
class TiffHead:
    """What a file says of itself.

    Parameters
    ----------
    path
        The file.
    pages
        All pages of the main chain, in order.
    reduced
        For each page, whether it is a smaller copy or a transparency mask.
    description
        Image description of the first page; "" where there is none.
    page_names
        Name of each page where its writer gave one.
    imagej_labels
        Slice labels of an ImageJ stack.
    pixels_per_unit
        Horizontal resolution; its unit stands elsewhere.
    """

    path: Path
    pages: tuple[Page, ...]
    reduced: tuple[bool, ...]
    description: str
    page_names: tuple[str, ...]
    imagej_labels: tuple[str, ...]
    pixels_per_unit: float | None


def read_head(path: Path) -> TiffHead:
    """Pages and descriptions of a TIFF file; no pixel is decoded.

    Raises
    ------
    ReadError
        Not a TIFF, cut off, damaged, or declaring more than the file can hold.
    """
    with reading(path), path.open("rb") as handle:
        stat = os.fstat(handle.fileno())
        offsets = _directory_offsets(handle, stat.st_size, path)
        with TiffFile(handle, is_ome=False) as tiff:
            raw = [_page_at(tiff, offset) for offset in offsets]
            pages = tuple(_checked(page, str(path), stat) for page in raw)
            first = raw[0]
            metadata = first.tags.valueof(_IMAGEJ_METADATA)
            labels = metadata.get("Labels", ()) if isinstance(metadata, dict) else ()
            return TiffHead(
                path=path,
                pages=pages,
                reduced=tuple(bool(page.subfiletype & (_REDUCED | _MASK)) for page in raw),
                description=first.description,
                page_names=tuple(_text(page.tags.valueof(_PAGE_NAME)) for page in raw),
                imagej_labels=tuple(str(label) for label in labels),
                pixels_per_unit=_ratio(first.tags.valueof("XResolution")),
            )


def first_description(path: Path) -> str:
    """Image description of the first page, without reading the others."""
    with reading(path), path.open("rb") as handle, TiffFile(handle, is_ome=False) as tiff:
        return str(tiff.pages.first.description)


def _page_at(tiff: TiffFile, offset: int) -> TiffPage:
    """The page whose directory lies at `offset`."""
    tiff.filehandle.seek(offset)
    return TiffPage(tiff, index=0)


def _directory_offsets(handle: BinaryIO, n_bytes: int, path: Path) -> list[int]:
    """Where the directories of the main chain lie.

    tifffile stops at a broken link and goes on with the pages before it; here that is an error.
    """
    order = {b"II": "<", b"MM": ">"}.get(handle.read(2))
    version = struct.unpack(f"{order}H", handle.read(2))[0] if order else 0
    if version not in (42, 43):
        raise read_error(path, "not a TIFF file")
    number, entry, link = ("H", 12, "I") if version == 42 else ("Q", 20, "Q")
    handle.seek(4 if version == 42 else 8)
    offset = _unpacked(handle, f"{order}{link}")
    offsets: dict[int, None] = {}
    while offset:
        if offset in offsets or offset >= n_bytes:
            raise read_error(path, f"cut off or damaged: page {len(offsets)} is not in the file")
        offsets[offset] = None
        handle.seek(offset)
        n_tags = _unpacked(handle, f"{order}{number}")
        if n_tags > _MAX_TAGS:
            raise read_error(path, f"damaged: page {len(offsets) - 1} has {n_tags} tags")
        handle.seek(n_tags * entry, os.SEEK_CUR)
        offset = _unpacked(handle, f"{order}{link}")
    if not offsets:
        raise read_error(path, "holds no page")
    handle.seek(0)
    return list(offsets)


def _unpacked(handle: BinaryIO, kind: str) -> int:
    return int(struct.unpack(kind, handle.read(struct.calcsize(kind)))[0])


def _checked(page: TiffPage, path: str, stat: os.stat_result) -> Page:
    """A page whose size, type and segments agree with the file."""
    separate, depth, height, width, contiguous_samples = page.shaped
    if depth != 1 or page.tiledepth != 1:
        raise read_error(path, f"a volume of depth {depth}; nimbus reads 2D planes")
    if min(height, width, separate, contiguous_samples) < 1:
        raise read_error(path, f"a page of {height} x {width} pixels")
    if page.dtype is None or page.dtype.kind not in "uifb":
        raise read_error(path, f"values of type {page.dtype} are not read, only real numbers")
    _check_segments(page, path, stat.st_size)
    plain = page.is_contiguous and page.predictor == 1 and page.fillorder == 1
    plain = plain and all(page.databytecounts)
    return Page(
        path=path,
        n_bytes=stat.st_size,
        stamp=stat.st_mtime_ns,
        offset=page.offset,
        shape=(height, width),
        n_samples=separate * contiguous_samples,
        interleaved=separate == 1,
        dtype=page.dtype.newbyteorder("="),
        segment=_segment(page),
        contiguous=bool(plain),
    )


def _segment(page: TiffPage) -> tuple[int, int]:
    """Rows and columns of a strip or tile."""
    if page.is_tiled:
        return int(page.tilelength), int(page.tilewidth)
    return int(page.rowsperstrip), int(page.imagewidth)


def _check_segments(page: TiffPage, path: str, n_bytes: int) -> None:
    """Refuse strips and tiles that are missing, beyond the end, or too small for what they hold."""
    codec = codec_of(page.compression, path)
    needed = _needed_bytes(page, path)
    offsets = np.asarray(page.dataoffsets, dtype=np.float64)
    counts = np.asarray(page.databytecounts, dtype=np.float64)
    if not len(offsets) == len(counts) == len(needed):
        raise read_error(
            path, f"damaged: {len(offsets)} strips or tiles are listed, {len(needed)} are needed"
        )
    if (offsets + counts).max() > n_bytes:
        raise read_error(
            path, f"cut off: pixels up to byte {int((offsets + counts).max())} of {n_bytes}"
        )
    if codec.ratio != 1 and needed.max() > MAX_SEGMENT_BYTES:
        raise read_error(
            path,
            f"one strip or tile of {needed.max() / 2**30:.1f} GiB; save the image again in tiles",
        )
    stored = counts > 0  # a segment of no bytes stands for empty background
    room = 0 if codec.ratio == 1 else _SMALL
    if codec.ratio is not None and (needed[stored] > codec.ratio * counts[stored] + room).any():
        raise read_error(
            path,
            f"declares {needed[stored].sum():.0f} bytes of pixels, which {counts.sum():.0f} bytes "
            f"of {codec.name} compression cannot hold",
        )


def _needed_bytes(page: TiffPage, path: str) -> FloatArray:
    """Decoded bytes of each strip or tile inside the image, in file order."""
    separate, _, height, width, samples = page.shaped
    rows, columns = _segment(page)
    if rows < 1 or columns < 1:
        raise read_error(path, f"damaged: strips or tiles of {rows} x {columns} pixels")
    n_rows, n_columns = -(-height // rows), -(-width // columns)
    if separate * n_rows * n_columns > len(page.dataoffsets):
        raise read_error(
            path,
            f"damaged: {len(page.dataoffsets)} strips or tiles are listed, "
            f"{separate * n_rows * n_columns} are needed",
        )
    # floats: a damaged file declares sizes whose product overflows integers
    high = np.minimum(rows, height - float(rows) * np.arange(n_rows))
    wide = np.minimum(columns, width - float(columns) * np.arange(n_columns))
    bits = int(np.max(page.bitspersample)) * samples
    return np.tile(np.outer(high, np.ceil(wide * bits / 8)).ravel(), separate)


def _text(value: object) -> str:
    return value.strip() if isinstance(value, str) else ""


def _ratio(value: object) -> float | None:
    if isinstance(value, tuple) and len(value) == 2 and value[0] and value[1]:
        return float(value[0]) / float(value[1])
    return None
