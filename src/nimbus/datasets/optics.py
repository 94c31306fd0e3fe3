"""Light of the marker's own cells on its way: blur, spillover, and cells out of focus.

Images ``(y, x)`` in units of a typical positive cell (1.0).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nimbus._types import FloatArray

from ._noise import bilinear
from .layout import Layout

OUT_OF_FOCUS_UM = 1.6
"""Blur of cells above and below the section."""


def blur(image: FloatArray, sigma_px: float) -> NDArray[np.float32]:
    """`image` after a Gaussian point spread function."""
    image = np.asarray(image, dtype=np.float32)
    if sigma_px <= 0:
        return image
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
    narrow = blur(small, sigma_px / step)
    return bilinear(narrow, *((np.arange(n) + 0.5) / step - 0.5 for n in (height, width)))


def spill(clean: FloatArray, part: float, reach_um: float, pixel_um: float) -> FloatArray:
    """The `part` of the light that spreads over the neighbours."""
    if part == 0:
        return np.zeros_like(clean)
    return part * blur_wide(clean, reach_um / pixel_um)


def out_of_focus(
    clean: FloatArray,
    layout: Layout,
    ghosts: float,
    overhang: float,
    rng: np.random.Generator,
) -> FloatArray:
    """Blurred light of cells above and below.

    Parameters
    ----------
    clean
        Signal of the section.
    layout
        Its cells.
    ghosts
        Strength of other cells: the tissue, shifted far.
    overhang
        Strength of parts of cells that reach under or over their neighbours.
    rng
        Source of chance.
    """
    if ghosts == 0 and overhang == 0:
        return np.zeros_like(clean)
    light = ghosts * np.roll(clean, rng.integers(0, clean.shape), axis=(0, 1))
    pixel = layout.pixel_size_um
    if overhang > 0:
        angle, reach = rng.uniform(0, 2 * np.pi), rng.uniform(1.5, 4.5) / pixel
        shift = np.round([reach * np.sin(angle), reach * np.cos(angle)]).astype(int)
        tilted = np.append(False, rng.random(layout.n_cells) < 0.4)[layout.cells]
        light = light + overhang * np.roll(np.where(tilted, clean, 0), shift, axis=(0, 1))
    return blur_wide(light, OUT_OF_FOCUS_UM / pixel)


def second_layer(clean: FloatArray, strength: float, rng: np.random.Generator) -> FloatArray:
    """Other cells of a section thicker than a cell: the tissue, shifted far, as sharp as it is."""
    if strength == 0:
        return np.zeros_like(clean)
    return np.asarray(strength * np.roll(clean, rng.integers(0, clean.shape), axis=(0, 1)))


def misplaced(image: FloatArray, by_um: float, angle: float, pixel_um: float) -> FloatArray:
    """`image` moved against the labels, as by imperfect registration; edges repeat."""
    move = by_um / pixel_um
    if round(move) == 0:
        return image
    height, width = image.shape
    rows = np.clip(np.arange(height) - round(move * np.sin(angle)), 0, height - 1)
    columns = np.clip(np.arange(width) - round(move * np.cos(angle)), 0, width - 1)
    return np.asarray(image[np.ix_(rows, columns)])
