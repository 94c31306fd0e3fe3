"""Counts of cells over two measurements, for figures of a million cells."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from matplotlib.colors import to_rgb
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from nimbus._types import BoolArray, FloatArray

_TAIL = 0.001
"""Part of the cells at either end of the reference that is drawn in the outermost bins."""

N_STEPS = 4
"""Most even steps along the x axis."""


@dataclass(frozen=True, slots=True, eq=False)
class Bins:
    """Edges of the bins along both axes.

    Parameters
    ----------
    x, y
        Edges, ascending; the outermost bins also take what lies beyond.
    width
        Where the x axis turns from linear to logarithmic; 0 where it is linear.
    """

    x: NDArray[np.float64]
    y: NDArray[np.float64]
    width: float


def bins_for(x: FloatArray, y: FloatArray, *, n_bins: int, bent: bool) -> Bins:
    """Bins that cover x up to its tails, and y from 0 to 1 or to its largest value.

    Examples
    --------
    >>> bins = bins_for(np.array([0.0, 1.0, 4.0]), np.array([0.2, 1.0]), n_bins=2, bent=False)
    >>> bins.y.tolist(), bins.width
    ([0.0, 0.5, 1.0], 0.0)
    """
    low, high = np.quantile(x, [_TAIL, 1 - _TAIL]) if x.size else (0.0, 1.0)
    low = min(low, 0.0) if low < 0.05 * high else low
    high = high if high > low else low + 1.0
    top = max(1.0, float(y.max())) if y.size else 1.0
    bottom = min(0.0, float(y.min())) if y.size else 0.0
    ordinary = np.linspace(bottom, top, n_bins + 1)
    positive = x[x > 0]
    if not bent or not positive.size:
        return Bins(np.linspace(low, high, n_bins + 1), ordinary, 0.0)
    width = float(np.quantile(positive, 0.25))
    ends = [math.asinh(float(end) / width) for end in (low, high)]
    edges = width * np.sinh(np.linspace(ends[0], ends[1], n_bins + 1))
    return Bins(edges, ordinary, width)


def round_ticks(bins: Bins, *, apart: float = 0.16) -> list[float]:
    """Round numbers along the x axis, at least a part `apart` of its length from each other.

    The powers of ten come first, then what fits between them. Where there are not two such numbers,
    on a narrow axis far from 0 or one below 0, they are even steps.

    Examples
    --------
    >>> round_ticks(Bins(np.array([0.0, 400.0]), np.array([0.0, 1.0]), width=10.0))
    [0.0, 10.0, 30.0, 100.0, 300.0]
    """
    low, high = float(bins.x[0]), float(bins.x[-1])
    largest = math.floor(math.log10(max(abs(low), abs(high))))
    powers = [10.0**k for k in range(largest, largest - 6, -1)]
    kept: list[float] = []
    for digits in ((0,), (1,), (3, 2, 5)):
        for value in (digit * power for power in powers for digit in digits):
            if low <= value <= high and _far(bins, value, kept, apart):
                kept.append(value)
    if len(kept) < 2:
        steps = MaxNLocator(N_STEPS).tick_values(low, high)
        kept = [float(step) for step in steps if low <= step <= high]
    return sorted(kept)


def _far(bins: Bins, value: float, others: list[float], apart: float) -> bool:
    place = np.array([value, *others, bins.x[0], bins.x[-1]])
    drawn = np.arcsinh(place / bins.width) if bins.width else place
    length = drawn[-1] - drawn[-2]
    return bool((np.abs(drawn[1:-2] - drawn[0]) >= apart * length).all())


def joint_counts(x: FloatArray, y: FloatArray, bins: Bins) -> NDArray[np.int64]:
    """Cells in each bin, axes ``(y, x)``.

    Examples
    --------
    >>> bins = Bins(np.array([0.0, 1.0, 2.0]), np.array([0.0, 0.5, 1.0]), 0.0)
    >>> joint_counts(np.array([0.1, 1.5, 9.0]), np.array([0.9, 0.1, 0.2]), bins)
    array([[0, 2],
           [1, 0]])
    """
    n_y, n_x = bins.y.size - 1, bins.x.size - 1
    column = np.clip(np.searchsorted(bins.x, x, side="right") - 1, 0, n_x - 1)
    row = np.clip(np.searchsorted(bins.y, y, side="right") - 1, 0, n_y - 1)
    return np.bincount(row * n_x + column, minlength=n_y * n_x).reshape(n_y, n_x)


def blended(counts: dict[str, NDArray[np.int64]]) -> NDArray[np.float64]:
    """Colours of several groups over each other as inks on paper, RGB in [0, 1] ``(y, x, 3)``.

    The strength of an ink grows with the logarithm of the part of its group, so that a bin with a
    single cell can still be seen, however large the other group is.

    Parameters
    ----------
    counts
        Cells in each bin, by colour.

    Examples
    --------
    >>> blended({"black": np.array([[0, 1]])}).tolist()
    [[[1.0, 1.0, 1.0], [0.0, 0.0, 0.0]]]
    """
    shape = next(iter(counts.values())).shape
    paper = np.ones((*shape, 3))
    for color, own in counts.items():
        ink = 1 - np.array(to_rgb(color))
        most = max(int(own.max(initial=0)), 1)
        strength = np.where(own > 0, 0.18 + 0.82 * np.log1p(own) / np.log1p(most), 0.0)
        paper *= 1 - strength[..., None] * ink
    return paper


def finite_pairs(x: FloatArray, y: FloatArray) -> BoolArray:
    """Cells that have both measurements."""
    both: BoolArray = np.isfinite(x) & np.isfinite(y)
    return both
