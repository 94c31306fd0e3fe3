"""Two normal components of one measurement, e.g. of the logarithm of an intensity."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nimbus._types import FloatArray

_N_BINS = 1024
"""Values are counted in bins first, so that the fit of a million cells takes no longer."""

_FLOOR = 0.05
"""Smallest standard deviation of a component, in those of all values: no spike on one count."""

_STARTS = (0.3, 0.5, 0.7, 0.85, 0.95, 0.99)
"""Quantiles at which the values are cut in two at the start; the likeliest end is taken."""

_MAX_STEPS, _TOLERANCE = 1000, 1e-10


@dataclass(frozen=True, slots=True)
class Mixture:
    """A lower and an upper normal component.

    Parameters
    ----------
    weight
        Share of the upper component, 0 to 1.
    means
        Of the lower and of the upper one.
    sds
        Their standard deviations.

    Examples
    --------
    >>> even = Mixture(0.5, (0.0, 4.0), (1.0, 1.0))
    >>> even.separation, even.cut(0.5)
    (4.0, 2.0)
    """

    weight: float
    means: tuple[float, float]
    sds: tuple[float, float]

    @property
    def separation(self) -> float:
        """Ashman's D: distance of the means in standard deviations of a component.

        Above 2 the components are cleanly apart (Ashman, Bird & Zepf 1994, Astronomical Journal
        108, 2348).
        """
        low, high = self.sds
        return (self.means[1] - self.means[0]) / math.sqrt((low**2 + high**2) / 2)

    def is_apart(self, *, separation: float, confidence: float) -> bool:
        """Whether the components are so far apart, and a value at each mean is surely of it.

        The second keeps out a bump on the flank of the other component: narrow, so that it is far
        away in its own standard deviations.
        """
        at_low, at_high = self.posterior(np.array(self.means))
        sure = at_low < 1 - confidence and at_high > confidence
        return bool(sure and self.separation >= separation)

    def posterior(self, values: FloatArray) -> NDArray[np.float64]:
        """Probability that a value is of the upper component."""
        upper = _log_density(values, self.means[1], self.sds[1]) + math.log(self.weight)
        lower = _log_density(values, self.means[0], self.sds[0]) + math.log(1 - self.weight)
        odds = np.exp(-np.abs(upper - lower))
        return np.where(upper >= lower, 1 / (1 + odds), odds / (1 + odds))

    def cut(self, probability: float) -> float:
        """Value between the means from which on the upper component has this probability.

        Between the means the probability only rises, so the cut is one value; where it is above
        `probability` from the lower mean on, the cut is that mean, and where it never gets there
        the upper one.
        """
        low, high = self.means
        for _ in range(60):  # halves the span to the last bit
            middle = (low + high) / 2
            if self.posterior(np.array([middle]))[0] < probability:
                low = middle
            else:
                high = middle
        return round(high, 12)


def fit_mixture(values: FloatArray) -> Mixture:
    """The two normal components that make `values` likeliest, by expectation maximisation.

    Nothing is drawn by chance: the same values in any order give the same components.

    Parameters
    ----------
    values
        Shape ``(n,)``, finite; at least two of them differ.

    Raises
    ------
    ValueError
        Fewer than two different values.

    Examples
    --------
    >>> values = np.concatenate([np.linspace(0, 1, 90), np.linspace(8, 9, 30)])
    >>> fit = fit_mixture(values)
    >>> round(fit.weight, 3), np.round(fit.means, 2).tolist()
    (0.25, [0.5, 8.5])
    """
    if values.size == 0 or values.min() == values.max():
        raise ValueError(f"a mixture needs values that differ, not {values.size} equal ones")
    counts, edges = np.histogram(values, bins=_N_BINS)
    used = counts > 0
    centres, weights = ((edges[1:] + edges[:-1]) / 2)[used], counts[used] / values.size
    floor = _FLOOR * math.sqrt(_moments(centres, weights)[1])
    ends = [_climb(centres, weights, start, floor) for start in _STARTS]
    _, best = max(ends, key=lambda end: end[0])
    order = np.argsort(best.means)
    return Mixture(
        best.weight if order[0] == 0 else 1 - best.weight,
        (best.means[order[0]], best.means[order[1]]),
        (best.sds[order[0]], best.sds[order[1]]),
    )


def _climb(
    x: NDArray[np.float64], weights: NDArray[np.float64], start: float, floor: float
) -> tuple[float, Mixture]:
    """Log-likelihood and components at the end of the climb from one start."""
    upper = (np.cumsum(weights) > start).astype(np.float64)
    upper[-1], upper[0] = 1.0, 0.0  # neither half is empty
    before = -math.inf
    fit = _refit(x, weights, upper, floor)
    for _ in range(_MAX_STEPS):
        high = _log_density(x, fit.means[1], fit.sds[1]) + math.log(fit.weight)
        low = _log_density(x, fit.means[0], fit.sds[0]) + math.log(1 - fit.weight)
        both = np.logaddexp(high, low)
        likelihood = float(weights @ both)
        if likelihood - before < _TOLERANCE:
            break
        before = likelihood
        fit = _refit(x, weights, np.exp(high - both), floor)
    return likelihood, fit


def _refit(
    x: NDArray[np.float64], weights: NDArray[np.float64], upper: NDArray[np.float64], floor: float
) -> Mixture:
    low, high = (_moments(x, weights * part) for part in (1 - upper, upper))
    share = min(max(float(weights @ upper), 1e-12), 1 - 1e-12)
    sds = (max(math.sqrt(low[1]), floor), max(math.sqrt(high[1]), floor))
    return Mixture(share, (low[0], high[0]), sds)


def _moments(x: NDArray[np.float64], weights: NDArray[np.float64]) -> tuple[float, float]:
    """Mean and variance."""
    total = max(float(weights.sum()), 1e-300)
    mean = float(weights @ x) / total
    return mean, float(weights @ (x - mean) ** 2) / total


def _log_density(x: FloatArray, mean: float, sd: float) -> NDArray[np.float64]:
    scaled = (np.asarray(x, dtype=np.float64) - mean) / sd
    return -0.5 * scaled**2 - math.log(sd * math.sqrt(2 * math.pi))
