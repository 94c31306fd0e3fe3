"""Imaging platforms: the range of each effect, from which a channel draws its own."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Literal, cast

import numpy as np

from .effects import Effects

PlatformName = Literal["codex", "mibi", "imc", "vectra", "cycif"]

Range = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Platform:
    """Ranges of one platform; a pair is drawn evenly, one named ``log_`` on the logarithm.

    Parameters
    ----------
    pixel_sizes_um
        Usual pixel sizes; the first is the default.
    dtype
        Of the images.
    denoised, stitched, coarse
        Part of the channels that are denoised, stitched from tiles, or kept in few values.
    overlapping
        Part of the channels in whose section a second layer of cells lies.
    flicker, log_counts_per_ion
        Noise beyond that of counting; None: an ion is a count.
    shift_um
        Largest registration error.
    glow
        1 where tissue itself shines (autofluorescence), 0 where it does not.
    """

    pixel_sizes_um: tuple[float, ...]
    dtype: str
    psf_um: Range
    log_photons: Range
    log_haze: Range
    log_nuclear_haze: Range
    log_speckle: Range
    read_noise: Range
    offset: Range
    denoised: float
    lines: Range
    hot_pixels: Range
    saturation: Range
    log_cell_haze: Range = (0.003, 0.2)
    overlapping: float = 0.0
    flicker: Range = (0.0, 0.0)
    log_counts_per_ion: Range | None = None
    shift_um: float = 1.2
    stitched: float = 0.3
    glow: float = 1.0
    coarse: float = 0.0


PLATFORMS: dict[str, Platform] = {
    "codex": Platform(
        (0.5, 0.377), "uint16", psf_um=(0.35, 0.9), log_photons=(15, 300), log_haze=(0.01, 0.4),
        log_nuclear_haze=(0.005, 0.3), log_speckle=(0.01, 1), read_noise=(0.5, 4),
        offset=(-15, 4), denoised=0.0, lines=(0, 0), hot_pixels=(0, 3e-5), saturation=(1.5, 12),
        coarse=0.2,
    ),
    "mibi": Platform(
        (0.5, 0.39), "uint16", psf_um=(0.25, 0.5), log_photons=(0.4, 14), log_haze=(0.002, 0.15),
        log_nuclear_haze=(0.002, 0.25), log_speckle=(0.001, 0.3), read_noise=(0, 0),
        offset=(0, 0), denoised=0.5, lines=(0, 2), hot_pixels=(0, 5e-5), saturation=(20, 60),
        shift_um=0.4, stitched=0.1, glow=0.0,
    ),
    "imc": Platform(
        (1.0,), "float32", psf_um=(0.35, 0.6), log_photons=(2, 80), log_haze=(0.003, 0.15),
        log_nuclear_haze=(0.003, 0.15), log_speckle=(0.01, 1.0), read_noise=(0, 0.3),
        offset=(0, 0), denoised=0.1, lines=(0, 3), hot_pixels=(0, 3e-4), saturation=(50, 100),
        shift_um=0.4, stitched=0.0, glow=0.0,
    ),
    "vectra": Platform(
        (0.5,), "float32", psf_um=(0.5, 1.0), log_photons=(20, 300), log_haze=(0.02, 0.6),
        log_nuclear_haze=(0.01, 0.4), log_speckle=(0.01, 1), read_noise=(0.5, 3),
        offset=(-8, 10), denoised=0.0, lines=(0, 0), hot_pixels=(0, 1e-5), saturation=(4, 20),
        shift_um=0.4, coarse=0.1,
    ),
    "cycif": Platform(
        (0.65, 0.325), "uint16", psf_um=(0.4, 1.0), log_photons=(30, 600), log_haze=(0.03, 0.8),
        log_nuclear_haze=(0.01, 0.4), log_speckle=(0.1, 10), read_noise=(1, 10),
        offset=(-40, 60), denoised=0.0, lines=(0, 0), hot_pixels=(0, 1e-5), saturation=(3, 20),
    ),
}  # fmt: skip
"""Drawn from the looks of public images, not from instruments' data sheets."""


VARIANTS: dict[str, Platform] = {
    "mibi_denoised": Platform(
        (0.5, 0.39), "uint16", psf_um=(0.25, 0.5), log_photons=(0.3, 6), log_haze=(0.0005, 0.02),
        log_nuclear_haze=(0.0005, 0.03), log_speckle=(0.0005, 0.05), read_noise=(0, 0),
        offset=(0, 0), denoised=0.8, lines=(0, 1), hot_pixels=(0, 2e-5), saturation=(20, 60),
        log_cell_haze=(0.0005, 0.03), shift_um=0.4, stitched=0.1, glow=0.0,
    ),
    "mibi_sparse": Platform(
        (0.5, 0.39), "uint16", psf_um=(0.25, 0.5), log_photons=(0.15, 3), log_haze=(0.002, 0.15),
        log_nuclear_haze=(0.002, 0.25), log_speckle=(0.005, 0.4), read_noise=(0, 0),
        offset=(0, 0), denoised=0.0, lines=(0, 2), hot_pixels=(0, 5e-5), saturation=(20, 60),
        shift_um=0.4, stitched=0.1, glow=0.0,
    ),
    "imc_noisy": dataclasses.replace(
        PLATFORMS["imc"], log_photons=(3, 150), log_speckle=(0.003, 1.0), overlapping=0.3,
        flicker=(0.0, 0.4), log_counts_per_ion=(0.8, 5.0),
    ),
}  # fmt: skip
"""Looks that training adds to the platforms: few counts with nothing between them, or with counts
from nowhere among them; thick sections whose ions give several counts each."""


OVERLAP: Range = (0.05, 0.7)
"""Light of a second layer of cells, as a part of that of the first; drawn on the logarithm."""

BACKGROUND: Range = (0.03, 1.0)
"""Part of the platform's worst background that a channel has: most antibodies are far from it."""

DIRTY = 0.45
"""Part of the channels in which one background is strong, whatever the platform."""

_DIRTY_WEIGHT = (0.16, 0.22, 0.22, 0.12, 0.16, 0.06, 0.06)
"""How often each of `STRONG` is the one: most often the unspecific light of nuclei and cells."""

STRONG = {
    "haze": (0.15, 1.5),
    "nuclear_haze": (0.05, 0.5),
    "cell_haze": (0.05, 0.5),
    "ghosts": (0.1, 0.5),
    "overhang": (0.1, 0.5),
    "elastin": (0.3, 3.0),
    "debris": (3.0, 40.0),
}
"""How strong, in units of a typical positive cell."""


def draw_effects(platform: Platform, rng: np.random.Generator) -> Effects:
    """Strengths of one channel of a platform.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> draw_effects(PLATFORMS["mibi"], rng).read_noise, draw_effects(PLATFORMS["imc"], rng).offset
    (0.0, 0.0)
    """
    chance = _Chance(rng)
    photons = chance.log(platform.log_photons)
    part = chance.log(BACKGROUND)
    apart = _Chance(_far_ahead(rng))
    usual = Effects(
        psf_um=chance.even(platform.psf_um),
        spillover=chance.log((0.01, 0.35)),
        spillover_um=chance.even((1.2, 4.5)),
        shift_um=chance.sometimes(0.3, (0.2, platform.shift_um)),
        bleed=chance.sometimes(0.25, (0.02, 0.15)),
        ghosts=part * chance.log((0.005, 0.3)),
        overhang=part * chance.sometimes(0.5, (0.02, 0.4)),
        haze=part * chance.log(platform.log_haze),
        haze_um=chance.even((12, 60)),
        matrix=chance.even((0.2, 2.0)),
        nuclear_haze=part * chance.log(platform.log_nuclear_haze),
        cell_haze=part * chance.log(platform.log_cell_haze),
        photons=photons,
        gain_jitter=chance.even((0, 0.3)),
        overlap=apart.happens(platform.overlapping) * apart.log(OVERLAP),
        flicker=apart.even(platform.flicker),
        counts_per_ion=_counts_per_ion(platform, apart),
        **_faults(platform, photons, chance),
        **_autofluorescence(platform, chance),
    )
    if rng.random() >= DIRTY:
        return usual
    worst = str(rng.choice(list(STRONG), p=_DIRTY_WEIGHT))
    return dataclasses.replace(usual, **{worst: chance.log(STRONG[worst])})


def _autofluorescence(platform: Platform, chance: _Chance) -> dict[str, float]:
    glow = platform.glow
    return {
        "blobs": max(glow, 0.3) * chance.sometimes(0.4, (0, 4)),
        "granules": glow * chance.sometimes(0.2, (0.005, 0.12)),
        "granule_light": chance.log((0.15, 3)),
        "red_cells": glow * chance.sometimes(0.5, (0.1, 1.0)),
        "elastin": glow * chance.sometimes(0.15, (0.05, 1.0)),
        "debris": chance.sometimes(0.06, (2, 20)),
    }


def _far_ahead(rng: np.random.Generator) -> np.random.Generator:
    """A part of the stream that nothing else reaches, so that draws of `rng` stay as they are."""
    stream = cast(np.random.PCG64, rng.bit_generator)
    return np.random.Generator(stream.jumped())


def _counts_per_ion(platform: Platform, chance: _Chance) -> float:
    bounds = platform.log_counts_per_ion
    return 0.0 if bounds is None else chance.log(bounds)


def _faults(platform: Platform, photons: float, chance: _Chance) -> dict[str, float]:
    denoised = chance.sometimes(platform.denoised, (0.05, 0.25))
    return {
        "shading": chance.even((0, 0.15)) + chance.sometimes(0.15, (0.1, 0.35)),
        "seams": chance.sometimes(platform.stitched, (0.02, 0.15)),
        "speckle": chance.log(platform.log_speckle),
        "read_noise": chance.even(platform.read_noise),
        "row_noise": chance.sometimes(platform.stitched, (0, platform.read_noise[1])),
        "offset": chance.even(platform.offset),
        "holes": float(chance.happens(0.15 * platform.stitched)),
        "hot_pixels": chance.sometimes(0.5, platform.hot_pixels),
        "aggregates": chance.sometimes(0.4, (0, 2.5)),
        "lines": chance.sometimes(0.2, platform.lines),
        "denoise": denoised,
        "step": photons * chance.sometimes(platform.coarse, (0.01, 0.12)),
        "saturation": max(photons * chance.even(platform.saturation), 8.0),
    }


@dataclass(frozen=True, slots=True)
class _Chance:
    """Draws from ranges."""

    rng: np.random.Generator

    def even(self, bounds: Range) -> float:
        return float(self.rng.uniform(*bounds))

    def log(self, bounds: Range) -> float:
        low, high = np.log(bounds)
        return float(np.exp(self.rng.uniform(low, high)))

    def happens(self, probability: float) -> bool:
        return bool(self.rng.random() < probability)

    def sometimes(self, probability: float, bounds: Range) -> float:
        """From the range, or 0; draws the same number of times either way."""
        happens, value = self.happens(probability), self.even(bounds)
        return value if happens else 0.0
