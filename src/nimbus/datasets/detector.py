"""What a detector makes of light: uneven gain, counts, noise, and faults of single pixels.

Images ``(y, x)`` in counts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nimbus._types import FloatArray

from ._noise import smooth_noise

STITCHED_UM = (120.0, 400.0)
"""Size of the tiles that an image is stitched from."""


def shading(
    shape: tuple[int, int], strength: float, jitter: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Gain of each pixel: uneven over the field, and different for each field."""
    overall = float(np.exp(jitter * rng.standard_normal()))
    wave = smooth_noise(shape, max(shape) / 3, rng)  # also of strength 0: seams are drawn next
    return np.asarray(overall * np.exp(strength * wave), dtype=np.float32)


def seams(
    shape: tuple[int, int], strength: float, pixel_um: float, rng: np.random.Generator
) -> FloatArray:
    """Gain of stitched tiles: each has its own, and is darker towards its edges."""
    if strength == 0:
        return np.ones(shape, dtype=np.float32)
    size = rng.uniform(*STITCHED_UM) / pixel_um
    y, x = (np.arange(n) / size + rng.random() for n in shape)
    step = np.exp(strength * rng.standard_normal((int(y[-1]) + 1, int(x[-1]) + 1)))
    dark = np.add.outer((2 * (y % 1) - 1) ** 2, (2 * (x % 1) - 1) ** 2)
    return np.asarray(step[np.ix_(y.astype(int), x.astype(int))] * (1 - 0.5 * strength * dark))


IONS_SHAPE = 4.0
"""Shape of the gamma distribution of the counts that one ion gives."""


def flickering(expected: FloatArray, strength: float, rng: np.random.Generator) -> FloatArray:
    """Expected counts whose gain differs from pixel to pixel, as each shot of a laser does."""
    if strength == 0:
        return expected
    shape = 1 / strength**2
    return np.asarray(
        expected * rng.standard_gamma(shape, expected.shape, dtype=np.float32) / shape
    )


def counted_ions(
    expected: FloatArray, counts_per_ion: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Counts of a detector that gives several for each ion: their variance is above their mean.

    Examples
    --------
    >>> counts = counted_ions(np.full((100, 100), 20.0), 4.0, np.random.default_rng(0))
    >>> round(float(counts.mean())), round(float(counts.var() / counts.mean()))
    (20, 5)
    """
    ions = rng.poisson(expected / counts_per_ion)
    counts = rng.standard_gamma(IONS_SHAPE * ions, dtype=np.float32)
    return np.asarray(counts * np.float32(counts_per_ion / IONS_SHAPE))


MANY = 15.0
"""Above so many expected counts, the Poisson distribution is drawn as a normal one."""


def counted(expected: FloatArray, rng: np.random.Generator) -> NDArray[np.float32]:
    """Counts for the expected ones; Poisson noise."""
    mean = np.asarray(expected, dtype=np.float32)
    noise = rng.standard_normal(mean.shape, dtype=np.float32)
    counts: NDArray[np.float32] = np.round(mean + np.sqrt(mean) * noise)
    few = mean <= MANY
    counts[few] = rng.poisson(mean[few])
    return counts


def camera(
    counts: FloatArray,
    read_noise: float,
    row_noise: float,
    offset: float,
    rng: np.random.Generator,
) -> FloatArray:
    """Counts with the noise and offset of a camera, and rows that differ; never below 0."""
    if read_noise > 0:
        counts = counts + read_noise * rng.standard_normal(counts.shape, dtype=np.float32)
    if row_noise > 0:
        counts = counts + row_noise * rng.standard_normal((counts.shape[0], 1))
    return np.asarray(np.maximum(counts + offset, 0))


def hot_pixels(counts: FloatArray, part: float, rng: np.random.Generator) -> FloatArray:
    """`counts` with defective pixels that are far too bright."""
    n = rng.poisson(part * counts.size)
    if n == 0:
        return counts
    top = max(float(counts.max(initial=0.0)), 5.0)
    out = counts.copy()
    out.ravel()[rng.integers(0, counts.size, n)] += top * rng.uniform(0.5, 3.0, n)
    return out


def saturated_lines(counts: FloatArray, density: float, rng: np.random.Generator) -> FloatArray:
    """`counts` with short saturated runs along a line of the scan, `density` per 1000 lines."""
    n = rng.poisson(density * counts.shape[0] / 1000)
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


def coarse(counts: FloatArray, step: float) -> FloatArray:
    """Counts on a coarse grid of values, as images that were made 8-bit."""
    return counts if step <= 0 else np.asarray(np.floor(counts / step) * step)
