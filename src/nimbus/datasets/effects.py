"""What lies between the molecules and the file: each effect is one small function.

Before the detector an image is in units of a typical positive cell (1.0); behind it, in counts.
Each function takes an image ``(y, x)``, its settings and, where chance plays, a generator, and
returns a new image.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nimbus._types import FloatArray

from ._noise import drawn, smooth_noise
from .layout import Layout


@dataclass(frozen=True, slots=True)
class Effects:
    """Strength of every effect on one channel; 0 switches one off.

    Parameters
    ----------
    psf_um
        Deviation of the blur.
    spillover, spillover_um
        Part of the light that spreads wide, and how wide.
    haze, haze_um
        Background over the whole field, in units of a positive cell, and the size of its waves.
    nuclear_haze
        Unspecific signal that fills all nuclei.
    cell_haze
        Autofluorescence of all cells.
    blobs
        Autofluorescent blobs per 10,000 square um.
    ghosts
        Light from cells above or below the section.
    shading
        Deviation of the gain over the field.
    gain_jitter
        Deviation of the logarithm of the gain from field to field.
    photons
        Counts per pixel of a typical positive cell.
    speckle
        Counts per pixel that come from nowhere.
    read_noise
        Deviation of the camera's noise, in counts.
    offset
        Counts that the camera adds; negative: background was subtracted, values end at 0.
    hot_pixels
        Part of the pixels that are far too bright.
    aggregates
        Bright aggregates of antibody per 10,000 square um.
    lines
        Lines of the scan that are saturated, per 1000 lines.
    denoise
        Isolated counts below this local density are removed.
    saturation
        Counts at which the detector ends; infinity: never.
    """

    psf_um: float = 0.5
    spillover: float = 0.08
    spillover_um: float = 2.5
    haze: float = 0.04
    haze_um: float = 30.0
    nuclear_haze: float = 0.03
    cell_haze: float = 0.03
    blobs: float = 1.0
    ghosts: float = 0.03
    shading: float = 0.05
    gain_jitter: float = 0.15
    photons: float = 60.0
    speckle: float = 0.02
    read_noise: float = 1.0
    offset: float = 0.0
    hot_pixels: float = 1e-5
    aggregates: float = 0.3
    lines: float = 0.0
    denoise: float = 0.0
    saturation: float = float("inf")


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the detector wrote and what it wrote it of.

    Parameters
    ----------
    image
        Counts, float32 ``(y, x)``.
    own
        Counts that each place would give of its own molecules: before blur and noise.
    """

    image: NDArray[np.float32]
    own: NDArray[np.float32]


def record(
    clean: FloatArray, layout: Layout, effects: Effects, rng: np.random.Generator
) -> Recorded:
    """Apply all effects in the order in which they happen.

    Parameters
    ----------
    clean
        Signal of the marker; a typical positive cell has 1.
    layout
        The cells.
    effects
        Strength of each effect.
    rng
        Source of chance.
    """
    pixel = layout.pixel_size_um
    focused = blur(clean, effects.psf_um / pixel)
    light = focused + spill(clean, effects, pixel) + ghosts(clean, effects, pixel, rng)
    light = light + haze(layout, effects, rng) + nuclear_haze(layout, effects, rng)
    light = light + cell_haze(layout, effects, rng) + blobs(layout, effects, rng)
    gain = effects.photons * shading(layout.shape, effects, rng)
    expected = np.maximum(light * gain + effects.speckle, 0)
    counts = camera(rng.poisson(expected).astype(np.float32), effects, rng)
    counts = counts + aggregates(layout, effects, rng) + hot_pixels(counts, effects, rng)
    counts = saturated_lines(isolated_removed(counts, effects.denoise), effects, rng)
    return Recorded(
        image=np.minimum(counts, effects.saturation).astype(np.float32),
        own=(clean * gain).astype(np.float32),
    )


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


def spill(clean: FloatArray, effects: Effects, pixel_um: float) -> FloatArray:
    """Light of each place that spreads over its neighbours."""
    if effects.spillover == 0:
        return np.zeros_like(clean)
    return effects.spillover * blur_wide(clean, effects.spillover_um / pixel_um)


def ghosts(
    clean: FloatArray, effects: Effects, pixel_um: float, rng: np.random.Generator
) -> FloatArray:
    """Blurred light of cells above and below: the tissue, shifted far."""
    if effects.ghosts == 0:
        return np.zeros_like(clean)
    shift = rng.integers(0, clean.shape)
    return effects.ghosts * np.roll(blur_wide(clean, 1.8 / pixel_um), shift, axis=(0, 1))


def haze(layout: Layout, effects: Effects, rng: np.random.Generator) -> FloatArray:
    """Wavy background, a little stronger where there is tissue."""
    if effects.haze == 0:
        return np.zeros(layout.shape, dtype=np.float32)
    wave = np.exp(0.4 * smooth_noise(layout.shape, effects.haze_um / layout.pixel_size_um, rng))
    tissue = blur_wide((layout.cells > 0).astype(np.float32), 3 / layout.pixel_size_um)
    return np.asarray(effects.haze * wave * (0.4 + 0.8 * tissue))


def nuclear_haze(layout: Layout, effects: Effects, rng: np.random.Generator) -> FloatArray:
    """Unspecific signal that fills every nucleus evenly."""
    level = np.append(0, effects.nuclear_haze * rng.lognormal(0.0, 0.35, layout.n_cells))
    return blur(level[layout.nuclei], effects.psf_um / layout.pixel_size_um)


def cell_haze(layout: Layout, effects: Effects, rng: np.random.Generator) -> FloatArray:
    """Autofluorescence of every cell, some brighter than others."""
    level = np.append(0, effects.cell_haze * rng.lognormal(0.0, 0.5, layout.n_cells))
    return blur(level[layout.cells], effects.psf_um / layout.pixel_size_um)


def blobs(layout: Layout, effects: Effects, rng: np.random.Generator) -> FloatArray:
    """Autofluorescent blobs of 1-5 um that belong to no cell."""
    return _spots(layout, effects.blobs, (0.6, 2.2), (0.2, 3.0), rng)


def aggregates(layout: Layout, effects: Effects, rng: np.random.Generator) -> FloatArray:
    """Small and very bright aggregates of antibody, in counts."""
    spots = _spots(layout, effects.aggregates, (0.3, 0.9), (1.0, 12.0), rng)
    return np.asarray(spots * max(effects.photons, 3.0))


def _spots(
    layout: Layout,
    density: float,
    radius_um: tuple[float, float],
    height: tuple[float, float],
    rng: np.random.Generator,
) -> FloatArray:
    """Gaussian spots at random places."""
    area = layout.shape[0] * layout.shape[1] * layout.pixel_size_um**2
    n = rng.poisson(density * area / 1e4)
    if n == 0:
        return np.zeros(layout.shape, dtype=np.float32)
    places = rng.random((n, 2)) * layout.shape
    peak = np.exp(rng.uniform(np.log(height[0]), np.log(height[1]), n))
    sigma = max(rng.uniform(*radius_um) / layout.pixel_size_um, 0.4)
    points = drawn(places, peak, layout.shape)
    return blur(points, sigma) * 2 * np.pi * sigma**2


def shading(shape: tuple[int, int], effects: Effects, rng: np.random.Generator) -> FloatArray:
    """Gain of each pixel: uneven over the field, and different for each field."""
    overall = rng.lognormal(0.0, effects.gain_jitter) if effects.gain_jitter > 0 else 1.0
    if effects.shading == 0:
        return np.full(shape, overall, dtype=np.float32)
    return np.asarray(overall * np.exp(effects.shading * smooth_noise(shape, max(shape) / 3, rng)))


def camera(counts: FloatArray, effects: Effects, rng: np.random.Generator) -> FloatArray:
    """Counts with the noise and offset of a camera; never below 0."""
    if effects.read_noise > 0:
        counts = counts + rng.normal(0.0, effects.read_noise, counts.shape)
    return np.asarray(np.maximum(counts + effects.offset, 0))


def hot_pixels(counts: FloatArray, effects: Effects, rng: np.random.Generator) -> FloatArray:
    """What single defective pixels add."""
    hot = rng.random(counts.shape) < effects.hot_pixels
    top = max(float(counts.max(initial=0.0)), 5.0)
    return np.where(hot, top * rng.uniform(0.5, 3.0, counts.shape), 0)


def saturated_lines(counts: FloatArray, effects: Effects, rng: np.random.Generator) -> FloatArray:
    """Short saturated runs along a line of the scan."""
    n = rng.poisson(effects.lines * counts.shape[0] / 1000)
    out = counts.copy()
    for row, start in zip(
        rng.integers(0, counts.shape[0], n), rng.integers(0, counts.shape[1], n), strict=True
    ):
        out[row, start : start + int(rng.integers(10, 120))] = counts.max() * 1.2
    return out


def isolated_removed(counts: FloatArray, density: float) -> FloatArray:
    """Counts without those around which there is little: the usual denoising of MIBI."""
    if density <= 0:
        return counts
    around = ndimage.gaussian_filter(np.minimum(counts, 4), 1.5, truncate=2.5)
    return np.where(around >= density, counts, 0)
