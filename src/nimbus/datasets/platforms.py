"""Imaging platforms: the range of each effect, from which a channel draws its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

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


PLATFORMS: dict[str, Platform] = {
    "codex": Platform(
        (0.5, 0.377), "uint16", psf_um=(0.35, 0.9), log_photons=(15, 300), log_haze=(0.01, 0.4),
        log_nuclear_haze=(0.005, 0.3), log_speckle=(0.01, 1), read_noise=(0.5, 4),
        offset=(-15, 4), denoised=0.0, lines=(0, 0), hot_pixels=(0, 3e-5), saturation=(1.5, 12),
    ),
    "mibi": Platform(
        (0.5, 0.39), "uint16", psf_um=(0.25, 0.5), log_photons=(0.4, 14), log_haze=(0.002, 0.15),
        log_nuclear_haze=(0.002, 0.25), log_speckle=(0.001, 0.3), read_noise=(0, 0),
        offset=(0, 0), denoised=0.5, lines=(0, 2), hot_pixels=(0, 5e-5), saturation=(20, 60),
    ),
    "imc": Platform(
        (1.0,), "float32", psf_um=(0.35, 0.6), log_photons=(2, 80), log_haze=(0.003, 0.15),
        log_nuclear_haze=(0.003, 0.15), log_speckle=(0.01, 1.0), read_noise=(0, 0.3),
        offset=(0, 0), denoised=0.1, lines=(0, 3), hot_pixels=(0, 3e-4), saturation=(50, 100),
    ),
    "vectra": Platform(
        (0.5,), "float32", psf_um=(0.5, 1.0), log_photons=(20, 300), log_haze=(0.02, 0.6),
        log_nuclear_haze=(0.01, 0.4), log_speckle=(0.01, 1), read_noise=(0.5, 3),
        offset=(-8, 10), denoised=0.0, lines=(0, 0), hot_pixels=(0, 1e-5), saturation=(4, 20),
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
        log_cell_haze=(0.0005, 0.03),
    ),
}  # fmt: skip
"""Looks that training adds to the platforms: few counts, and nothing between them."""


BACKGROUND: Range = (0.03, 1.0)
"""Part of the platform's worst background that a channel has: most antibodies are far from it."""


def draw_effects(platform: Platform, rng: np.random.Generator) -> Effects:
    """Strengths of one channel of a platform.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> draw_effects(PLATFORMS["mibi"], rng).read_noise, draw_effects(PLATFORMS["imc"], rng).offset
    (0.0, 0.0)
    """
    photons = _log_uniform(platform.log_photons, rng)
    background = _log_uniform(BACKGROUND, rng)
    return Effects(
        psf_um=float(rng.uniform(*platform.psf_um)),
        spillover=_log_uniform((0.01, 0.35), rng),
        spillover_um=float(rng.uniform(1.2, 4.5)),
        haze=background * _log_uniform(platform.log_haze, rng),
        haze_um=float(rng.uniform(12, 60)),
        nuclear_haze=background * _log_uniform(platform.log_nuclear_haze, rng),
        cell_haze=background * _log_uniform(platform.log_cell_haze, rng),
        blobs=float(rng.choice([0.0, rng.uniform(0, 4)])),
        ghosts=background * _log_uniform((0.005, 0.3), rng),
        shading=float(rng.uniform(0, 0.15)),
        gain_jitter=float(rng.uniform(0, 0.3)),
        photons=photons,
        speckle=_log_uniform(platform.log_speckle, rng),
        read_noise=float(rng.uniform(*platform.read_noise)),
        offset=float(rng.uniform(*platform.offset)),
        hot_pixels=float(rng.choice([0.0, rng.uniform(*platform.hot_pixels)])),
        aggregates=float(rng.choice([0.0, rng.uniform(0, 3)])),
        lines=float(rng.choice([0.0, rng.uniform(*platform.lines)], p=[0.8, 0.2])),
        denoise=float(rng.uniform(0.05, 0.25)) if rng.random() < platform.denoised else 0.0,
        saturation=max(photons * float(rng.uniform(*platform.saturation)), 8.0),
    )


def _log_uniform(bounds: Range, rng: np.random.Generator) -> float:
    low, high = np.log(bounds)
    return float(np.exp(rng.uniform(low, high)))
