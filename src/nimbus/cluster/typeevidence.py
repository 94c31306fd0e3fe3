"""What scores say of rules, and rules of cell types.

A score ``s`` is read as evidence: ``s / (1 - s)`` is how much likelier the image is of a positive
cell than of a negative one. With the share ``b`` of positive cells among all, the marker is
positive with probability ``r = b s / (b s + (1 - b) (1 - s))`` before anything is said of types.

A rule, such as "CD3+", holds with probability ``b`` before the score is seen, and ``r`` after. A
cell of a type follows a rule of its type, but for a share ``noise`` of the cells, in which the
markers of the rule are as in any cell. So the score is

    (1 - noise) r / b + noise

times as likely in a cell of the type as in any cell. Its logarithm is the *evidence*. A marker
without a rule, or without a score, gives 0, whatever the score of other markers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nimbus._types import BoolArray, FloatArray, IntArray
from nimbus.core.typerules import Clause, Rule

BASE_RATE = (0.02, 0.5)
"""Bounds of the share of positive cells.

Below the lower one a single false positive would decide alone. Above the upper one a marker would
say nothing of the type that most cells belong to, so that a table of T cells held none.
"""


def shifted(scores: FloatArray, threshold: FloatArray) -> NDArray[np.float64]:
    """Scores moved so that `threshold` becomes 0.5: odds are divided by those of the threshold.

    Parameters
    ----------
    scores
        In [0, 1] or NaN, last axis markers.
    threshold
        Of each marker, above 0 and below 1.

    Examples
    --------
    >>> shifted(np.array([0.2, 0.5, np.nan]), np.array([0.2, 0.5, 0.9]))
    array([0.5, 0.5, nan])
    """
    values = np.asarray(scores, dtype=np.float64)
    if (threshold == 0.5).all():
        return values
    up = values * (1 - threshold)
    return np.asarray(up / (up + (1 - values) * threshold))


def base_rates(n_positive: IntArray, n_scored: IntArray) -> NDArray[np.float64]:
    """Share of cells at or above the threshold of each marker, within `BASE_RATE`.

    Not the share that makes the scores likeliest: scores that are less sure than they could be
    would make it too small.

    Examples
    --------
    >>> base_rates(np.array([30, 0, 90]), np.array([100, 100, 100]))
    array([0.3 , 0.02, 0.5 ])
    """
    return np.asarray(np.clip(n_positive / np.maximum(n_scored, 1), *BASE_RATE))


def rule_ratios(
    scores: FloatArray, rules: Sequence[Rule], column: Mapping[str, int], base: FloatArray
) -> NDArray[np.float64]:
    """``r / b`` of each cell for each rule, ``(cell, rule)``: 1 where nothing is known.

    Parameters
    ----------
    scores
        Shifted, in [0, 1] or NaN, ``(cell, marker)``.
    rules
        On markers of `column`.
    column
        Column of each marker.
    base
        Share of positive cells of each marker.

    Examples
    --------
    >>> scores = np.array([[0.9], [0.5], [np.nan]])
    >>> rule_ratios(scores, [Rule.of("CD3", True)], {"CD3": 0}, np.array([0.1]))
    array([[5.],
           [1.],
           [1.]])
    """
    up = base * scores
    after = np.where(np.isnan(scores), base, up / (up + (1 - base) * (1 - scores)))
    out = np.empty((len(scores), len(rules)))
    for k, rule in enumerate(rules):
        out[:, k] = _holds(rule, after, column) / _holds(rule, base[None], column)
    return out


def _holds(rule: Rule, positive: FloatArray, column: Mapping[str, int]) -> NDArray[np.float64]:
    """Probability that a rule holds, markers being independent, ``(cell,)``."""
    all_of_them = np.ones(len(positive))
    for clause in rule.clauses:
        all_of_them = all_of_them * _any(clause, positive, column)
    return 1 - all_of_them if rule.negated else all_of_them


def _any(clause: Clause, positive: FloatArray, column: Mapping[str, int]) -> NDArray[np.float64]:
    columns = ((positive[:, column[one.marker]], one.positive) for one in clause)
    chances = [values if wanted else 1 - values for values, wanted in columns]
    if len(chances) == 1:
        return np.asarray(chances[0])
    none = np.ones(len(positive))
    for chance in chances:
        none = none * (1 - chance)
    return 1 - none


def without_scores(scores: FloatArray) -> BoolArray:
    """Cells that have no score of any marker, ``(cell,)``."""
    return np.asarray(np.isnan(scores).all(axis=1))
