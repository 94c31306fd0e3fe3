"""Sums per cell of one tile: places, intensities and scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from nimbus._types import AnyArray, IntArray
from nimbus.core.bands import bands
from nimbus.core.boxes import Box
from nimbus.core.cellsums import compact_ids
from nimbus.core.grid import Grid
from nimbus.core.tiles import Tile


@dataclass(frozen=True, slots=True, eq=False)
class TileCells:
    """The label pixels that a tile owns, cell by cell.

    A label pixel belongs to the tile whose write box holds its nearest network pixel, so that
    each is counted once.

    Parameters
    ----------
    ids
        Cells of the tile, ascending, without 0.
    position
        For each owned label pixel the position of its id, -1 on the background; axes ``(y, x)``.
    box
        The owned label pixels.
    """

    ids: NDArray[np.int64]
    position: NDArray[np.int32]
    box: Box


def owned_labels(grid: Grid, write: Box) -> Box:
    """Label pixels whose nearest network pixel lies in `write`."""
    return Box(
        *grid.y.labels_of_network(write.y0, write.y1), *grid.x.labels_of_network(write.x0, write.x1)
    )


def intensity_window(grid: Grid, box: Box) -> Box:
    """Image pixels under the label pixels of `box`, as :func:`intensity_sums` reads them."""
    spans = []
    for axis, start, stop in ((grid.y, box.y0, box.y1), (grid.x, box.x0, box.x1)):
        _, image = axis.finest_of_labels(start, stop)
        spans += [int(image.min()), int(image.max()) + 1] if image.size else [0, 0]
    return Box(*spans)


def find_cells(labels: IntArray, box: Box) -> TileCells:
    """The cells among the owned `labels` of `box`."""
    ids, position = compact_ids(labels)
    return TileCells(ids, position.reshape(labels.shape), box)


def place_sums(cells: TileCells) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Pixels of each cell, and the sums of their centres (y, x) in label pixels."""
    n = cells.ids.size
    area, place = np.zeros(n), np.zeros((n, 2))
    for rows in bands(*cells.position.shape):
        part = cells.position[rows]
        inside = part >= 0
        flat = part[inside].astype(np.intp)
        y, x = np.nonzero(inside)
        # Whole and half numbers: the bands add up without rounding.
        area += np.bincount(flat, minlength=n)
        place[:, 0] += np.bincount(flat, weights=y + (cells.box.y0 + rows.start + 0.5), minlength=n)
        place[:, 1] += np.bincount(flat, weights=x + (cells.box.x0 + 0.5), minlength=n)
    return area, place


def score_weights(cells: TileCells, grid: Grid, tile: Tile) -> sparse.csc_array:
    """Label pixels of each cell on each network pixel of the write box: ``(cells, pixels)``."""
    rows = grid.y.network_of_labels(cells.box.y0, cells.box.y1) - tile.write.y0
    columns = grid.x.network_of_labels(cells.box.x0, cells.box.x1) - tile.write.x0
    height, width = tile.write.shape
    parts = []
    for band in bands(height, cells.position.size // height):
        own = slice(*np.searchsorted(rows, [band.start, band.stop]))
        position = cells.position[own]
        inside = position >= 0
        pixel = ((rows[own] - band.start)[:, None] * width + columns)[inside]
        ones = np.ones(pixel.size, dtype=np.float32)  # counts stay whole numbers
        shape = cells.ids.size, (band.stop - band.start) * width
        # By columns: label pixels come in the order of network pixels, so this is the fast way.
        parts.append(sparse.csc_array((ones, (position[inside], pixel)), shape=shape))
    return sparse.hstack(parts, format="csc")


def on_mask(weights: sparse.csc_array, mask: NDArray[np.uint8]) -> sparse.csc_array:
    """`weights` on the network pixels ``(y, x)`` that are 1 in `mask`, 0 on others."""
    kept = np.repeat(mask.ravel(), np.diff(weights.indptr))
    return sparse.csc_array((weights.data * kept, weights.indices, weights.indptr), weights.shape)


def intensity_sums(
    image: AnyArray, cells: TileCells, grid: Grid, origin: Box
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sum of each channel over each cell ``(cells, c)``, and the places summed over ``(cells,)``.

    Parameters
    ----------
    image
        Part of the image, axes ``(c, y, x)``.
    cells
        Whose sums are wanted.
    grid
        How image and labels lie on each other.
    origin
        Where the part lies in the image.
    """
    label_y, image_y = grid.y.finest_of_labels(cells.box.y0, cells.box.y1)
    label_x, image_x = grid.x.finest_of_labels(cells.box.x0, cells.box.x1)
    total, area = np.zeros((len(image), cells.ids.size)), np.zeros(cells.ids.size)
    for rows in bands(label_y.size, label_x.size):
        part = _picked(label_y[rows] - cells.box.y0, label_x - cells.box.x0)
        position = cells.position[part]
        inside = position >= 0
        flat = position[inside]
        index = _picked(image_y[rows] - origin.y0, image_x - origin.x0)
        for own, plane in zip(total, image, strict=True):
            _add(own, flat, plane[index][inside])
        area += np.bincount(flat, minlength=area.size)
    return np.ascontiguousarray(total.T), area


def _add(total: NDArray[np.float64], position: NDArray[np.int32], values: AnyArray) -> None:
    """Add `values` to `total` one after the other: the bits of one sum over all bands."""
    every = np.concatenate([np.arange(total.size), position])
    total[:] = np.bincount(every, weights=np.concatenate([total, values]))


def _picked(rows: IntArray, columns: IntArray) -> tuple[slice, slice] | tuple[AnyArray, ...]:
    """An index of these rows and columns; of spans without gaps slices, which copy nothing."""
    if all(k.size and np.array_equal(k, np.arange(k[0], k[0] + k.size)) for k in (rows, columns)):
        return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    return np.ix_(rows, columns)
