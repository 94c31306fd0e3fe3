"""Measures that need no threshold, for many resamples of fields at once."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from nimbus._types import BoolArray, FloatArray, IntArray

from .confusion import ratio

_BLOCK = 4_000_000
"""Numbers held at once for each of the arrays below; 32 MB."""


@dataclass(frozen=True, slots=True, eq=False)
class Ranking:
    """Cells in steps from the highest score down, by field.

    A step ends at a score that a positive cell has: between two such scores neither measure
    changes its terms, so that a marker with few positive cells has few steps.

    ::

        score      0.9  0.8  0.8  0.6  0.5  0.5  0.1
        truth       -    +    -    -    +    +    -
        step        0    0    0    1    1    1    (below)
                  above hit  tie above hit  hit

    Parameters
    ----------
    hits
        Positive cells at the score of the step, sparse ``(steps, fields)``.
    ties
        Negative cells at that very score.
    above
        Negative cells between that score and the step before.
    n_positive, n_negative
        Cells of each field.
    """

    hits: csr_array
    ties: csr_array
    above: csr_array
    n_positive: NDArray[np.float64]
    n_negative: NDArray[np.float64]


def rank(score: FloatArray, positive: BoolArray, field: IntArray, *, n_fields: int) -> Ranking:
    """Sort cells into the steps of a :class:`Ranking`; scores are finite, shape ``(cells,)``."""
    levels, own = np.unique(score[positive], return_inverse=True)  # ascending
    others, other_field = score[~positive], field[~positive]
    reached = np.searchsorted(levels, others, side="right") - 1  # -1: below all positive cells
    called = reached >= 0
    tied = called & (levels[reached] == others) if levels.size else called
    shape = (levels.size, n_fields)
    last = levels.size - 1
    negative = [
        _counts(last - reached[which], other_field[which], shape)
        for which in (tied, called & ~tied)
    ]
    # A negative cell between two levels is called with the lower one: it stands above it.
    return Ranking(
        hits=_counts(last - own, field[positive], shape),
        ties=negative[0],
        above=negative[1],
        n_positive=np.bincount(field[positive], minlength=n_fields).astype(np.float64),
        n_negative=np.bincount(other_field, minlength=n_fields).astype(np.float64),
    )


def ranked_measures(
    ranking: Ranking, weights: FloatArray
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Area under the receiver operating curve, and average precision, of each resample.

    Parameters
    ----------
    ranking
        From :func:`rank`.
    weights
        How often each field counts, ``(resamples, fields)``.

    Returns
    -------
    Both of shape ``(resamples,)``; NaN where a resample lacks positive cells, and for the area
    also where it lacks negative ones.

    Examples
    --------
    >>> score, positive = np.array([0.1, 0.4, 0.4, 0.9]), np.array([False, False, True, True])
    >>> ranking = rank(score, positive, np.zeros(4, dtype=int), n_fields=1)
    >>> [values.round(4).tolist() for values in ranked_measures(ranking, np.ones((1, 1)))]
    [[0.875], [0.8333]]
    """
    n_steps = max(ranking.hits.shape[0], 1)
    size = max(1, _BLOCK // n_steps)
    parts = [
        _measured(ranking, weights[start : start + size])
        for start in range(0, weights.shape[0], size)
    ]
    areas, precisions = zip(*parts, strict=True)
    return np.concatenate(areas), np.concatenate(precisions)


def coarser(ranking: Ranking, n_steps: int) -> Ranking:
    """The same with at most so many steps: neighbouring ones become one, their cells tied.

    Each of the new steps holds about as many of the old ones, and so of the positive cells.
    """
    n_fine = ranking.hits.shape[0]
    if n_fine <= n_steps:
        return ranking
    fine = np.arange(n_fine)
    merged = csr_array((np.ones(n_fine), (fine * n_steps // n_fine, fine)), shape=(n_steps, n_fine))
    return replace(
        ranking,
        hits=merged @ ranking.hits,
        ties=merged @ (ranking.ties + ranking.above),
        above=csr_array((n_steps, ranking.hits.shape[1])),
    )


def _measured(
    ranking: Ranking, weights: FloatArray
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    by_field = np.ascontiguousarray(weights.T, dtype=np.float64)
    hits = ranking.hits @ by_field  # (steps, resamples)
    ties = ranking.ties @ by_field
    wrong = np.cumsum(ranking.above @ by_field + ties, axis=0)
    right = np.cumsum(hits, axis=0)
    n_positive = weights @ ranking.n_positive
    n_negative = weights @ ranking.n_negative
    won = (hits * (n_negative - wrong + ties / 2)).sum(axis=0)
    called = right + wrong
    gained = np.divide(hits * right, called, out=np.zeros_like(hits), where=called > 0).sum(axis=0)
    return ratio(won, n_positive * n_negative), ratio(gained, n_positive)


def _counts(step: IntArray, field: IntArray, shape: tuple[int, int]) -> csr_array:
    """Cells of each step and field; cells that share both are added."""
    return csr_array((np.ones(step.size), (step, field)), shape=shape)
