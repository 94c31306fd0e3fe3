"""What lies over cells without belonging to them: processes of their neighbours, and fibres."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from ._noise import drawn, walks
from .expression import Expression
from .layout import Layout
from .markers import Marker
from .pattern_settings import PatternSettings


def processes(
    layout: Layout,
    marker: Marker,
    expression: Expression,
    settings: PatternSettings,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Thin branches of positive cells that lie over their neighbours."""
    senders = np.flatnonzero(expression.positive & (rng.random(layout.n_cells) < marker.process))
    senders = np.repeat(senders, rng.integers(2, 9, len(senders)))
    if len(senders) == 0:
        return np.zeros(layout.shape, dtype=np.float32)
    heading = rng.uniform(0, 2 * np.pi, len(senders))
    out = np.stack([np.sin(heading), np.cos(heading)], -1)
    start = layout.centre_px[senders] + out * 0.7 * layout.radius_px[senders][:, None]
    length = rng.exponential(settings.process_um, len(senders)).clip(2, 40) / layout.pixel_size_um
    points, along = walks(start, heading, length, curl=0.25 * layout.pixel_size_um, rng=rng)
    bright = expression.level[senders] * rng.uniform(0.2, 1.0, len(senders))
    image = drawn(points, bright[:, None] * (1 - 0.6 * along), layout.shape)
    sigma = 0.35 / layout.pixel_size_um
    return np.asarray(ndimage.gaussian_filter(image, sigma) * (1 + sigma), dtype=np.float32)


def fibres(
    layout: Layout, settings: PatternSettings, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Long wavy fibres through the stroma; they belong to no cell."""
    places = np.argwhere(layout.stroma)
    area_um2 = len(places) * layout.pixel_size_um**2
    n = rng.poisson(settings.fibres * area_um2 / 1000)
    if n == 0:
        return np.zeros(layout.shape, dtype=np.float32)
    start = places[rng.integers(0, len(places), n)].astype(float)
    y, x = start.astype(int).T
    heading = layout.grain[y, x] + rng.normal(0, 0.25, n)
    length = rng.exponential(settings.fibre_um, n).clip(5, 200) / layout.pixel_size_um
    points, along = walks(start, heading, length, curl=0.12 * layout.pixel_size_um, rng=rng)
    bright = rng.lognormal(0.0, 0.6, n)[:, None] * np.where(np.isnan(along), np.nan, 1.0)
    image = drawn(points, bright, layout.shape)
    sigma = max(0.5 * settings.fibre_width_um / layout.pixel_size_um, 0.3)
    blurred = ndimage.gaussian_filter(image, sigma) * 2.5 * sigma
    # Fibres end where the stroma does, softly.
    inside = ndimage.gaussian_filter(layout.stroma.astype(np.float32), 2 / layout.pixel_size_um)
    return np.asarray(blurred * inside, dtype=np.float32)
