"""What makes cells of one marker uneven: sides, caps, gaps and ruffles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nimbus._types import FloatArray

from ._noise import smooth_noise
from .layout import Layout
from .pattern_settings import PatternSettings


def ruffled(image: FloatArray, reach_px: float, rng: np.random.Generator) -> FloatArray:
    """`image` with its places moved a little: membranes are not as smooth as outlines."""
    if reach_px <= 0:
        return image
    height, width = image.shape
    dy, dx = (
        np.round(reach_px * smooth_noise(image.shape, max(2 * reach_px, 1.5), rng)).astype(np.intp)
        for _ in range(2)
    )
    y = (np.arange(height)[:, None] + dy).clip(0, height - 1)
    x = (np.arange(width) + dx).clip(0, width - 1)
    return np.asarray(image.ravel()[y * width + x])


def sides(layout: Layout, settings: PatternSettings, rng: np.random.Generator) -> FloatArray:
    """Where each pixel lies along the direction of its cell: -1 behind, 1 in front.

    Directions are random, or those of epithelium: neighbours look the same way.
    """
    n = layout.n_cells
    facing = rng.uniform(0, 2 * np.pi, n)
    wave = smooth_noise(layout.shape, 30 / layout.pixel_size_um, rng)
    if settings.aligned > rng.random():
        y, x = layout.centre_px.astype(int).T
        facing = facing[:1] + 2 * wave[y, x]
    slope = np.stack([np.sin(facing), np.cos(facing)], -1) / layout.radius_px[:, None]
    start = np.append(0, -(slope * layout.centre_px).sum(axis=1)).astype(np.float32)
    slope = np.vstack([np.zeros((1, 2)), slope]).astype(np.float32)
    y = np.arange(layout.shape[0], dtype=np.float32)[:, None]
    x = np.arange(layout.shape[1], dtype=np.float32)
    ids = layout.cells
    return np.asarray(start[ids] + slope[ids, 0] * y + slope[ids, 1] * x)


def sidedness(
    layout: Layout, settings: PatternSettings, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Factor that makes one side of each cell brighter; about 1 in the middle.

    `polarity` tilts cells gently; `capped` leaves the signal on one side alone.
    """
    side = sides(layout, settings, rng)
    strength = np.append(0, settings.polarity * rng.random(layout.n_cells)).astype(np.float32)
    factor = np.clip(1 + strength[layout.cells] * side, 0.1, 2.5)
    has_cap = np.append(False, rng.random(layout.n_cells) < settings.capped)[layout.cells]
    if has_cap.any():
        edge = np.float32(rng.uniform(-0.5, 0.3))
        cap = 0.05 + 1.5 / (1 + np.exp(-8 * (side[has_cap] - edge)))
        factor[has_cap] *= cap
    return np.asarray(factor, dtype=np.float32)


def gapped(
    layout: Layout, settings: PatternSettings, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Factor that takes pieces out of membranes: incomplete rings."""
    if settings.gaps <= 0:
        return np.ones(layout.shape, dtype=np.float32)
    wave = smooth_noise(layout.shape, 2.0 / layout.pixel_size_um, rng)
    depth = np.quantile(wave[:: max(wave.shape[0] // 64, 1)], settings.gaps)
    return np.asarray(0.08 + 0.92 / (1 + np.exp(-6 * (wave - depth))), dtype=np.float32)
