"""Decodes one box of one page; opens the file anew, so that it works in any thread or process."""

from __future__ import annotations

import os
from pathlib import Path
from typing import BinaryIO

import imagecodecs
import numpy as np
from tifffile import COMPRESSION, TiffFile, TiffPage

from nimbus._types import AnyArray

from ._codecs import check_stated_size
from ._lzw import check_lzw
from ._pages import Page
from .errors import read_error, reading


def read_box(page: Page, samples: range, rows: range, columns: range) -> AnyArray:
    """Values of some samples of a page in a box.

    Parameters
    ----------
    page
        Where to read.
    samples, rows, columns
        Consecutive indices, each of step 1 and inside the page.

    Returns
    -------
    Axes ``(sample, y, x)``, native byte order.

    Raises
    ------
    ReadError
        The file has changed since it was opened, or its pixels cannot be decoded.
    """
    path = Path(page.path)
    with reading(path), path.open("rb") as handle:
        n_bytes = os.fstat(handle.fileno()).st_size
        if n_bytes != page.n_bytes:
            raise read_error(
                path, f"has changed since it was opened: {n_bytes} bytes, then {page.n_bytes}"
            )
        with TiffFile(handle, is_ome=False) as tiff:
            tiff.filehandle.seek(page.offset)
            raw = TiffPage(tiff, index=0)
            if _stated(raw) != (page.shape, page.n_samples, page.interleaved, page.dtype):
                raise read_error(path, "has changed since it was opened: another shape or type")
            if page.contiguous:
                box = _from_block(page, raw, samples, rows, columns)
            else:
                box = _from_segments(page, raw, handle, samples, rows, columns)
    return box


def _stated(raw: TiffPage) -> tuple[tuple[int, int], int, bool, np.dtype[np.generic]]:
    separate, _, height, width, samples = raw.shaped
    dtype = np.dtype(raw.dtype).newbyteorder("=")
    return (height, width), separate * samples, separate == 1, dtype


def _from_block(page: Page, raw: TiffPage, samples: range, rows: range, columns: range) -> AnyArray:
    """Part of a page whose pixels lie in one uncompressed block."""
    (height, width), n = page.shape, page.n_samples
    shape = (height, width, n) if page.interleaved else (n, height, width)
    dtype = page.dtype.newbyteorder(raw.parent.byteorder)
    start = raw.dataoffsets[0] + page.nth * dtype.itemsize * height * width * n
    block = np.memmap(page.path, dtype=dtype, mode="r", offset=start, shape=shape)
    if page.interleaved:
        block = np.moveaxis(block, 2, 0)
    part = block[_slice(samples), _slice(rows), _slice(columns)]
    return np.array(part, dtype=page.dtype, order="C")


def _from_segments(  # one argument per thing that a segment needs; they travel nowhere else
    page: Page, raw: TiffPage, handle: BinaryIO, samples: range, rows: range, columns: range
) -> AnyArray:
    """Paste together the strips or tiles that touch the box."""
    box = np.full((len(samples), len(rows), len(columns)), raw.nodata, dtype=page.dtype)
    height, width = page.segment
    down, across = (
        -(-length // part) for length, part in zip(page.shape, page.segment, strict=True)
    )
    planes = [0] if page.interleaved else list(samples)
    for plane in planes:
        target = box if page.interleaved else box[plane - samples.start][None]
        kept = samples if page.interleaved else range(1)
        for row in range(rows.start // height, -(-rows.stop // height)):
            for column in range(columns.start // width, -(-columns.stop // width)):
                nth = (plane * down + row) * across + column
                decoded = _decoded(raw, handle, nth)
                if decoded is not None:
                    corner = (row * height, column * width)
                    _paste(target, decoded[_slice(kept)], corner, (rows.start, columns.start))
    return box


def _decoded(raw: TiffPage, handle: BinaryIO, nth: int) -> AnyArray | None:
    """Strip or tile number `nth`, axes ``(sample, y, x)``; ``None`` where the file omits it."""
    path = str(handle.name)
    count = raw.databytecounts[nth]
    if not count:
        return None
    handle.seek(raw.dataoffsets[nth])
    data = handle.read(count)
    if len(data) != count:
        raise read_error(path, f"cut off: {len(data)} of {count} bytes of strip or tile {nth}")
    check_stated_size(data, raw.compression, _pixels(raw), path)
    if raw.compression == COMPRESSION.LZW:
        check_lzw(bytes(imagecodecs.bitorder_decode(data)) if raw.fillorder == 2 else data, path)
    decoded, _, _ = raw.decode(data, nth, jpegtables=raw.jpegtables)
    if decoded is None:
        raise read_error(path, f"strip or tile {nth} gives no pixels")
    by_sample: AnyArray = np.moveaxis(decoded[0], 2, 0)
    return by_sample


def _pixels(raw: TiffPage) -> int:
    """Most pixels that a strip or tile may have."""
    return int(
        raw.tilelength * raw.tilewidth if raw.is_tiled else raw.rowsperstrip * raw.imagewidth
    )


def _paste(box: AnyArray, part: AnyArray, corner: tuple[int, int], origin: tuple[int, int]) -> None:
    """Copy what of `part` (its first pixel at `corner`) lies in `box` (its first at `origin`)."""
    spans = []
    for axis in (0, 1):
        shift = corner[axis] - origin[axis]
        start = max(shift, 0)
        stop = min(shift + part.shape[axis + 1], box.shape[axis + 1])
        spans.append((slice(start, stop), slice(start - shift, stop - shift)))
    (to_y, from_y), (to_x, from_x) = spans
    box[:, to_y, to_x] = part[:, from_y, from_x]


def _slice(span: range) -> slice:
    return slice(span.start, span.stop)
