"""All measures of one group of cells, with those of its resamples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nimbus._types import BoolArray, FloatArray, IntArray

from .confusion import RATES, confusion
from .positivity import best_f1
from .ranking import coarser, rank, ranked_measures

AREAS = ("auroc", "average_precision")
"""Measures that need no threshold."""

N_STEPS = 1000
"""Steps of a curve in the resamples; with more the ends of intervals move by less than 1e-3."""

BEST = "best_"
"""Stands before a rate at the threshold that gives the largest F1."""


@dataclass(frozen=True, slots=True, eq=False)
class JudgedCells:
    """Cells whose truth is known; arrays of shape ``(cells,)``.

    Parameters
    ----------
    score
        Finite.
    positive
        Truth.
    field
        Number of the field, from 0.
    """

    score: FloatArray
    positive: BoolArray
    field: IntArray


def rates_at(
    cells: JudgedCells, called: BoolArray, weights: FloatArray
) -> dict[str, NDArray[np.float64]]:
    """Precision, recall, specificity, F1 and accuracy of calls.

    Parameters
    ----------
    cells
        What was called.
    called
        Which of them are called positive.
    weights
        How often each field counts, ``(resamples, fields)``.
    """
    counts = confusion(called, cells.positive, cells.field, weights)
    return {name: getattr(counts, name) for name in RATES}


def areas_of(cells: JudgedCells, weights: FloatArray) -> dict[str, NDArray[np.float64]]:
    """Area under the receiver operating curve, and average precision.

    The value of the first row of `weights` is exact. For the others, neighbouring scores are merged
    into at most `N_STEPS`, and what that changes in the first row is taken off.

    Examples
    --------
    >>> cells = JudgedCells(np.array([0.2, 0.8]), np.array([False, True]), np.array([0, 0]))
    >>> areas_of(cells, np.ones((1, 1)))["auroc"]
    array([1.])
    """
    ranking = rank(cells.score, cells.positive, cells.field, n_fields=weights.shape[1])
    exact = ranked_measures(ranking, weights[:1])
    rough = ranked_measures(coarser(ranking, N_STEPS), weights)
    values = [own - own[:1] + true for own, true in zip(rough, exact, strict=True)]
    return dict(zip(AREAS, values, strict=True))


def best_rates(
    cells: JudgedCells, weights: FloatArray
) -> tuple[float, dict[str, NDArray[np.float64]]]:
    """The threshold of the largest F1, and the rates there.

    The threshold is that of all cells in each resample, too. NaN without positive cells.
    """
    threshold = best_f1(cells.score, cells.positive).threshold
    rates = rates_at(cells, cells.score >= threshold, weights)
    if np.isnan(threshold):
        rates = {name: np.full(weights.shape[0], np.nan) for name in rates}
    return threshold, {BEST + name: values for name, values in rates.items()}
