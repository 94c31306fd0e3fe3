"""The mask plane: what the network sees of the segmentation."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nimbus._types import BoolArray, IntArray

from .bands import bands
from .boxes import Box
from .grid import OUTSIDE, Grid


def inner_border(labels: IntArray) -> BoolArray:
    """Pixels of a cell that touch another id along a side.

    Parameters
    ----------
    labels
        Cell ids, axes ``(y, x)``; 0 is background. The edge of the array is no border.

    Examples
    --------
    >>> inner_border(np.array([[1, 1, 1, 2, 0]])).astype(int)
    array([[0, 0, 1, 1, 0]])
    """
    border = np.zeros(labels.shape, dtype=bool)
    down = labels[1:] != labels[:-1]
    border[1:] |= down
    border[:-1] |= down
    right = labels[:, 1:] != labels[:, :-1]
    border[:, 1:] |= right
    border[:, :-1] |= right
    border &= labels != 0
    return border


def label_window(grid: Grid, box: Box) -> Box:
    """Label pixels that :func:`mask_plane` reads for the network pixels of `box`."""
    spans = []
    for axis, start, stop in ((grid.y, box.y0, box.y1), (grid.x, box.x0, box.x1)):
        index = axis.labels_of_half(2 * start - 1, 2 * stop + 1)
        index = index[index != OUTSIDE]
        spans += [int(index.min()), int(index.max()) + 1] if index.size else [0, 0]
    return Box(*spans)


def mask_plane(labels: IntArray, grid: Grid, box: Box, *, origin: Box) -> NDArray[np.uint8]:
    """1 inside a cell; 0 on the background and on the inner border of each cell.

    Labels are brought to half a network pixel by nearest neighbour, the border is drawn there,
    and every second pixel (even rows and columns) is kept. When a network pixel is two label
    pixels wide this is what the published network was trained on; at any other size touching
    cells still stay apart.

    Parameters
    ----------
    labels
        Part of the label image, axes ``(y, x)``; at least :func:`label_window` of `box`.
    grid
        How labels and network lie on each other.
    box
        Pixels of the network's grid.
    origin
        Where the part lies in the labels.

    Returns
    -------
    0 or 1, axes ``(y, x)``, of the shape of `box`.

    Examples
    --------
    >>> from nimbus.core.grid import same_grid
    >>> labels = np.repeat([[1, 1, 1, 1, 1, 1, 2, 2, 2, 2]], 4, axis=0)
    >>> mask_plane(labels, same_grid(labels.shape, 2.0), Box(0, 2, 0, 5), origin=Box(0, 4, 0, 10))
    array([[1, 1, 1, 0, 1],
           [1, 1, 1, 0, 1]], dtype=uint8)
    """
    height, width = box.shape
    columns = grid.x.labels_of_half(2 * box.x0 - 1, 2 * box.x1 + 1)
    out = np.empty((height, width), dtype=np.uint8)
    for band in bands(height, 4 * width):
        rows = grid.y.labels_of_half(2 * (box.y0 + band.start) - 1, 2 * (box.y0 + band.stop) + 1)
        half = _gathered(labels, rows, columns, origin)
        inside = (half != 0) & ~inner_border(half)
        out[band] = inside[1:-1:2, 1:-1:2]
    return out


def cell_plane(labels: IntArray, grid: Grid, box: Box, *, origin: Box) -> NDArray[np.int32]:
    """Cell id of each network pixel, taken where :func:`mask_plane` samples it.

    Parameters
    ----------
    labels, grid, box, origin
        As in :func:`mask_plane`.

    Returns
    -------
    Ids, axes ``(y, x)``, of the shape of `box`; 0 on the background and where there are no labels.

    Examples
    --------
    >>> from nimbus.core.grid import same_grid
    >>> labels = np.repeat([[7, 7, 7, 9, 9, 0]], 2, axis=0)
    >>> cell_plane(labels, same_grid(labels.shape, 2.0), Box(0, 1, 0, 3), origin=Box(0, 2, 0, 6))
    array([[7, 7, 9]], dtype=int32)
    """
    rows = grid.y.labels_of_half(2 * box.y0, 2 * box.y1)[::2]
    columns = grid.x.labels_of_half(2 * box.x0, 2 * box.x1)[::2]
    return _gathered(labels, rows, columns, origin).astype(np.int32)


def _gathered(labels: IntArray, rows: IntArray, columns: IntArray, origin: Box) -> IntArray:
    """Ids at the given global rows and columns; 0 where there are no labels."""
    if labels.size == 0:
        return np.zeros((rows.size, columns.size), dtype=np.int64)
    taken: IntArray = labels[
        np.ix_(np.maximum(rows - origin.y0, 0), np.maximum(columns - origin.x0, 0))
    ]
    taken[rows == OUTSIDE] = 0
    taken[:, columns == OUTSIDE] = 0
    return taken
