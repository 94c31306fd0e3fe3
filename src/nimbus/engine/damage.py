"""Which file of a Zarr store is damaged, found after a read has failed."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from itertools import product
from typing import Any, TypeAlias

import dask.array as da
import zarr
from dask.highlevelgraph import MaterializedLayer

from nimbus.core.boxes import Box

AnyZarr: TypeAlias = "zarr.Array[Any]"

READ_ERRORS = (OSError, ValueError, RuntimeError, EOFError, zlib.error)
"""What the stores and codecs raise for a chunk that is missing, cut off or damaged."""


def damaged_chunk(array: da.Array, box: Box) -> str | None:
    """Path of a chunk under `box` that cannot be read; ``None`` if none is found.

    Looks at the Zarr arrays that `array` reads and that have its rows and columns. Every chunk
    of every channel there is tried: this is for the moment after an error.
    """
    for stored in _zarr_arrays(array):
        if stored.shape[-2:] != array.shape[-2:]:
            continue
        for index in _chunks_under(stored, box):
            try:
                stored[_slices(stored, index)]
            except READ_ERRORS:
                key = stored.metadata.encode_chunk_key(index)
                return f"{stored.store_path}/{key}"
    return None


def _zarr_arrays(array: da.Array) -> Iterator[AnyZarr]:
    """Zarr arrays in the graph; Dask gives each a layer of its own, unless it was laid out."""
    for layer in array.dask.layers.values():
        if len(layer) == 1 or isinstance(layer, MaterializedLayer):
            yield from (node for node in layer.values() if isinstance(node, zarr.Array))


def _chunks_under(stored: AnyZarr, box: Box) -> Iterator[tuple[int, ...]]:
    """Indices of the chunks (of the shards, where there are) that hold pixels of `box`."""
    height, width = _sizes(stored)[-2:]
    inside = box.clipped((stored.shape[-2], stored.shape[-1]))
    rows = range(inside.y0 // height, -(-inside.y1 // height))
    columns = range(inside.x0 // width, -(-inside.x1 // width))
    outer = [
        range(-(-n // size)) for n, size in zip(stored.shape[:-2], _sizes(stored)[:-2], strict=True)
    ]
    yield from product(*outer, rows, columns)


def _slices(stored: AnyZarr, index: tuple[int, ...]) -> tuple[slice, ...]:
    return tuple(slice(i * n, (i + 1) * n) for i, n in zip(index, _sizes(stored), strict=True))


def _sizes(stored: AnyZarr) -> tuple[int, ...]:
    sizes: tuple[int, ...] = stored.shards or stored.chunks
    return sizes
