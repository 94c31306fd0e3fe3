"""Cell types of many cells, span by span: what each span gives, and how spans add up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nimbus._types import FloatArray, IntArray

from .profiles import group_sums
from .rows import Values
from .typeevidence import without_scores
from .typemodel import TypeModel

NO_SCORE = -2
"""Code of cells without a score; -1 is that of cells whose type is not sure."""

SLACK = 1e-6
"""Scores may leave [0, 1] by rounding."""


@dataclass(frozen=True, slots=True, eq=False)
class ScoreSurvey:
    """Scores of a span, counted.

    Parameters
    ----------
    n_scored, n_positive
        Cells with a score, and of them those at or above the threshold, shape ``(marker,)``.
    low, high
        Smallest and largest score; infinite where there is none.
    """

    n_scored: NDArray[np.int64]
    n_positive: NDArray[np.int64]
    low: float
    high: float

    def __add__(self, other: ScoreSurvey) -> ScoreSurvey:
        return ScoreSurvey(
            self.n_scored + other.n_scored,
            self.n_positive + other.n_positive,
            min(self.low, other.low),
            max(self.high, other.high),
        )

    @property
    def in_range(self) -> bool:
        """Whether all scores are from 0 to 1."""
        return self.low >= -SLACK and self.high <= 1 + SLACK


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """Counts the scores of a span.

    Parameters
    ----------
    threshold
        Score of a positive cell, of each marker.
    undefined_below
        Values below are no scores, such as the -1 of a layer of calls; ``None``: all are.
    """

    threshold: FloatArray
    undefined_below: float | None = None

    def scores(self, values: Values) -> FloatArray:
        """Scores, NaN where there is none."""
        gone = ~np.isfinite(values)
        if self.undefined_below is not None:
            gone |= values < self.undefined_below
        return np.where(gone, np.nan, values)

    def __call__(self, values: Values) -> ScoreSurvey:
        """Survey of a span."""
        scores = self.scores(values)
        there = scores[np.isfinite(scores)]
        low, high = (there.min(), there.max()) if there.size else (np.inf, -np.inf)
        with np.errstate(invalid="ignore"):
            positive = scores >= self.threshold
        n_scored = np.isfinite(scores).sum(axis=0)
        return ScoreSurvey(n_scored, positive.sum(axis=0), float(low), float(high))


@dataclass(frozen=True, slots=True, eq=False)
class Tally:
    """Sums over the cells of each group; those of parts add up to those of the whole.

    Parameters
    ----------
    n_cells
        Cells of each group that have a score, shape ``(group,)``.
    evidence
        ``(group, rule)``.
    scores, n_scores
        Sum and number of the scores, ``(group, marker)``.
    posterior
        Of signatures, ``(group, signature)``.
    """

    n_cells: NDArray[np.int64]
    evidence: NDArray[np.float64]
    scores: NDArray[np.float64]
    n_scores: NDArray[np.float64]
    posterior: NDArray[np.float64]

    def __add__(self, other: Tally) -> Tally:
        return Tally(
            self.n_cells + other.n_cells,
            self.evidence + other.evidence,
            self.scores + other.scores,
            self.n_scores + other.n_scores,
            self.posterior + other.posterior,
        )

    def __getitem__(self, groups: IntArray) -> Tally:
        """Some of the groups."""
        return Tally(
            self.n_cells[groups],
            self.evidence[groups],
            self.scores[groups],
            self.n_scores[groups],
            self.posterior[groups],
        )


@dataclass(frozen=True, slots=True, eq=False)
class Named:
    """Types of the cells of a span.

    Parameters
    ----------
    code
        Type of each cell; -1 unsure, `NO_SCORE` without a score.
    confidence
        Probability of the likeliest type.
    of_types
        Probability of each type, ``(cell, type)``; ``None`` where it was not asked for.
    tally
        Sums over groups: those given, or types, with unsure cells last.
    """

    code: NDArray[np.int32]
    confidence: NDArray[np.float32]
    of_types: NDArray[np.float32] | None
    tally: Tally


@dataclass(frozen=True, slots=True, eq=False)
class Name:
    """Names the cells of a span.

    Parameters
    ----------
    model
        Cell types.
    look
        What is a score.
    confidence
        A type is named from this probability on.
    keep
        Whether to give the probability of each type.
    n_groups
        Number of groups; ``None`` sums over cells of a type.
    """

    model: TypeModel
    look: Look
    confidence: float
    keep: bool
    n_groups: int | None

    def __call__(self, values: Values, group: IntArray | None = None) -> Named:
        """Types of a span; `group` is the group of each cell, negative for none."""
        scores = np.clip(self.look.scores(values), 0, 1)
        evidence = self.model.evidence(scores)
        posterior = self.model.posterior(evidence)
        of_types = self.model.of_types(posterior)
        found = self.model.decide(of_types, self.confidence)
        empty = without_scores(scores)
        n_types = len(self.model.names)
        own = np.where(found.code < 0, n_types, found.code) if group is None else group
        own = np.where(empty, -1, own)
        n_groups = n_types + 1 if self.n_groups is None else self.n_groups
        tally = Tally(
            group_sums(np.ones(len(own)), own, n_groups).astype(np.int64),
            group_sums(evidence, own, n_groups),
            group_sums(np.nan_to_num(scores), own, n_groups),
            group_sums(np.isfinite(scores).astype(np.float64), own, n_groups),
            group_sums(posterior, own, n_groups),
        )
        return Named(
            np.where(empty, NO_SCORE, found.code).astype(np.int32),
            np.where(empty, np.nan, found.confidence).astype(np.float32),
            of_types.astype(np.float32) if self.keep else None,
            tally,
        )


def all_named(parts: Iterable[Named]) -> Named:
    """Spans put together, in their order."""
    every = list(parts)
    tally = every[0].tally
    for one in every[1:]:
        tally = tally + one.tally
    kept = [one.of_types for one in every if one.of_types is not None]
    return Named(
        np.concatenate([one.code for one in every]),
        np.concatenate([one.confidence for one in every]),
        np.concatenate(kept) if kept else None,
        tally,
    )
