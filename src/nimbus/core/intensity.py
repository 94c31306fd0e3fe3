"""Intensities: the histogram of a channel, its quantiles, and the scaled channel."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nimbus._types import AnyArray, FloatArray

_KEPT_BITS = 19
"""Sign, 8 exponent and 10 mantissa bits of a float32: bins at most 2**-10 wide, relative."""

_DROPPED_BITS = 32 - _KEPT_BITS


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """How often each value occurs; adds up over chunks in any order.

    Parameters
    ----------
    values
        Distinct values, ascending. Exact for integers; for floats the middle of a bin no wider
        than 2**-10 of its value.
    counts
        Pixels of each value.

    Examples
    --------
    >>> left, right = histogram(np.array([0, 3, 3])), histogram(np.array([1]))
    >>> (left + right).quantile(0.5)
    2.0
    """

    values: FloatArray
    counts: NDArray[np.int64]

    def __add__(self, other: Histogram) -> Histogram:
        return pooled([self, other])

    def positive(self) -> Histogram:
        """The part above 0."""
        keep = self.values > 0
        return Histogram(self.values[keep], self.counts[keep])

    def quantile(self, q: float) -> float:
        """Quantile with linear interpolation, as :func:`numpy.quantile`; NaN when empty."""
        total = int(self.counts.sum())
        if total == 0:
            return float("nan")
        place = q * (total - 1)
        below = int(np.floor(place))
        ends = np.cumsum(self.counts)
        low, high = np.searchsorted(ends, [below, min(below + 1, total - 1)], side="right")
        return float(self.values[low] + (place - below) * (self.values[high] - self.values[low]))


def histogram(channel: AnyArray) -> Histogram:
    """Histogram of all pixels of `channel`, of any shape; finite values only.

    Examples
    --------
    >>> histogram(np.array([[2, 0], [2, 7]], dtype=np.uint16)).counts
    array([1, 2, 1])
    """
    flat = channel.ravel()
    if flat.size == 0:
        return Histogram(np.zeros(0), np.zeros(0, dtype=np.int64))
    if flat.dtype == np.bool_:
        flat = flat.astype(np.uint8)
    if flat.dtype.kind == "f":
        return _float_histogram(flat)
    if flat.dtype in (np.uint8, np.uint16):
        counts = np.bincount(flat)
        values = np.flatnonzero(counts)
        return Histogram(values.astype(np.float64), counts[values])
    values, counts = np.unique(flat, return_counts=True)
    return Histogram(values.astype(np.float64), counts.astype(np.int64))


def pooled(histograms: Sequence[Histogram]) -> Histogram:
    """All pixels of several histograms together."""
    values = np.concatenate([h.values for h in histograms])
    counts = np.concatenate([h.counts for h in histograms])
    distinct, inverse = np.unique(values, return_inverse=True)
    total = np.zeros(distinct.size, dtype=np.int64)
    np.add.at(total, inverse.ravel(), counts)
    return Histogram(distinct, total)


def scaled(image: AnyArray, scales: FloatArray, *, clip: float = 1.0) -> NDArray[np.float32]:
    """Each channel divided by its scale and clipped to [0, `clip`].

    Parameters
    ----------
    image
        Axes ``(c, y, x)``.
    scales
        One divisor per channel; a scale of 0 (no signal) gives zeros.

    Examples
    --------
    >>> scaled(np.array([[[1, 6]], [[3, 4]]]), np.array([4.0, 0.0]))
    array([[[0.25, 1.  ]],
           [[0.  , 0.  ]]], dtype=float32)
    """
    out = image.astype(np.float32)
    divisor = np.where(scales > 0, scales, np.inf).astype(np.float32)
    out /= divisor[:, None, None]
    return np.clip(out, 0, np.float32(clip), out=out)


def first_not_finite(image: AnyArray) -> tuple[int, ...] | None:
    """Index of the first NaN or infinite value of `image`, or ``None``."""
    if image.dtype.kind != "f" or np.isfinite(image).all():
        return None
    flat = int(np.argmin(np.isfinite(image)))
    return tuple(int(i) for i in np.unravel_index(flat, image.shape))


def _float_histogram(flat: FloatArray) -> Histogram:
    bits = (flat.astype(np.float32) + np.float32(0)).view(np.uint32)  # -0 becomes +0
    counts = np.bincount(bits >> _DROPPED_BITS)
    keys = np.flatnonzero(counts)
    middle = (keys.astype(np.uint32) << _DROPPED_BITS) | np.uint32(1 << (_DROPPED_BITS - 1))
    values = middle.view(np.float32).astype(np.float64)
    values[keys == 0] = 0.0  # the bin of zero also holds the denormals
    order = np.argsort(values)
    return Histogram(values[order], counts[keys[order]])
