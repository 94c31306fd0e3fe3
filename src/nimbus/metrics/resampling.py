"""Resampling of fields: how much a measure would differ in other fields of the same kind."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nimbus._types import FloatArray


def field_weights(n_fields: int, n_draws: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """How often each field counts: once in the first row, as drawn in the others.

    Fields are drawn with replacement, as many as there are. Cells are not: those of one field
    share its staining and its tissue, and are no independent proof.

    Returns
    -------
    Shape ``(1 + n_draws, n_fields)``.

    Examples
    --------
    >>> weights = field_weights(3, 2, np.random.default_rng(0))
    >>> weights[0], weights.sum(axis=1)
    (array([1., 1., 1.]), array([3., 3., 3.]))
    """
    drawn = rng.multinomial(n_fields, np.full(n_fields, 1 / n_fields), size=n_draws)
    return np.concatenate([np.ones((1, n_fields)), drawn])


def interval(values: FloatArray, *, confidence: float) -> tuple[float, float]:
    """Quantiles of the draws that leave out the same part at both ends.

    Parameters
    ----------
    values
        The measure itself, then that of each draw; draws without it (NaN) are left out.
    confidence
        Part of the draws between the two.

    Returns
    -------
    Both NaN where the measure is, or no draw has it.

    Examples
    --------
    >>> interval(np.array([0.5, 0.0, 0.2, 0.4, 0.6, 0.8]), confidence=0.5)
    (0.2, 0.6)
    """
    draws = values[1:][np.isfinite(values[1:])]
    if np.isnan(values[0]) or not draws.size:
        return float("nan"), float("nan")
    outside = (1 - confidence) / 2
    low, high = np.quantile(draws, [outside, 1 - outside])
    return float(low), float(high)


def mean_of(measures: Sequence[FloatArray]) -> NDArray[np.float64]:
    """Mean of several groups in each draw; groups without the measure in a draw do not count.

    Examples
    --------
    >>> mean_of([np.array([0.2, np.nan]), np.array([0.4, 0.6])])
    array([0.3, 0.6])
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)
        means: NDArray[np.float64] = np.nanmean(np.stack(measures), axis=0)
    return means
