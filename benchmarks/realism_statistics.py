"""What `realism.py` measures of a channel: pixels, texture, and its cells."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray
from realism_data import Channel

BANDS_UM = (1.5, 3.0, 6.0, 12.0, 24.0, 48.0)
"""Borders of the wavelengths whose share of the power is compared."""

LIT = 0.05
"""Shape within a cell is measured where its mean is at least this part of the scale."""

BRIGHT = 0.3
"""Noise of pixels is measured where their neighbours' mean is at least this part of the scale."""

STATISTICS = (
    "zero pixels",
    "mean of pixels",
    "90th percentile of pixels",
    "noise of bright pixels",
    *(f"power {a:g}-{b:g} um" for a, b in itertools.pairwise(BANDS_UM)),
    "area of cells (um2)",
    "mean of cells",
    "99th percentile of cells",
    "variation within lit cells",
    "ring / centre of lit cells",
)


def measured(channel: Channel) -> dict[str, NDArray[np.floating]]:
    """Each statistic: one value of the channel, or one of each of its cells."""
    image = channel.image
    cells = cell_values(channel)
    one = {
        "zero pixels": (image == 0).mean(),
        "mean of pixels": image.mean(),
        "90th percentile of pixels": np.quantile(image, 0.9),
        "99th percentile of cells": np.quantile(cells["mean of cells"], 0.99),
        "noise of bright pixels": pixel_noise(image),
    }
    shares = spectrum(image, channel.pixel_um)
    one |= dict(zip((s for s in STATISTICS if s.startswith("power")), shares, strict=True))
    return {name: np.array([value]) for name, value in one.items()} | cells


def pixel_noise(image: NDArray[np.float32]) -> float:
    """Deviation of bright pixels from the mean of their four neighbours, relative to that mean.

    That of white noise of deviation 1 is 1: a mean of four adds a quarter to the variance.
    """
    around = (image[:-2, 1:-1] + image[2:, 1:-1] + image[1:-1, :-2] + image[1:-1, 2:]) / 4
    bright = around > BRIGHT
    if not bright.any():
        return 0.0
    difference = (image[1:-1, 1:-1] - around)[bright] / around[bright]
    return float(np.sqrt((difference**2).mean() / 1.25))


def spectrum(image: NDArray[np.float32], pixel_um: float) -> NDArray[np.floating]:
    """Share of the power in each of `BANDS_UM`; all 0 for an image of one value."""
    window = np.outer(np.hanning(image.shape[0]), np.hanning(image.shape[1]))
    power = np.abs(np.fft.rfft2((image - image.mean()) * window)) ** 2
    fy, fx = np.fft.fftfreq(image.shape[0], pixel_um), np.fft.rfftfreq(image.shape[1], pixel_um)
    frequency = np.hypot(fy[:, None], fx)
    with np.errstate(divide="ignore"):
        wavelength = 1 / frequency
    bands = [
        power[(wavelength >= a) & (wavelength < b)].sum() for a, b in itertools.pairwise(BANDS_UM)
    ]
    return np.array(bands) / max(sum(bands), 1e-12)


def cell_values(channel: Channel) -> dict[str, NDArray[np.floating]]:
    """Mean, variation and ring of each cell."""
    labels, is_ring, image = channel.cells.labels, channel.cells.is_ring, channel.image
    n = int(labels.max(initial=0)) + 1
    ids, ring_ids = labels.ravel(), labels[is_ring]
    area, n_ring = np.bincount(ids, minlength=n)[1:], np.bincount(ring_ids, minlength=n)[1:]
    there = (area > 4) & (n_ring > 0) & (area > n_ring)
    area, n_ring = area[there], n_ring[there]
    total, square = (
        np.bincount(ids, weights=v.ravel(), minlength=n)[1:][there] for v in (image, image**2)
    )
    in_ring = np.bincount(ring_ids, weights=image[is_ring], minlength=n)[1:][there]
    mean, ring, centre = total / area, in_ring / n_ring, (total - in_ring) / (area - n_ring)
    deviation = np.sqrt(np.maximum(square / area - mean**2, 0))
    lit = mean > LIT
    return {
        "area of cells (um2)": area * channel.pixel_um**2,
        "mean of cells": mean,
        "variation within lit cells": deviation[lit] / mean[lit],
        "ring / centre of lit cells": ring[lit] / np.maximum(centre[lit], 1e-3),
    }
