"""Where the kinds of tissue lie: patches, lymphoid follicles, glands and vessels.

::

    EEEEEESSSSSSSS        E epithelial, S stroma, L follicle,
    EE....ESSLLLSS        . lumen of a gland,
    EE....ESLLLLLS        v wall of a vessel around its blood (o)
    EEEEEESSSLLSSS
    SSSSvvvSSSSSSS
    SSSvooovSSSSSS
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nimbus._types import BoolArray, FloatArray, IntArray

from ._noise import smooth_noise
from .niches import EPITHELIAL, LYMPHOID, NICHES, VESSEL, Niche

FOLLICLE_UM = (18.0, 60.0)
GLAND_UM = (12.0, 35.0)
VESSEL_UM = (3.0, 16.0)
"""Radii; of a vessel that of its lumen."""

GRAIN_UM = 40.0
"""Over this length the grain of the tissue turns."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """Kinds of tissue of one field.

    Parameters
    ----------
    niches
        The niches that `niche` points to.
    niche
        Index into `niches` of each pixel ``(y, x)``; their number where there are no cells.
    blood
        True in the lumen of a vessel.
    grain
        Direction in which long cells and fibres lie, radians.
    """

    niches: tuple[Niche, ...]
    niche: IntArray
    blood: BoolArray
    grain: NDArray[np.float32]

    def is_in(self, name: str) -> BoolArray:
        """True where the niche has that name."""
        names = np.array([*(n.name for n in self.niches), "lumen"])
        return np.asarray((names == name)[self.niche])


@dataclass(frozen=True, slots=True)
class ArchitectureSettings:
    """How the kinds of tissue lie.

    Parameters
    ----------
    niches
        Kinds of tissue in the field.
    niche_um
        Size of a patch of one niche.
    lumen
        Part of the field without cells.
    follicles, glands, vessels
        Number per 100,000 square um.
    """

    niches: tuple[Niche, ...] = NICHES
    niche_um: float = 60.0
    lumen: float = 0.08
    follicles: float = 0.6
    glands: float = 0.8
    vessels: float = 2.0


def simulate_architecture(
    shape: tuple[int, int],
    pixel_um: float,
    settings: ArchitectureSettings,
    rng: np.random.Generator,
) -> Architecture:
    """Draw the kinds of tissue of one field.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> many = ArchitectureSettings(vessels=40.0)
    >>> tissue = simulate_architecture((200, 200), 0.5, many, rng)
    >>> bool(tissue.is_in("vessel").any()), bool((tissue.blood & ~tissue.is_in("lumen")).any())
    (True, False)
    """
    niches = (*settings.niches, LYMPHOID, EPITHELIAL, VESSEL)
    follicle, gland, wall, empty = range(len(settings.niches), len(niches) + 1)
    niche = _patches(shape, pixel_um, settings, empty, rng)
    turned = np.float32(rng.uniform(0, np.pi))
    grain = turned + 2.0 * smooth_noise(shape, GRAIN_UM / pixel_um, rng)
    blood = np.zeros(shape, dtype=bool)
    area = shape[0] * shape[1] * pixel_um**2 / 1e5
    bend = smooth_noise(shape, 8 / pixel_um, rng)
    for _ in range(rng.poisson(settings.follicles * area)):
        ring = _ring(shape, pixel_um, FOLLICLE_UM, bend, rng)
        niche[ring.depth < 0] = follicle
    for _ in range(rng.poisson(settings.glands * area)):
        ring = _ring(shape, pixel_um, GLAND_UM, bend, rng)
        niche[ring.depth < 0] = gland
        niche[ring.depth < -rng.uniform(7, 14)] = empty
    for _ in range(rng.poisson(settings.vessels * area)):
        ring = _ring(shape, pixel_um, VESSEL_UM, bend, rng)
        around = ring.depth < rng.uniform(4, 9)
        niche[around] = wall
        niche[ring.depth < 0] = empty
        blood[around] = ring.depth[around] < 0
        grain[around] = ring.tangent[around]
    return Architecture(niches, niche, blood, grain)


def _patches(
    shape: tuple[int, int],
    pixel_um: float,
    settings: ArchitectureSettings,
    empty: int,
    rng: np.random.Generator,
) -> IntArray:
    """Index of the niche of each pixel, before rounder things are put in."""
    length = settings.niche_um / pixel_um
    weight = rng.normal(0.0, 0.7, len(settings.niches))
    fields = [smooth_noise(shape, length, rng) + w for w in weight]
    niche = np.argmax(np.stack(fields), axis=0)
    hollow = smooth_noise(shape, length / 2, rng)
    if settings.lumen > 0:
        niche[hollow > np.quantile(hollow, 1 - settings.lumen)] = empty
    return np.asarray(niche)


@dataclass(frozen=True, slots=True)
class _Ring:
    """Distance in um from a bent ellipse (negative inside), and its direction there."""

    depth: FloatArray
    tangent: FloatArray


def _ring(
    shape: tuple[int, int],
    pixel_um: float,
    radius_um: tuple[float, float],
    bend: FloatArray,
    rng: np.random.Generator,
) -> _Ring:
    radius = float(rng.uniform(*radius_um))
    turn, stretch = rng.uniform(0, np.pi), np.sqrt(1 + rng.exponential(0.5))
    centre = rng.random(2) * shape
    y = (np.arange(shape[0], dtype=np.float32)[:, None] - centre[0]) * pixel_um
    x = (np.arange(shape[1], dtype=np.float32) - centre[1]) * pixel_um
    along = (x * np.cos(turn) + y * np.sin(turn)) / stretch
    across = (y * np.cos(turn) - x * np.sin(turn)) * stretch
    depth = np.hypot(along, across) - radius * (1 + 0.2 * bend)
    return _Ring(np.asarray(depth), np.arctan2(y, x) + np.pi / 2)
