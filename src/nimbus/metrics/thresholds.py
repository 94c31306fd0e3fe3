"""Where to cut scores whose probabilities are known, and where not to call at all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nimbus._types import FloatArray

from .curves import Curve

NOBODY = float("inf")
"""Threshold that no score reaches."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A threshold, and what is to be expected of calling positive all scores from it upwards."""

    threshold: float
    precision: float
    recall: float
    f1: float


@dataclass(frozen=True, slots=True)
class Band:
    """Scores that are too unsure to call: ``lower <= score < upper``."""

    lower: float
    upper: float


def best_cut(score: FloatArray, probability: FloatArray) -> Cut:
    """The cut with the largest expected F1; of several the highest.

    Expected are ``2 TP / (called + positive)`` with ``TP`` the sum of the probabilities of the
    called cells and ``positive`` that of all. With probabilities of 0 and 1 it is the F1 itself.

    Parameters
    ----------
    score
        All cells of one marker, shape ``(cells,)``, finite.
    probability
        That each is positive; it must not fall with the score.

    Notes
    -----
    The best cut is where the probability is half the best F1: Lipton, Elkan and Naryanaswamy,
    *Optimal thresholding of classifiers to maximize F1 measure* (2014). For a marker that hardly
    any cell carries it is therefore low.

    Examples
    --------
    >>> best_cut(np.array([0.1, 0.3, 0.6, 0.9]), np.array([0.0, 0.5, 1.0, 1.0]))
    Cut(threshold=0.2, precision=0.833..., recall=1.0, f1=0.909...)
    """
    cuts = _cuts(score, probability)
    return cuts.at(int(np.argmax(cuts.f1)))


def cut_for_precision(score: FloatArray, probability: FloatArray, wanted: float) -> Cut:
    """The lowest cut from which the called cells are positive as often as wanted.

    Where none is, the threshold is infinite, nobody is called, and the precision is NaN.

    Examples
    --------
    >>> cut_for_precision(np.array([0.1, 0.4, 0.8]), np.array([0.2, 0.7, 0.9]), 0.8).threshold
    0.25
    >>> cut_for_precision(np.array([0.1, 0.4, 0.8]), np.array([0.2, 0.7, 0.9]), 0.95)
    Cut(threshold=inf, precision=nan, recall=0.0, f1=0.0)
    """
    cuts = _cuts(score, probability)
    reached = np.flatnonzero(cuts.precision >= wanted - _ROUNDING)
    return cuts.at(int(reached[-1])) if reached.size else Cut(NOBODY, float("nan"), 0.0, 0.0)


def cut_for_recall(score: FloatArray, probability: FloatArray, wanted: float) -> Cut:
    """The highest cut that calls the wanted part of the positive cells.

    Examples
    --------
    >>> cut_for_recall(np.array([0.1, 0.4, 0.8]), np.array([0.0, 0.5, 1.0]), 0.6).threshold
    0.6...
    """
    cuts = _cuts(score, probability)
    return cuts.at(int(np.argmax(cuts.recall >= wanted - _ROUNDING)))


def undecided_band(curve: Curve, *, certainty: float) -> Band:
    """Scores for which neither call would be right with the probability `certainty`.

    A cell is called positive where its probability reaches `certainty`, and negative where it is
    at most ``1 - certainty``: Chow, *On optimum recognition error and reject tradeoff* (1970).
    ``lower`` is 0 where no score is surely negative and infinite where all are; ``upper`` is
    infinite where none is surely positive.

    Examples
    --------
    >>> from nimbus.metrics.curves import PlattCurve
    >>> band = undecided_band(PlattCurve(slope=1.0, intercept=0.0), certainty=0.8)
    >>> round(band.lower, 6), round(band.upper, 6)
    (0.2, 0.8)
    """
    if not 0.5 < certainty < 1:
        raise ValueError(f"certainty must be between 0.5 and 1, not {certainty!r}")
    surely_negative_below = np.nextafter(1 - certainty, 1.0)
    return Band(_first_above(curve, surely_negative_below), _first_above(curve, certainty))


_ROUNDING = 1e-12
"""So much less than wanted is taken for rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class _Cuts:
    """All cuts that differ, from the highest threshold down."""

    threshold: NDArray[np.float64]
    precision: NDArray[np.float64]
    recall: NDArray[np.float64]
    f1: NDArray[np.float64]

    def at(self, index: int) -> Cut:
        own = (self.threshold, self.precision, self.recall, self.f1)
        return Cut(*(float(values[index]) for values in own))


def _cuts(score: FloatArray, probability: FloatArray) -> _Cuts:
    """Cuts halfway between neighbouring scores, so that rounding cannot move a cell over one."""
    values, place = np.unique(np.asarray(score, dtype=np.float64), return_inverse=True)
    count = np.bincount(place)[::-1].cumsum()
    hits = np.bincount(place, weights=probability)[::-1].cumsum()
    middle = np.append((values[1:] + values[:-1])[::-1] / 2, 0.0)
    positive = max(float(hits[-1]), np.finfo(np.float64).tiny)
    return _Cuts(middle, hits / count, hits / positive, 2 * hits / (count + positive))


def _first_above(curve: Curve, wanted: float) -> float:
    """The smallest score in [0, 1] of at least the wanted probability; infinite where none is."""
    low, high = (float(curve(np.array([end]))[0]) for end in (0.0, 1.0))
    if low >= wanted:
        return 0.0
    if high < wanted:
        return NOBODY
    below, above = 0.0, 1.0
    while above - below > np.finfo(np.float32).eps:
        middle = (below + above) / 2
        if float(curve(np.array([middle]))[0]) >= wanted:
            above = middle
        else:
            below = middle
    return above
