"""Stores of large slides: cells all over, or in a corner of a slide that is empty otherwise."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

CELL = 24
"""Pixels from cell to cell: 12 um."""

BLOCK = 2048
"""Pixels along a tile of the network at 1 um."""

CHUNK = 1024
"""Pixels along a chunk."""

PIXEL_UM = 0.5


def make_store(path: Path, side: int, n_channels: int) -> None:
    """Discs on a lattice, bright in some channels, written chunk by chunk."""
    import dask.array as da

    from nimbus.data.fields import Field, build_sdata

    tile = min(CHUNK, side)
    sides = tuple(min(tile, side - start) for start in range(0, side, tile))
    per_row = side // CELL + 1

    def labels_of(block_info=None):
        return discs(*block_info[None]["array-location"], per_row)

    def image_of(block_info=None):
        (c, _), *place = block_info[None]["array-location"]
        return intensities(c, *place)[None]

    labels = da.map_blocks(labels_of, chunks=(sides, sides), dtype=np.uint32)
    image = da.map_blocks(image_of, chunks=((1,) * n_channels, sides, sides), dtype=np.uint16)
    names = tuple(f"m{k}" for k in range(n_channels))
    build_sdata([Field("slide", image, labels, names, PIXEL_UM)]).write(path)


def make_slide(path: Path, shape: tuple[int, int, int], n_tiles: int) -> None:
    """A slide of which only the first tiles have chunks on disk, row by row from the upper left.

    One tile is written, then the shape in the store's metadata is that of the slide. Chunks of
    the image in other tiles are links to those of the first; labels have ids of their own.
    """
    import zarr

    make_store(path, BLOCK, shape[0])
    for file in path.rglob("zarr.json"):
        file.write_text(json.dumps(resized(json.loads(file.read_text()), shape)))
    image = path / "images" / "slide_image" / "s0" / "c"
    labels = zarr.open_array(path / "labels" / "slide_labels" / "s0", mode="r+")
    per_tile, per_block = shape[2] // BLOCK, BLOCK // CHUNK
    first = labels[:BLOCK, :BLOCK]
    for tile in range(1, n_tiles):
        row, column = divmod(tile, per_tile)
        rows, columns = (slice(k * BLOCK, (k + 1) * BLOCK) for k in (row, column))
        labels[rows, columns] = np.where(first > 0, first + tile * (int(first.max()) + 1), 0)
        for chunk in list(image.glob("*/[01]/[01]")):
            channel, y, x = (int(part) for part in chunk.relative_to(image).parts)
            link = image / f"{channel}/{row * per_block + y}/{column * per_block + x}"
            link.parent.mkdir(parents=True, exist_ok=True)
            os.link(chunk, link)


def resized(node, shape: tuple[int, int, int]):
    """Metadata of a group or array with another shape, also where it is repeated above."""
    if isinstance(node, list):
        return [resized(one, shape) for one in node]
    if not isinstance(node, dict):
        return node
    out = {key: resized(one, shape) for key, one in node.items()}
    if out.get("node_type") == "array":
        out["shape"] = list(shape[-len(out["shape"]) :])
    return out


def discs(rows: tuple[int, int], columns: tuple[int, int], per_row: int) -> np.ndarray:
    """Cell ids of a part of the lattice."""
    y, x = np.mgrid[slice(*rows), slice(*columns)]
    inside = (y % CELL - CELL / 2) ** 2 + (x % CELL - CELL / 2) ** 2 < (CELL * 0.46) ** 2
    return np.where(inside, 1 + (y // CELL) * per_row + x // CELL, 0).astype(np.uint32)


def intensities(channel: int, rows: tuple[int, int], columns: tuple[int, int]) -> np.ndarray:
    """Pixels of a channel: noise, and cells that are bright."""
    rng = np.random.default_rng([channel, rows[0], columns[0]])
    y, x = np.mgrid[slice(*rows), slice(*columns)]
    bright = ((y // CELL) * 7 + (x // CELL) * 3) % (channel + 2) == 0
    return rng.poisson(np.where(bright, 300, 12)).astype(np.uint16)
