"""The planes that the network sees of one tile."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nimbus._types import AnyArray, IntArray
from nimbus.core.bands import bands
from nimbus.core.boxes import Box
from nimbus.core.grid import Grid
from nimbus.core.intensity import scaled
from nimbus.core.masks import label_window, mask_plane
from nimbus.core.resample import area_average
from nimbus.core.tiles import Tile

from .source import FieldSource


def image_window(grid: Grid, box: Box) -> Box:
    """Image pixels under the network pixels of `box`."""
    return Box(*grid.y.image_of_network(box.y0, box.y1), *grid.x.image_of_network(box.x0, box.x1))


def tile_mask(source: FieldSource, tile: Tile) -> NDArray[np.uint8]:
    """The mask plane of the tile's read box inside the image, axes ``(y, x)``."""
    inside = tile.read.clipped(source.grid.network_shape)
    window = label_window(source.grid, inside)
    return mask_plane(source.read_labels(window), source.grid, inside, origin=window)


def channel_planes(
    raw: AnyArray,
    scales: NDArray[np.float64],
    grid: Grid,
    inside: Box,
    *,
    origin: Box,
    clip: float,
) -> NDArray[np.float32]:
    """Scaled channels on the network's grid.

    Parameters
    ----------
    raw
        Part of the image, axes ``(c, y, x)``.
    scales
        Divisor of each channel.
    grid
        How image and network lie on each other.
    inside
        Wanted network pixels, inside the grid.
    origin
        Where the part lies in the image.
    clip
        Largest value after scaling.
    """
    height, width = inside.shape
    out = np.empty((len(raw), height, width), dtype=np.float32)
    for rows in bands(height, raw.size // height):
        band = Box(inside.y0 + rows.start, inside.y0 + rows.stop, inside.x0, inside.x1)
        window = image_window(grid, band)
        part = scaled(raw[:, *window.relative_to(origin).slices], scales, clip=clip)
        out[:, rows] = area_average(part, grid, band, origin=window)
    return out


def network_input(
    channels: NDArray[np.float32], mask: IntArray, tile: Tile, shape: tuple[int, int]
) -> NDArray[np.float32]:
    """Planes ``(c, 2, y, x)`` of the whole read box, reflected past the edge of the grid.

    Parameters
    ----------
    channels
        Axes ``(c, y, x)``, the read box inside the grid.
    mask
        Axes ``(y, x)``, the same box.
    tile
        Whose read box may reach past `shape`.
    shape
        Rows and columns of the network's grid.
    """
    read = tile.read
    height, width = read.clipped(shape).shape
    planes = np.empty((channels.shape[0], 2, *read.shape), dtype=np.float32)
    planes[:, 0, :height, :width] = channels
    planes[:, 1, :height, :width] = mask
    below = _reflected(read.y0 + height, read.y1, shape[0]) - read.y0
    beside = _reflected(read.x0 + width, read.x1, shape[1]) - read.x0
    planes[:, :, height:, :width] = planes[:, :, below, :width]
    planes[..., width:] = planes[..., beside]
    return planes


def _reflected(start: int, stop: int, size: int) -> IntArray:
    """Indices ``start <= k < stop`` with those past ``size - 1`` reflected, edge not repeated."""
    if size == 1:
        return np.zeros(stop - start, dtype=np.int64)
    period = 2 * (size - 1)
    folded = np.arange(start, stop) % period
    return np.minimum(folded, period - folded)
