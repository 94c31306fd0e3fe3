"""Light of the marker's own cells on its way: blur, spillover, and cells out of focus.

Images ``(y, x)`` in units of a typical positive cell (1.0).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nimbus._types import FloatArray

from .layout import Layout

OUT_OF_FOCUS_UM = 1.6
"""Blur of cells above and below the section."""


def blur(image: FloatArray, sigma_px: float) -> NDArray[np.float32]:
    """`image` after a Gaussian point spread function."""
    if sigma_px <= 0:
        return np.asarray(image, dtype=np.float32)
    out = ndimage.gaussian_filter(image, sigma_px, truncate=3, mode="reflect")
    return np.asarray(out, dtype=np.float32)


def blur_wide(image: FloatArray, sigma_px: float) -> NDArray[np.float32]:
    """`image` after a wide blur, computed on a coarser grid."""
    step = max(int(sigma_px / 2), 1)
    if step == 1:
        return blur(image, sigma_px)
    height, width = image.shape
    padded = np.pad(image, ((0, -height % step), (0, -width % step)), mode="edge")
    rows, columns = padded.shape[0] // step, padded.shape[1] // step
    small = padded.reshape(rows, step, columns, step).mean(axis=(1, 3))
    large = ndimage.zoom(
        blur(small, sigma_px / step), step, order=1, grid_mode=True, mode="nearest"
    )
    return np.asarray(large[:height, :width], dtype=np.float32)


def spill(clean: FloatArray, part: float, reach_um: float, pixel_um: float) -> FloatArray:
    """The `part` of the light that spreads over the neighbours."""
    if part == 0:
        return np.zeros_like(clean)
    return part * blur_wide(clean, reach_um / pixel_um)


def ghosts(
    clean: FloatArray, strength: float, pixel_um: float, rng: np.random.Generator
) -> FloatArray:
    """Blurred light of cells above and below: the tissue, shifted far."""
    if strength == 0:
        return np.zeros_like(clean)
    shift = rng.integers(0, clean.shape)
    far = np.roll(blur_wide(clean, OUT_OF_FOCUS_UM / pixel_um), shift, axis=(0, 1))
    return np.asarray(strength * far)


def overhang(
    clean: FloatArray, layout: Layout, strength: float, rng: np.random.Generator
) -> FloatArray:
    """Parts of cells that reach, out of focus, under or over their neighbours."""
    if strength == 0:
        return np.zeros_like(clean)
    pixel = layout.pixel_size_um
    tilted = np.append(False, rng.random(layout.n_cells) < 0.4)[layout.cells]
    angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(1.5, 4.5) / pixel
    shift = np.round([reach * np.sin(angle), reach * np.cos(angle)]).astype(int)
    near = np.roll(np.where(tilted, clean, 0), shift, axis=(0, 1))
    return np.asarray(strength * blur_wide(near, OUT_OF_FOCUS_UM / pixel))


def misplaced(image: FloatArray, by_um: float, angle: float, pixel_um: float) -> FloatArray:
    """`image` moved against the labels, as by imperfect registration; edges repeat."""
    move = by_um / pixel_um
    if round(move) == 0:
        return image
    height, width = image.shape
    rows = np.clip(np.arange(height) - round(move * np.sin(angle)), 0, height - 1)
    columns = np.clip(np.arange(width) - round(move * np.cos(angle)), 0, width - 1)
    return np.asarray(image[np.ix_(rows, columns)])
