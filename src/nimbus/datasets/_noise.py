"""Smooth random fields and random walks: what tissue is drawn with."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nimbus._types import FloatArray


def smooth_noise(
    shape: tuple[int, int], length_px: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Random field of mean 0 and deviation about 1 that varies over `length_px` pixels.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> rough = smooth_noise((64, 64), 1.0, rng)
    >>> fine, coarse = (np.abs(np.diff(smooth_noise((64, 64), n, rng))).mean() for n in (2, 20))
    >>> bool(fine > 3 * coarse)
    True
    """
    step = max(length_px / 2.0, 1.0)
    coarse = tuple(int(np.ceil(n / step)) + 6 for n in shape)
    rough = rng.standard_normal(coarse, dtype=np.float32)
    field = ndimage.gaussian_filter(rough, length_px / step, truncate=3)
    field /= field.std() + np.float32(1e-12)
    rows = np.arange(shape[0]) / step + 2 + rng.random()
    columns = np.arange(shape[1]) / step + 2 + rng.random()
    return bilinear(field, rows, columns)


def bilinear(
    field: NDArray[np.float32], rows: FloatArray, columns: FloatArray
) -> NDArray[np.float32]:
    """`field` at the given fractional rows and columns; beyond its edge the edge goes on.

    Examples
    --------
    >>> field = np.array([[0, 2], [4, 6]], dtype=np.float32)
    >>> bilinear(field, np.array([0.5]), np.array([0.0, 0.5, 1.0, 7.0]))
    array([[2., 3., 4., 4.]], dtype=float32)
    """
    last = [n - 1 for n in field.shape]
    rows, columns = rows.clip(0, last[0]), columns.clip(0, last[1])
    r, c = rows.astype(int), columns.astype(int)
    fr, fc = (rows - r).astype(np.float32)[:, None], (columns - c).astype(np.float32)
    tall = field[r] * (1 - fr) + field[np.minimum(r + 1, last[0])] * fr
    tall = np.ascontiguousarray(tall.T)
    wide = tall[c] * (1 - fc)[:, None] + tall[np.minimum(c + 1, last[1])] * fc[:, None]
    return np.asarray(wide.T, dtype=np.float32, order="C")


def walks(
    start_px: FloatArray,
    heading: FloatArray,
    length_px: FloatArray,
    *,
    curl: float,
    rng: np.random.Generator,
) -> tuple[FloatArray, FloatArray]:
    """Paths of walkers that turn a little at each step of half a pixel.

    Parameters
    ----------
    start_px
        Where each walker starts, ``(walker, 2)`` as y, x in pixels.
    heading
        Angle at the start, radians.
    length_px
        Length of each path.
    curl
        Deviation of the angle per pixel of path, radians.
    rng
        Source of chance.

    Returns
    -------
    Points ``(walker, step, 2)`` and how far along its path each is, ``(walker, step)`` in
    [0, 1]; steps beyond a walker's length are NaN.
    """
    n_steps = max(1, int(np.ceil(2 * float(length_px.max(initial=0.5)))))
    turns = rng.normal(0.0, curl * np.sqrt(0.5), (len(heading), n_steps))
    angle = heading[:, None] + np.cumsum(turns, axis=1)
    step = np.stack([np.sin(angle), np.cos(angle)], axis=-1) * 0.5
    points = start_px[:, None] + np.cumsum(step, axis=1)
    along = (np.arange(n_steps) + 1) / np.maximum(2 * length_px[:, None], 1)
    return points, np.where(along <= 1, along, np.nan)


def drawn(points: FloatArray, value: FloatArray, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Image in which each point has set its pixel to its value, where that is larger.

    Points outside the image and those whose value is NaN are left out.

    Examples
    --------
    >>> drawn(np.array([[0.2, 1.9], [0.4, 1.1], [9, 9]]), np.array([1.0, 3.0, 5.0]), (1, 3))
    array([[0., 3., 0.]], dtype=float32)
    """
    image = np.zeros(shape, dtype=np.float32)
    inside = np.isfinite(value) & np.all((points >= 0) & (points < shape), axis=-1)
    y, x = points[inside].astype(int).T
    np.maximum.at(image, (y, x), value[inside].astype(np.float32))
    return image
