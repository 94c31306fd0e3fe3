"""Tiles: what one task reads and what it writes.

::

    +----------------------+
    |  read   halo         |      The write boxes cover the grid exactly once. The read box adds
    |   +-----------+      |      a halo of at least the network's reach, so that every pixel of
    |   |   write   |      |      the write box gets the value that the whole image would give.
    |   +-----------+      |
    +----------------------+
"""

from __future__ import annotations

from dataclasses import dataclass

from .boxes import Box


@dataclass(frozen=True, slots=True)
class Tile:
    """One piece of work, in network pixels.

    Parameters
    ----------
    index
        Number of the tile in its field, row by row.
    write
        Pixels whose result this tile gives; inside the grid.
    read
        Pixels that the network sees; may reach past the lower and right edge of the grid, where
        the image is reflected.
    """

    index: int
    write: Box
    read: Box


def rounded_up(n: int, multiple: int) -> int:
    """Smallest multiple of `multiple` that is at least `n`.

    Examples
    --------
    >>> rounded_up(17, 16), rounded_up(16, 16)
    (32, 16)
    """
    return -(-n // multiple) * multiple


def plan_tiles(
    shape: tuple[int, int], *, tile_size: int, multiple: int, halo: int
) -> tuple[Tile, ...]:
    """Tiles that cover a grid of `shape`.

    Parameters
    ----------
    shape
        Rows and columns of the network's grid.
    tile_size
        Largest side of a write box in network pixels, rounded up to `multiple`; tiles of a
        field are about equal, so that none is a sliver.
    multiple
        Tile origins and padded sizes are multiples of it.
    halo
        Least number of pixels around the write box; rounded up to `multiple`.

    Examples
    --------
    >>> first, second = plan_tiles((16, 40), tile_size=32, multiple=16, halo=16)
    >>> first.write, first.read
    (Box(y0=0, y1=16, x0=0, x1=32), Box(y0=0, y1=16, x0=0, x1=48))
    >>> second.write, second.read
    (Box(y0=0, y1=16, x0=32, x1=40), Box(y0=0, y1=16, x0=16, x1=48))
    """
    if tile_size < 1:
        raise ValueError(f"tile_size must be at least 1 network pixel, not {tile_size}")
    margin = rounded_up(halo, multiple)
    rows, columns = (_step(size, rounded_up(tile_size, multiple), multiple) for size in shape)
    padded = rounded_up(shape[0], multiple), rounded_up(shape[1], multiple)
    cores = [
        Box(y, y + rows, x, x + columns)
        for y in range(0, shape[0], rows)
        for x in range(0, shape[1], columns)
    ]
    return tuple(
        Tile(index, write=core.clipped(shape), read=core.grown(margin).clipped(padded))
        for index, core in enumerate(cores)
    )


def _step(size: int, largest: int, multiple: int) -> int:
    n_tiles = -(-size // largest)
    return rounded_up(-(-size // n_tiles), multiple)
