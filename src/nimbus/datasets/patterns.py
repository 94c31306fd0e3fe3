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

from ._noise import smooth_noise
from .cells import edge_distance
from .expression import Expression
from .layout import Layout
from .markers import Marker
from .overlays import fibres, processes
from .pattern_settings import PatternSettings
from .unevenness import gapped, ruffled, sidedness

LAMINA_UM = 0.7
"""Width of the bright rim of a nucleus."""


@dataclass(frozen=True, slots=True)
class Signal:
    """Where the molecules of one marker are, before any microscope; a typical positive has 1.

    Parameters
    ----------
    own
        Each pixel's part that belongs to the cell of that pixel, float32 ``(y, x)``.
    total
        With ruffles, processes and fibres that lie over other cells, float32 ``(y, x)``.
    """

    own: NDArray[np.float32]
    total: NDArray[np.float32]


def signal(
    layout: Layout,
    marker: Marker,
    expression: Expression,
    settings: PatternSettings,
    rng: np.random.Generator,
) -> Signal:
    """Clean image of one marker.

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
    inner, patches, side, holes, edges, branches, strands = rng.spawn(7)
    density = {
        "membrane": membrane,
        "nuclear": nuclear,
        "cytoplasm": cytoplasm,
        "granular": granular,
        "fibre": cytoplasm,
    }[marker.pattern](layout, settings, inner)
    patch_px = settings.patch_um / layout.pixel_size_um
    texture = np.exp(settings.patchiness * smooth_noise(layout.shape, patch_px, patches))
    own = density * texture * np.append(np.float32(0), expression.level)[layout.cells]
    total = own
    if marker.pattern != "nuclear":
        own = own * sidedness(layout, settings, side)
        if marker.pattern == "membrane":
            own = own * gapped(layout, settings, holes)
        total = ruffled(own, settings.ruffle_um / layout.pixel_size_um, edges)
    if marker.process > 0:
        total = np.maximum(total, processes(layout, marker, expression, settings, branches))
    if marker.pattern == "fibre":
        total = np.maximum(total, fibres(layout, settings, strands))
    return Signal(np.asarray(own, dtype=np.float32), np.asarray(total, dtype=np.float32))


def membrane(layout: Layout, settings: PatternSettings, _rng: np.random.Generator) -> FloatArray:
    """A ring inside the border of each cell, and the caps above and below."""
    width = max(settings.ring_um, 0.7 * layout.pixel_size_um)
    ring = np.exp(-((np.maximum(layout.edge_um - layout.pixel_size_um, 0) / width) ** 2))
    return np.asarray((settings.cap + ring) * (layout.cells > 0))


def nuclear(layout: Layout, settings: PatternSettings, rng: np.random.Generator) -> FloatArray:
    """The nucleus with its coarse chromatin and its rim, and what leaks into the cytoplasm."""
    grain_px = settings.chromatin_um / layout.pixel_size_um
    grain = np.exp(settings.chromatin * smooth_noise(layout.shape, grain_px, rng))
    if settings.lamina > 0:
        depth_um = edge_distance(layout.nuclei) * layout.pixel_size_um
        grain = grain * (1 + settings.lamina * np.exp(-((depth_um / LAMINA_UM) ** 2)))
        grain = grain / (1 + 0.3 * settings.lamina)  # the mean stays about that of even nuclei
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
