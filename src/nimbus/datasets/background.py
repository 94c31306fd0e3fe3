"""Light that is not the marker's: haze, unspecific staining, autofluorescence, debris.

Images ``(y, x)`` in units of a typical positive cell (1.0). Strength 0 gives an empty image.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nimbus._types import FloatArray, IntArray

from ._noise import drawn, smooth_noise, walks
from .layout import Layout
from .optics import blur, blur_wide


def empty(layout: Layout) -> NDArray[np.float32]:
    """No light."""
    return np.zeros(layout.shape, dtype=np.float32)


def haze(
    layout: Layout, strength: float, waves_um: float, matrix: float, rng: np.random.Generator
) -> FloatArray:
    """Wavy background, stronger where there is tissue; `matrix` times that between the cells."""
    if strength == 0:
        return empty(layout)
    pixel = layout.pixel_size_um
    wave = np.exp(np.float32(0.4) * smooth_noise(layout.shape, waves_um / pixel, rng))
    is_cell = (layout.cells > 0).astype(np.float32)
    tissue = blur_wide(is_cell, 3 / pixel)
    between = np.float32(matrix - 1) * np.minimum(2 * tissue, 1) * (1 - is_cell)
    return np.asarray(np.float32(strength) * wave * (0.3 + 0.8 * tissue + between).clip(0.1))


def cell_levels(
    ids: IntArray, n_cells: int, strength: float, spread: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Every cell filled evenly, some brighter than others."""
    if strength == 0:
        return np.zeros(ids.shape, dtype=np.float32)
    level = np.append(0, strength * rng.lognormal(0.0, spread, n_cells)).astype(np.float32)
    return np.asarray(level[ids])


def grained(
    image: NDArray[np.float32], grain_um: float, pixel_um: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """`image` with the grain of chromatin and cytoplasm."""
    if not image.any():
        return image
    wave = smooth_noise(image.shape, grain_um / pixel_um, rng)
    return np.asarray(image * np.exp(np.float32(0.2) * wave))


def granules(
    layout: Layout, share: float, brightness: float, rng: np.random.Generator
) -> FloatArray:
    """Autofluorescent granules (lipofuscin) that crowd in some cells."""
    if share == 0:
        return empty(layout)
    has = np.append(False, rng.random(layout.n_cells) < share)[layout.cells]
    pixel = layout.pixel_size_um
    dice = rng.random(layout.shape, dtype=np.float32)
    spots = np.where(has & (dice < 0.12 * pixel**2), np.float32(1), 0)
    sigma = max(0.5 / pixel, 0.4)
    return np.asarray(brightness * blur(spots, sigma) * 2 * np.pi * sigma**2)


def red_cells(layout: Layout, strength: float, rng: np.random.Generator) -> FloatArray:
    """Red cells in the lumen of vessels: discs, paler in the middle."""
    places = np.argwhere(layout.blood)
    pixel = layout.pixel_size_um
    n = rng.poisson(0.6 * len(places) * pixel**2 / 30)
    if strength == 0 or n == 0:
        return empty(layout)
    chosen = places[rng.integers(0, len(places), n)].astype(float)
    points = drawn(chosen, rng.lognormal(0, 0.3, n), layout.shape)
    wide, narrow = (s / pixel for s in (1.9, 0.9))
    disc = blur(points, wide) * wide**2 - 0.4 * blur(points, narrow) * narrow**2
    return np.asarray(strength * 2 * np.pi * disc.clip(0))


def elastin(layout: Layout, strength: float, rng: np.random.Generator) -> FloatArray:
    """A few long, thin, autofluorescent fibres."""
    n = 0 if strength == 0 else rng.poisson(layout.shape[0] * layout.pixel_size_um / 40)
    if n == 0:
        return empty(layout)
    pixel = layout.pixel_size_um
    start = rng.random((n, 2)) * layout.shape
    y, x = start.astype(int).T
    heading = layout.grain[y, x] + rng.normal(0, 0.2, n)
    length = rng.uniform(15, 120, n) / pixel
    points, along = walks(start, heading, length, curl=0.08 * pixel, rng=rng)
    bright = rng.lognormal(0, 0.5, n)[:, None] * np.where(np.isnan(along), np.nan, 1.0)
    sigma = max(0.5 / pixel, 0.35)
    return np.asarray(strength * 2.5 * sigma * blur(drawn(points, bright, layout.shape), sigma))


def debris(layout: Layout, strength: float, rng: np.random.Generator) -> FloatArray:
    """One ragged, very bright piece of something, 5 to 25 um wide, that sets the scale."""
    if strength == 0:
        return empty(layout)
    pixel = layout.pixel_size_um
    centre = rng.random(2) * layout.shape
    y = (np.arange(layout.shape[0])[:, None] - centre[0]) * pixel
    x = (np.arange(layout.shape[1]) - centre[1]) * pixel
    rag = smooth_noise(layout.shape, 3 / pixel, rng)
    depth = rng.uniform(3, 13) * (1 + 0.4 * rag) - np.hypot(y, x)
    return blur(strength * np.exp(0.3 * rag) * (depth > 0), 0.5 / pixel)


def spots(
    layout: Layout,
    density: float,
    radius_um: tuple[float, float],
    height: tuple[float, float],
    rng: np.random.Generator,
) -> FloatArray:
    """Gaussian spots at random places, `density` per 10,000 square um."""
    area = layout.shape[0] * layout.shape[1] * layout.pixel_size_um**2
    n = rng.poisson(density * area / 1e4)
    if n == 0:
        return empty(layout)
    places = rng.random((n, 2)) * layout.shape
    peak = np.exp(rng.uniform(np.log(height[0]), np.log(height[1]), n))
    sigma = max(rng.uniform(*radius_um) / layout.pixel_size_um, 0.4)
    points = drawn(places, peak, layout.shape)
    return blur(points, sigma) * 2 * np.pi * sigma**2
