"""Whether scores are probabilities, and how they become ones: curves for markers, and their error.

A curve belongs to a marker and is shrunk to the curve of all markers together, see
:mod:`nimbus.metrics.curves`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nimbus._types import BoolArray, FloatArray, IntArray

from .confusion import ratio
from .curves import Curve, Method, Prior, anchors_of, first_line, shrunk_curve
from .positivity import Truth, decided

N_BINS = 10
"""Bins of the expected calibration error, as wide as each other."""

Z_95 = 1.959963984540054
"""Standard deviations that hold 95% of a normal distribution."""


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """What the scores in each bin say, and how often they are right.

    Parameters
    ----------
    edges
        Of the bins, shape ``(n_bins + 1,)``; a score on an edge belongs to the bin above.
    n_cells, n_positive
        Cells in each bin, and positive ones.
    mean
        Mean score of the cells of each bin; NaN where there is none.
    """

    edges: NDArray[np.float64]
    n_cells: NDArray[np.int64]
    n_positive: NDArray[np.int64]
    mean: NDArray[np.float64]

    @property
    def observed(self) -> NDArray[np.float64]:
        """Positive part of the cells of each bin; NaN where there is none."""
        return ratio(self.n_positive.astype(np.float64), self.n_cells.astype(np.float64))

    @property
    def expected_calibration_error(self) -> float:
        """Mean distance of score and positive part over the cells; NaN without cells."""
        total = int(self.n_cells.sum())
        gap = np.where(self.n_cells > 0, np.abs(self.mean - self.observed), 0.0)
        return float((gap * self.n_cells).sum() / total) if total else float("nan")


def reliability(score: FloatArray, truth: Truth, *, n_bins: int = N_BINS) -> Reliability:
    """Cells by score; undecided ones are left out.

    Parameters
    ----------
    score
        In [0, 1], shape ``(cells,)``.
    truth
        1 for positive, 0 for negative; same shape.
    n_bins
        Bins between 0 and 1.

    Examples
    --------
    >>> cells = reliability(np.array([0.1, 0.3, 0.9]), np.array([0, 1, 1]), n_bins=2)
    >>> cells.mean, cells.observed
    (array([0.2, 0.9]), array([0.5, 1. ]))
    """
    values, positive = decided(score, truth)
    own = np.minimum((values * n_bins).astype(np.int64), n_bins - 1)
    n_cells = np.bincount(own, minlength=n_bins)
    total = np.bincount(own, weights=values, minlength=n_bins).astype(np.float64)
    return Reliability(
        edges=np.linspace(0.0, 1.0, n_bins + 1),
        n_cells=n_cells,
        n_positive=np.bincount(own[positive], minlength=n_bins),
        mean=ratio(total, n_cells.astype(np.float64)),
    )


def expected_calibration_error(score: FloatArray, truth: Truth, *, n_bins: int = N_BINS) -> float:
    """Mean distance between what scores say and how often they are right.

    The sum over bins of equal width of the part of the cells in the bin times the distance of
    their mean score and their positive part: Naeini, Cooper and Hauskrecht, *Obtaining well
    calibrated probabilities using Bayesian binning* (2015). With few cells in a bin it is above 0
    by chance alone. Undecided cells are left out; NaN where none is left.

    Examples
    --------
    >>> round(expected_calibration_error(np.array([0.1, 0.9, 0.8]), np.array([0, 1, 0])), 3)
    0.333
    """
    return reliability(score, truth, n_bins=n_bins).expected_calibration_error


def wilson_interval(
    n_positive: IntArray, n_cells: IntArray
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Ends of the 95% interval of a positive part; it keeps its meaning for few cells.

    Wilson, *Probable inference, the law of succession, and statistical inference* (1927).

    Examples
    --------
    >>> low, high = wilson_interval(np.array([0, 5]), np.array([10, 10]))
    >>> low.round(3), high.round(3)
    (array([0.   , 0.237]), array([0.278, 0.763]))
    """
    part = n_positive / n_cells
    widened = 1 + Z_95**2 / n_cells
    middle = (part + Z_95**2 / (2 * n_cells)) / widened
    half = Z_95 * np.sqrt(part * (1 - part) / n_cells + (Z_95 / (2 * n_cells)) ** 2) / widened
    return middle - half, middle + half


def brier(score: FloatArray, truth: Truth) -> float:
    """Mean squared distance of score and truth: it needs no bins, and less is better.

    Undecided cells are left out; NaN where none is left.

    Examples
    --------
    >>> brier(np.array([0.5, 1.0]), np.array([0, 1]))
    0.125
    """
    values, positive = decided(score, truth)
    return float(((values - positive) ** 2).mean()) if values.size else float("nan")


@dataclass(frozen=True, slots=True, eq=False)
class LabelledScores:
    """Pairs of a cell and a marker that have a score and a label.

    Parameters
    ----------
    score
        In [0, 1], shape ``(pairs,)``.
    positive
        The label.
    marker
        Which marker, from 0.
    fold
        Part of the data that the cell belongs to, from 0.
    """

    score: NDArray[np.float64]
    positive: BoolArray
    marker: IntArray
    fold: IntArray

    def __getitem__(self, pairs: BoolArray) -> LabelledScores:
        """Some of the pairs."""
        return LabelledScores(
            self.score[pairs], self.positive[pairs], self.marker[pairs], self.fold[pairs]
        )

    @property
    def has_both_classes(self) -> bool:
        """Whether there is a positive and a negative one."""
        return bool(self.positive.any()) and not self.positive.all()


@dataclass(frozen=True, slots=True)
class MarkerCurves:
    """The curve of all markers together, and each marker's own."""

    pooled: Curve
    markers: tuple[Curve, ...]


def fit_curves(
    pairs: LabelledScores, *, n_markers: int, method: Method, shrinkage: float
) -> MarkerCurves:
    """Fit the pooled curve, and for each marker one that is shrunk to it.

    Parameters
    ----------
    pairs
        Of both classes.
    n_markers
        Also those without a pair.
    method
        ``"platt"`` or ``"isotonic"``; an isotonic pooled curve is itself shrunk to Platt's line.
    shrinkage
        As how many labelled cells of a marker the pooled curve counts.
    """
    anchors = anchors_of(pairs.score)
    line = first_line(pairs.score, pairs.positive)
    pooled: Curve = line
    if method == "isotonic":
        prior = Prior(line, anchors, shrinkage)
        pooled = shrunk_curve(pairs.score, pairs.positive, prior, method=method)
    prior = Prior(pooled, anchors, shrinkage)
    own = [pairs[pairs.marker == marker] for marker in range(n_markers)]
    return MarkerCurves(
        pooled, tuple(shrunk_curve(o.score, o.positive, prior, method=method) for o in own)
    )


def cross_fitted(
    pairs: LabelledScores, *, n_markers: int, method: Method, shrinkage: float
) -> NDArray[np.float64]:
    """Probability of each pair by curves that its own fold had no part in, shape ``(pairs,)``.

    NaN where the other folds lack a class.
    """
    probability = np.full(pairs.score.shape, np.nan)
    for fold in np.unique(pairs.fold):
        held_out = pairs.fold == fold
        rest = pairs[~held_out]
        if rest.has_both_classes:
            curves = fit_curves(rest, n_markers=n_markers, method=method, shrinkage=shrinkage)
            probability[held_out] = applied(
                curves.markers, pairs.score[held_out], pairs.marker[held_out]
            )
    return probability


def applied(curves: Sequence[Curve], score: FloatArray, marker: IntArray) -> NDArray[np.float64]:
    """Probability of each score by the curve of its marker, shape of `score`."""
    probability = np.full(score.shape, np.nan)
    for number in np.unique(marker):
        own = marker == number
        probability[own] = curves[int(number)](score[own])
    return probability


def folds_of(group: IntArray, *, n_folds: int) -> NDArray[np.int64]:
    """Fold of each pair, so that a group is whole and folds are about as large as each other.

    Groups go from the largest to the smallest, each to the fold that has the fewest pairs.

    Examples
    --------
    >>> folds_of(np.array([7, 7, 7, 8, 9, 9]), n_folds=2)
    array([0, 0, 0, 1, 1, 1])
    """
    _, place, count = np.unique(group, return_inverse=True, return_counts=True)
    size = np.zeros(n_folds, dtype=np.int64)
    fold = np.zeros(count.size, dtype=np.int64)
    for number in np.argsort(-count, kind="stable"):
        fold[number] = np.argmin(size)
        size[fold[number]] += count[number]
    return fold[place]
