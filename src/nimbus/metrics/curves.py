"""Curves from scores to probabilities, each shrunk towards one that more cells have shaped."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import isotonic_regression, minimize
from scipy.special import expit, logit

from nimbus._types import BoolArray, FloatArray

Method = Literal["platt", "isotonic"]

EDGE = 1e-3
"""Scores nearer to 0 or 1 than this count as equally sure; their logits would rule the line."""

N_ANCHORS = 200
"""Scores at which pseudo-cells stand; more change a curve by less than 1e-3."""


@dataclass(frozen=True, slots=True)
class PlattCurve:
    """Logit of the probability = slope x logit of the score + intercept.

    Examples
    --------
    >>> PlattCurve(slope=1.0, intercept=0.0)(np.array([0.25, np.nan]))
    array([0.25, nan])
    """

    slope: float
    intercept: float

    def __call__(self, score: FloatArray) -> NDArray[np.float64]:
        """Probability of each score; NaN stays NaN."""
        values: NDArray[np.float64] = expit(self.slope * _logit(score) + self.intercept)
        return values


@dataclass(frozen=True, slots=True, eq=False)
class IsotonicCurve:
    """Straight lines between knots, flat beyond them; never falling.

    Examples
    --------
    >>> curve = IsotonicCurve(np.array([0.2, 0.4]), np.array([0.0, 1.0]))
    >>> curve(np.array([0.1, 0.3, 0.9, np.nan])).round(6)
    array([0. , 0.5, 1. , nan])
    """

    score: NDArray[np.float64]
    probability: NDArray[np.float64]

    def __call__(self, score: FloatArray) -> NDArray[np.float64]:
        """Probability of each score; NaN stays NaN."""
        return np.interp(np.asarray(score, dtype=np.float64), self.score, self.probability)


Curve: TypeAlias = PlattCurve | IsotonicCurve


@dataclass(frozen=True, slots=True, eq=False)
class WeightedCells:
    """Cells, or parts of them, that a curve is fitted to.

    Parameters
    ----------
    score
        In [0, 1], shape ``(n,)``.
    target
        1 for positive and 0 for negative cells; pseudo-cells lie between.
    weight
        As how many cells each counts.
    """

    score: NDArray[np.float64]
    target: NDArray[np.float64]
    weight: NDArray[np.float64]

    def __add__(self, other: WeightedCells) -> WeightedCells:
        return WeightedCells(
            np.concatenate([self.score, other.score]),
            np.concatenate([self.target, other.target]),
            np.concatenate([self.weight, other.weight]),
        )


def labelled(score: FloatArray, positive: BoolArray) -> WeightedCells:
    """Cells that count once each."""
    values = np.asarray(score, dtype=np.float64)
    return WeightedCells(values, positive.astype(np.float64), np.ones(values.size))


@dataclass(frozen=True, slots=True, eq=False)
class Prior:
    """What is believed of a curve before its own cells are seen: `strength` cells on `curve`.

    Parameters
    ----------
    curve
        The curve that it is shrunk to.
    anchors
        Scores at which the pseudo-cells stand, each with the same weight.
    strength
        Their total weight, in cells.
    """

    curve: Curve
    anchors: NDArray[np.float64]
    strength: float

    def pseudo_cells(self) -> WeightedCells:
        """Cells that are on the curve: their targets are its probabilities."""
        n = self.anchors.size
        return WeightedCells(
            self.anchors, self.curve(self.anchors), np.full(n, self.strength / max(n, 1))
        )


def anchors_of(score: FloatArray) -> NDArray[np.float64]:
    """At most `N_ANCHORS` scores that are spread as `score` is: its quantiles."""
    part = (np.arange(N_ANCHORS) + 0.5) / N_ANCHORS
    quantiles: NDArray[np.float64] = np.quantile(np.asarray(score, dtype=np.float64), part)
    return quantiles


def first_line(score: FloatArray, positive: BoolArray) -> PlattCurve:
    """Platt's line with his softened targets: what all other curves go back to.

    A positive cell counts as (n + 1) / (n + 2) positive, a negative one as 1 / (n + 2), with n
    cells of its class: Platt, *Probabilistic outputs for support vector machines* (1999).
    """
    n_positive = int(positive.sum())
    n_negative = positive.size - n_positive
    high, low = (n_positive + 1) / (n_positive + 2), 1 / (n_negative + 2)
    cells = labelled(score, positive)
    return fit_platt(WeightedCells(cells.score, np.where(positive, high, low), cells.weight))


def shrunk_curve(score: FloatArray, positive: BoolArray, prior: Prior, *, method: Method) -> Curve:
    """The curve of some labelled cells, shrunk to that of `prior`.

    It is fitted to the cells and to the prior's pseudo-cells together, so that where the prior
    has the probability ``p0`` and ``k`` pseudo-cells, n cells of which the part ``y`` is positive
    give about ``(n y + k p0) / (n + k)``. Without cells it is the prior's curve.

    Notes
    -----
    Priors that are made of pseudo-observations: Bedrick, Christensen and Johnson, *A new
    perspective on priors for generalized linear models* (1996). Within one step of an isotonic
    curve it is the m-estimate of Cestnik, *Estimating probabilities* (1990).

    Examples
    --------
    >>> prior = Prior(PlattCurve(0.0, 0.0), np.array([0.5]), strength=2.0)
    >>> curve = shrunk_curve(np.full(6, 0.5), np.ones(6, bool), prior, method="isotonic")
    >>> curve(np.array([0.5]))  # (6 * 1 + 2 * 0.5) / (6 + 2)
    array([0.875])
    """
    if not positive.size:
        return prior.curve
    cells = labelled(score, positive) + prior.pseudo_cells()
    return fit_platt(cells) if method == "platt" else fit_isotonic(cells)


def fit_platt(cells: WeightedCells) -> PlattCurve:
    """The line of the logits with the least cross-entropy; it never falls.

    Examples
    --------
    >>> score = np.array([0.2, 0.5, 0.8])
    >>> line = fit_platt(WeightedCells(score, PlattCurve(2.0, 0.5)(score), np.ones(3)))
    >>> round(line.slope, 4), round(line.intercept, 4)
    (2.0, 0.5)
    """
    x, total = _logit(cells.score), cells.weight.sum()

    def loss(values: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = values[0] * x + values[1]
        entropy = np.logaddexp(0.0, z) - cells.target * z
        gap = cells.weight * (expit(z) - cells.target)
        gradient = np.array([(gap * x).sum(), gap.sum()]) / total
        return float((cells.weight * entropy).sum() / total), gradient

    found = minimize(
        loss,
        np.array([1.0, 0.0]),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0.0, None), (None, None)],
        options={"ftol": 1e-15, "gtol": 1e-9, "maxiter": 500},
    )
    return PlattCurve(float(found.x[0]), float(found.x[1]))


def fit_isotonic(cells: WeightedCells) -> IsotonicCurve:
    """The rising steps with the least squares, through pooling of adjacent violators.

    Examples
    --------
    >>> fit_isotonic(labelled(np.array([0.1, 0.2, 0.3]), np.array([0, 1, 0], bool))).probability
    array([0. , 0.5, 0.5])
    """
    score, place = np.unique(cells.score, return_inverse=True)
    weight = np.bincount(place, weights=cells.weight)
    mean = np.bincount(place, weights=cells.weight * cells.target) / weight
    fitted = np.clip(isotonic_regression(mean, weights=weight).x, 0.0, 1.0)
    kept = np.ones(score.size, dtype=bool)  # the inside of a flat piece says nothing more
    kept[1:-1] = (fitted[1:-1] != fitted[:-2]) | (fitted[1:-1] != fitted[2:])
    return IsotonicCurve(score[kept], fitted[kept])


def _logit(score: FloatArray) -> NDArray[np.float64]:
    values: NDArray[np.float64] = logit(
        np.clip(np.asarray(score, dtype=np.float64), EDGE, 1.0 - EDGE)
    )
    return values
