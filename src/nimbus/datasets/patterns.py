"""What one marker looks like: a map of density for each place in a cell that it can sit in.

Each function takes the layout and gives an image ``(y, x)``; within a typical cell the density
is about 1. Multiplied by each cell's level these make the clean signal.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nimbus._types import FloatArray

from ._noise import drawn, smooth_noise, walks
from .expression import Expression
from .layout import Layout
from .markers import Marker


@dataclass(frozen=True, slots=True)
class PatternSettings:
    """How the patterns of one channel are drawn.

    Parameters
    ----------
    ring_um
        Width of the membrane.
    cap
        Membrane above and below the nucleus that the section holds.
    patchiness
        Deviation of the logarithm of the density within a cell.
    patch_um
        Size of a patch.
    leak
        Part of a nuclear marker in the cytoplasm, and of a cytoplasmic one in the nucleus.
    granules
        Granules per cell.
    granule_um
        Radius of a granule.
    polarity
        How much brighter one side of a cell is.
    process_um
        Length of thin processes.
    fibre_um
        Length of fibres.
    fibre_width_um
        Width of fibres.
    fibres
        Fibres per 1000 square um of stroma.
    ruffle_um
        How far the signal strays from the outlines that the labels follow.
    """

    ring_um: float = 0.8
    cap: float = 0.15
    patchiness: float = 0.35
    patch_um: float = 0.8
    leak: float = 0.15
    granules: float = 9.0
    granule_um: float = 0.5
    polarity: float = 0.3
    process_um: float = 12.0
    fibre_um: float = 60.0
    fibre_width_um: float = 1.0
    fibres: float = 4.0
    ruffle_um: float = 0.4


def draw_pattern_settings(rng: np.random.Generator) -> PatternSettings:
    """Settings of one channel, over the range that real markers show."""
    return PatternSettings(
        ring_um=float(rng.uniform(0.5, 1.4)),
        cap=float(rng.uniform(0.03, 0.4)),
        patchiness=float(rng.uniform(0.1, 0.8)),
        patch_um=float(rng.uniform(0.5, 1.6)),
        leak=float(rng.uniform(0.02, 0.35)),
        granules=float(rng.uniform(3, 20)),
        granule_um=float(rng.uniform(0.3, 0.8)),
        polarity=float(rng.uniform(0.0, 0.7)),
        process_um=float(rng.uniform(6, 22)),
        fibre_um=float(rng.uniform(30, 150)),
        fibre_width_um=float(rng.uniform(0.5, 2.5)),
        fibres=float(rng.uniform(0.5, 10)),
        ruffle_um=float(rng.uniform(0.0, 1.0)),
    )


def signal(
    layout: Layout,
    marker: Marker,
    expression: Expression,
    settings: PatternSettings,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Clean image of one marker: where its molecules are, before any microscope.

    Parameters
    ----------
    layout
        The cells.
    marker
        Its pattern and processes.
    expression
        Level of each cell.
    settings
        How patterns are drawn.
    rng
        Source of chance.
    """
    density = {
        "membrane": membrane,
        "nuclear": nuclear,
        "cytoplasm": cytoplasm,
        "granular": granular,
        "fibre": cytoplasm,
    }[marker.pattern](layout, settings, rng)
    texture = np.exp(
        settings.patchiness
        * smooth_noise(layout.shape, settings.patch_um / layout.pixel_size_um, rng)
    )
    level = np.append(np.float32(0), expression.level)
    image = density * texture * level[layout.cells]
    if marker.pattern != "nuclear":
        image = image * sidedness(layout, settings, rng)
        image = ruffled(image, settings.ruffle_um / layout.pixel_size_um, rng)
    if marker.process > 0:
        image = np.maximum(image, processes(layout, marker, expression, settings, rng))
    if marker.pattern == "fibre":
        image = np.maximum(image, fibres(layout, settings, rng))
    return np.asarray(image, dtype=np.float32)


def membrane(layout: Layout, settings: PatternSettings, _rng: np.random.Generator) -> FloatArray:
    """A ring inside the border of each cell, and the caps above and below."""
    width = max(settings.ring_um, 0.7 * layout.pixel_size_um)
    ring = np.exp(-((np.maximum(layout.edge_um - layout.pixel_size_um, 0) / width) ** 2))
    return np.asarray((settings.cap + ring) * (layout.cells > 0))


def nuclear(layout: Layout, settings: PatternSettings, rng: np.random.Generator) -> FloatArray:
    """The nucleus with its coarse chromatin, and what leaks into the cytoplasm."""
    grain = np.exp(0.25 * smooth_noise(layout.shape, 1.2 / layout.pixel_size_um, rng))
    inside = layout.nuclei > 0
    return np.asarray(np.where(inside, grain, settings.leak * 0.3) * (layout.cells > 0))


def cytoplasm(layout: Layout, settings: PatternSettings, _rng: np.random.Generator) -> FloatArray:
    """The cell without its nucleus, and what leaks into that."""
    return np.where(layout.nuclei > 0, settings.leak, 1.0) * (layout.cells > 0)


def granular(layout: Layout, settings: PatternSettings, rng: np.random.Generator) -> FloatArray:
    """Bright granules, mostly outside the nucleus, on a faint cytoplasm."""
    radius = settings.granule_um / layout.pixel_size_um
    area = np.count_nonzero(layout.cells) / max(layout.n_cells, 1)
    wanted = rng.random(layout.shape) < settings.granules / max(area, 1)
    outside = (layout.nuclei == 0) | (rng.random(layout.shape) < 0.25)
    spots = wanted & outside & (layout.cells > 0)
    height = np.where(spots, rng.lognormal(0.0, 0.6, layout.shape), 0)
    sigma = max(radius, 0.35)
    blurred = ndimage.gaussian_filter(height, sigma, truncate=3) * 2 * np.pi * sigma**2
    return np.asarray((1.5 * blurred + 0.08) * (layout.cells > 0))


def ruffled(image: FloatArray, reach_px: float, rng: np.random.Generator) -> FloatArray:
    """`image` with its places moved a little: membranes are not as smooth as outlines."""
    if reach_px <= 0:
        return image
    y, x = np.mgrid[: image.shape[0], : image.shape[1]].astype(np.float32)
    y += reach_px * smooth_noise(y.shape, max(2 * reach_px, 1.5), rng)
    x += reach_px * smooth_noise(x.shape, max(2 * reach_px, 1.5), rng)
    return np.asarray(ndimage.map_coordinates(image, [y, x], order=1, mode="nearest"))


def sidedness(
    layout: Layout, settings: PatternSettings, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Factor that makes one side of each cell brighter; mean about 1."""
    n = layout.n_cells
    side = rng.uniform(0, 2 * np.pi, n)
    strength = settings.polarity * rng.random(n)
    slope = np.stack([np.sin(side), np.cos(side)], -1) * (strength / layout.radius_px)[:, None]
    slope = np.vstack([np.zeros((1, 2)), slope]).astype(np.float32)
    start = np.append(1.0, 1 - (slope[1:] * layout.centre_px).sum(axis=1)).astype(np.float32)
    y = np.arange(layout.shape[0], dtype=np.float32)[:, None]
    x = np.arange(layout.shape[1], dtype=np.float32)
    factor = start[layout.cells] + slope[layout.cells, 0] * y + slope[layout.cells, 1] * x
    return np.asarray(np.clip(factor, 0.1, 2.5), dtype=np.float32)


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
    main = smooth_noise(layout.shape, 40 / layout.pixel_size_um, rng)
    y, x = start.astype(int).T
    heading = 2.0 * main[y, x] + rng.normal(0, 0.25, n)
    length = rng.exponential(settings.fibre_um, n).clip(5, 200) / layout.pixel_size_um
    points, along = walks(start, heading, length, curl=0.12 * layout.pixel_size_um, rng=rng)
    bright = rng.lognormal(0.0, 0.6, n)[:, None] * np.where(np.isnan(along), np.nan, 1.0)
    image = drawn(points, bright, layout.shape)
    sigma = max(0.5 * settings.fibre_width_um / layout.pixel_size_um, 0.3)
    blurred = ndimage.gaussian_filter(image, sigma) * 2.5 * sigma
    # Fibres end where the stroma does, softly.
    inside = ndimage.gaussian_filter(layout.stroma.astype(np.float32), 2 / layout.pixel_size_um)
    return np.asarray(blurred * inside, dtype=np.float32)
