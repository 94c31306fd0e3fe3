"""Area averages of an image on the network's grid."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nimbus._types import FloatArray, IntArray

from .boxes import Box
from .grid import Axis, Grid


@dataclass(frozen=True, slots=True)
class Taps:
    """The image pixels under each network pixel: axes ``(tap, pixel)``, weights sum to 1."""

    index: IntArray
    weight: NDArray[np.float32]


def axis_taps(axis: Axis, start: int, stop: int) -> Taps:
    """Image pixels and weights of network pixels ``start <= k < stop``.

    Examples
    --------
    >>> taps = axis_taps(Axis(n_image=5, n_labels=5, factor=2.0), 1, 3)
    >>> taps.index.tolist(), taps.weight.tolist()
    ([[2, 4], [3, 4]], [[0.5, 1.0], [0.5, 0.0]])
    """
    low = np.arange(start, stop) * axis.factor
    high = np.minimum(low + axis.factor, axis.n_image)
    first = np.floor(low + 1e-9).astype(np.int64)
    n_taps = math.ceil(axis.factor) + (0 if float(axis.factor).is_integer() else 1)
    index = first + np.arange(n_taps)[:, None]
    overlap = np.clip(np.minimum(index + 1, high) - np.maximum(index, low), 0, None)
    weight = overlap / overlap.sum(axis=0)
    return Taps(np.minimum(index, axis.n_image - 1), weight.astype(np.float32))


def area_average(image: FloatArray, grid: Grid, box: Box, *, origin: Box) -> NDArray[np.float32]:
    """Mean of the image over each network pixel of `box`.

    Parameters
    ----------
    image
        Part of the image, axes ``(..., y, x)``; at least the pixels that `box` touches.
    grid
        How image and network lie on each other.
    box
        Pixels of the network's grid.
    origin
        Where the part lies in the image, in image pixels.

    Returns
    -------
    Axes ``(..., y, x)`` of the shape of `box`. A network pixel that is cut by the edge of the
    image is the mean over the part inside.

    Examples
    --------
    >>> from nimbus.core.grid import same_grid
    >>> image = np.array([[0.0, 2.0, 5.0], [4.0, 6.0, 7.0]])
    >>> grid = same_grid(image.shape, factor=2.0)
    >>> area_average(image, grid, Box(0, 1, 0, 2), origin=Box(0, 2, 0, 3))
    array([[3., 6.]], dtype=float32)
    """
    rows = axis_taps(grid.y, box.y0, box.y1)
    columns = axis_taps(grid.x, box.x0, box.x1)
    tall = _weighted(image, rows, origin.y0, axis=-2)
    return _weighted(tall, columns, origin.x0, axis=-1)


def _weighted(image: FloatArray, taps: Taps, start: int, *, axis: int) -> NDArray[np.float32]:
    shape = [1] * image.ndim
    shape[axis] = -1
    total: FloatArray | None = None
    for index, weight in zip(taps.index - start, taps.weight, strict=True):
        # The first tap of every pixel is inside the part; later ones of weight 0 may not be.
        inside = np.minimum(index, image.shape[axis] - 1)
        part = _taken(image, inside, axis)
        own = None  # memory that may be written to: `part` is a view of the image at first
        if np.any(weight != 1):
            part = own = part * weight.reshape(shape)
        total = part.astype(np.float32, copy=False) if total is None else np.add(total, part, own)
    if total is None:
        raise ValueError("no network pixel to average over")
    return total.astype(np.float32, copy=False)


def _taken(image: FloatArray, index: IntArray, axis: int) -> FloatArray:
    """:func:`numpy.take`, as a view where the places are evenly spaced."""
    steps = np.unique(np.diff(index))
    if steps.size > 1 or (steps.size == 1 and steps[0] < 1):
        return np.take(image, index, axis=axis)
    step = int(steps[0]) if steps.size else 1
    span = slice(int(index[0]), int(index[-1]) + 1, step)
    return image[..., span] if axis == -1 else image[..., span, :]
