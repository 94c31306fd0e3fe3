"""What `realism.py` measures of a channel: pixels, texture, and its cells."""

from __future__ import annotations

import itertools

import numpy as np
from numpy.typing import NDArray
from realism_data import Channel
from scipy import ndimage

BANDS_UM = (1.5, 3.0, 6.0, 12.0, 24.0, 48.0)
"""Borders of the wavelengths whose share of the power is compared."""

RING_UM = 1.0
"""Width of the outer ring of a cell."""

LIT = 0.05
"""Shape within a cell is measured where its mean is at least this part of the scale."""

STATISTICS = (
    "zero pixels",
    "mean of pixels",
    "90th percentile of pixels",
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
    }
    shares = spectrum(image, channel.pixel_um)
    one |= dict(zip((s for s in STATISTICS if s.startswith("power")), shares, strict=True))
    return {name: np.array([value]) for name, value in one.items()} | cells


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
    labels, image = channel.labels, channel.image
    n = int(labels.max(initial=0))
    area = np.bincount(labels.ravel(), minlength=n + 1)[1:]

    def sums(values: NDArray, where: NDArray | None = None) -> NDArray[np.floating]:
        ids = labels if where is None else np.where(where, labels, 0)
        return np.bincount(ids.ravel(), weights=values.ravel(), minlength=n + 1)[1:]

    border = np.zeros(labels.shape, dtype=bool)
    border[1:] |= labels[1:] != labels[:-1]
    border[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    is_ring = ndimage.distance_transform_edt(~border) * channel.pixel_um <= RING_UM
    ones = np.ones(labels.shape)
    n_ring = sums(ones, is_ring)
    there = (area > 4) & (n_ring > 0) & (area > n_ring)
    mean = sums(image)[there] / area[there]
    square = sums(image**2)[there] / area[there]
    ring = sums(image, is_ring)[there] / n_ring[there]
    centre = sums(image, ~is_ring)[there] / (area - n_ring)[there]
    lit = mean > LIT
    return {
        "area of cells (um2)": area[there] * channel.pixel_um**2,
        "mean of cells": mean,
        "variation within lit cells": (
            np.sqrt(np.maximum(square - mean**2, 0)) / np.maximum(mean, 1e-9)
        )[lit],
        "ring / centre of lit cells": (ring / np.maximum(centre, 1e-3))[lit],
    }
