"""How far annotators agree, and what they agree on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nimbus._types import BoolArray, IntArray

UNDECIDED = -1
"""A pair of cell and marker that was judged, but neither positive nor negative."""

NOT_JUDGED = -2
"""A pair that an annotator did not judge."""


@dataclass(frozen=True, slots=True)
class Agreement:
    """Two annotators against each other, on pairs that both call positive or negative.

    Parameters
    ----------
    n
        Number of such pairs.
    share
        On how many of them they agree, 0 to 1; NaN without pairs.
    kappa
        Cohen's kappa: the share beyond what chance gives, 1 for full agreement, 0 for chance; NaN
        where each of them gives all pairs the same label.
    """

    n: int
    share: float
    kappa: float


def cohen_kappa(first: IntArray, second: IntArray) -> Agreement:
    """Agreement of two annotators beyond chance.

    Pairs that one of them left undecided or did not judge are left out (J. Cohen 1960, Educational
    and Psychological Measurement 20, 37).

    Parameters
    ----------
    first, second
        1 positive, 0 negative, others undecided; shape ``(pairs,)``.

    Raises
    ------
    ValueError
        The shapes differ.

    Examples
    --------
    >>> cohen_kappa(np.array([1, 1, 0, 0, -1]), np.array([1, 0, 0, 0, 1]))
    Agreement(n=4, share=0.75, kappa=0.5)
    """
    if first.shape != second.shape:
        raise ValueError(f"annotators judged {first.shape} and {second.shape} pairs, not the same")
    both = _decided(first) & _decided(second)
    n = int(both.sum())
    if n == 0:
        return Agreement(0, float("nan"), float("nan"))
    a, b = first[both], second[both]
    share = float((a == b).mean())
    by_chance = float(a.mean() * b.mean() + (1 - a.mean()) * (1 - b.mean()))
    kappa = (share - by_chance) / (1 - by_chance) if by_chance < 1 else float("nan")
    return Agreement(n, share, kappa)


def consensus(judged: IntArray, *, min_annotators: int) -> NDArray[np.int8]:
    """What all annotators of a pair say; -1 where they differ, doubt, or are too few.

    Parameters
    ----------
    judged
        1 positive, 0 negative, -1 undecided, -2 not judged; shape ``(annotators, pairs)``.
    min_annotators
        How many must have judged a pair.

    Returns
    -------
    int8 ``(pairs,)``: 1, 0 or -1.

    Examples
    --------
    >>> judged = np.array([[1, 0, 1, 1, 1], [1, 0, 0, -1, -2]])
    >>> consensus(judged, min_annotators=2)
    array([ 1,  0, -1, -1, -1], dtype=int8)
    >>> consensus(judged, min_annotators=1)
    array([ 1,  0, -1, -1,  1], dtype=int8)
    """
    seen = judged != NOT_JUDGED
    enough = seen.sum(axis=0) >= max(min_annotators, 1)
    says = [((judged == label) | ~seen).all(axis=0) & enough for label in (0, 1)]
    return np.select(says, [0, 1], UNDECIDED).astype(np.int8)


def _decided(labels: IntArray) -> BoolArray:
    decided: BoolArray = (labels == 0) | (labels == 1)
    return decided
