"""How well scores tell positive cells from negative ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nimbus._types import FloatArray

Truth = NDArray[np.integer[Any]] | NDArray[np.bool_]
"""1 or True for positive, 0 or False for negative; other values are undecided."""


@dataclass(frozen=True, slots=True)
class BestF1:
    """The largest F1, and the threshold that reaches it: a cell is positive from it upwards."""

    f1: float
    threshold: float


def decided(score: FloatArray, truth: Truth) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores and truth of the cells that count.

    Left out are scores that are not finite, and cells whose truth is neither 0 nor 1.

    Parameters
    ----------
    score
        One marker, shape ``(cells,)``.
    truth
        Same shape.

    Raises
    ------
    ValueError
        The shapes differ.

    Examples
    --------
    >>> decided(np.array([0.1, np.nan, 0.8, 0.9]), np.array([0, 1, -1, 1]))
    (array([0.1, 0.9]), array([False,  True]))
    """
    if score.shape != truth.shape or score.ndim != 1:
        raise ValueError(
            f"score and truth must be of one shape (cells,), not {score.shape} and {truth.shape}"
        )
    kept = np.isfinite(score) & ((truth == 0) | (truth == 1))
    return score[kept].astype(np.float64), truth[kept] == 1


def auroc(score: FloatArray, truth: Truth) -> float:
    """Area under the receiver operating curve.

    The probability that a positive cell scores above a negative one; ties count half. Undecided
    cells are left out; NaN where one class is missing.

    Examples
    --------
    >>> auroc(np.array([0.1, 0.4, 0.4, 0.9]), np.array([0, 0, 1, 1]))
    0.875
    """
    values, positive = decided(score, truth)
    n_positive = int(positive.sum())
    n_negative = positive.size - n_positive
    if not n_positive or not n_negative:
        return float("nan")
    _, inverse, count = np.unique(values, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[inverse]
    above = rank[positive].sum() - n_positive * (n_positive + 1) / 2
    return float(above / n_positive / n_negative)


def average_precision(score: FloatArray, truth: Truth) -> float:
    """Mean of the precision over the positive cells, from the highest score down.

    Cells of one score enter together, so that their order cannot matter. Undecided cells are left
    out; NaN where no cell is positive.

    Examples
    --------
    >>> round(average_precision(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1])), 4)
    0.8333
    """
    values, positive = decided(score, truth)
    if not positive.any():
        return float("nan")
    steps = _steps(values, positive)
    gained = np.diff(steps.hits, prepend=0)
    return float((gained * steps.hits / steps.called).sum() / positive.sum())


def f1_at(score: FloatArray, truth: Truth, *, threshold: float = 0.5) -> float:
    """F1 of calling positive every cell whose score reaches `threshold`.

    Undecided cells are left out; NaN where no cell is positive and none is called so.

    Examples
    --------
    >>> f1_at(np.array([0.2, 0.5, 0.7, 0.9]), np.array([0, 0, 1, 1]))
    0.8
    """
    values, positive = decided(score, truth)
    called = values >= threshold
    sizes = int(called.sum()) + int(positive.sum())
    return 2 * int((called & positive).sum()) / sizes if sizes else float("nan")


def best_f1(score: FloatArray, truth: Truth) -> BestF1:
    """The largest F1 over all thresholds; of several the highest threshold.

    Undecided cells are left out; both are NaN where no cell is positive.

    Examples
    --------
    >>> best_f1(np.array([0.1, 0.4, 0.6, 0.9]), np.array([0, 1, 0, 1]))
    BestF1(f1=0.8, threshold=0.4)
    """
    values, positive = decided(score, truth)
    if not positive.any():
        return BestF1(float("nan"), float("nan"))
    steps = _steps(values, positive)
    f1 = 2 * steps.hits / (steps.called + positive.sum())
    best = int(np.argmax(f1))
    return BestF1(float(f1[best]), float(steps.threshold[best]))


@dataclass(frozen=True, slots=True, eq=False)
class _Steps:
    """Cells called positive at each threshold, from the highest score down."""

    threshold: NDArray[np.float64]
    called: NDArray[np.int64]
    hits: NDArray[np.int64]


def _steps(values: NDArray[np.float64], positive: NDArray[np.bool_]) -> _Steps:
    order = np.argsort(-values, kind="stable")
    ranked = values[order]
    last = np.append(np.flatnonzero(np.diff(ranked)), ranked.size - 1)  # of each run of ties
    hits = np.cumsum(positive[order])
    return _Steps(ranked[last], last + 1, hits[last])
