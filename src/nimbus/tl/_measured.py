"""Measures of a group, their averages, and the rows they become."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nimbus._keys import MACRO_AVERAGE
from nimbus._types import BoolArray, FloatArray
from nimbus.metrics.fieldwise import AREAS, BEST, JudgedCells, areas_of, best_rates, rates_at
from nimbus.metrics.resampling import interval, mean_of

from ._groups import Group
from ._judged import JudgedTable

BASELINE, GAIN = "baseline_", "_gain"

GAINS = {**{name: BASELINE + name for name in AREAS}, "f1": f"{BASELINE}{BEST}f1"}
"""Measures that are compared with one of the baseline."""


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """All that is known of one group.

    Parameters
    ----------
    key
        One value for each name of `by`.
    counts
        Numbers of pairs of cell and marker.
    fields
        Which fields hold some of them, ``(fields,)``.
    thresholds
        Where cells are called positive.
    values
        Measures by name: of all fields, then of each resample.
    """

    key: tuple[object, ...]
    counts: Mapping[str, int]
    fields: BoolArray
    thresholds: Mapping[str, float]
    values: Mapping[str, NDArray[np.float64]]

    def row(self, by: Sequence[str], *, confidence: float) -> dict[str, object]:
        """The row of the result."""
        row: dict[str, object] = dict(zip(by, self.key, strict=True))
        row |= {"n_fields": int(self.fields.sum()), **self.counts, **self.thresholds}
        several = self.fields.sum() > 1
        for name, values in self.values.items():
            row[name] = float(values[0])
            if values.size > 1:
                ends = interval(values, confidence=confidence) if several else (np.nan, np.nan)
                row[f"{name}_low"], row[f"{name}_high"] = ends
        return row


def measured(
    table: JudgedTable, group: Group, weights: FloatArray, cuts: FloatArray
) -> Measured | None:
    """Measures of a group; ``None`` where no truth is known.

    Parameters
    ----------
    table
        Scores and truth.
    group
        What is measured.
    weights
        How often each field counts, ``(resamples, fields)``.
    cuts
        Score from which a cell is called, ``(markers,)``; where it is NaN, cells are left out.
    """
    at = np.ix_(group.rows, group.columns)
    known = table.truth[at] >= 0
    if not known.any():
        return None
    layers = [table.score] if table.baseline is None else [table.score, table.baseline]
    numbers = [layer[at].astype(np.float64) for layer in layers]
    cut = cuts[group.columns]
    kept = known & np.isfinite(numbers).all(axis=0) & ~np.isnan(cut)
    field = np.broadcast_to(table.field[group.rows, None], kept.shape)[kept]
    present, own_field = np.unique(field, return_inverse=True)
    cells = [JudgedCells(own[kept], table.truth[at][kept] == 1, own_field) for own in numbers]
    called = (numbers[0] >= cut)[kept]
    thresholds, values = _compared(cells, called, weights[:, present])
    common = np.unique(cut)
    return Measured(
        key=group.key,
        counts={
            "n_cells": int(kept.sum()),
            "n_positive": int(cells[0].positive.sum()),
            "n_missing": int((known & ~kept).sum()),
        },
        fields=np.isin(np.arange(weights.shape[1]), present),
        thresholds={"threshold": float(common[0]) if common.size == 1 else np.nan, **thresholds},
        values=values,
    )


def macro_averages(groups: Sequence[Measured], n_keys: int) -> Iterator[Measured]:
    """Means over the last name of `by`, then of these over the name before, and so on.

    So each data set counts alike, however many markers it has. Every average is taken in each
    resample, and its interval is that of the average.
    """
    level = list(groups)
    for n_kept in reversed(range(n_keys)):
        parts: dict[tuple[object, ...], list[Measured]] = {}
        for group in level:
            parts.setdefault(group.key[:n_kept], []).append(group)
        level = [
            _mean(own, (*key, *[MACRO_AVERAGE] * (n_keys - n_kept))) for key, own in parts.items()
        ]
        yield from level


def _compared(
    cells: Sequence[JudgedCells], called: BoolArray, weights: FloatArray
) -> tuple[dict[str, float], dict[str, NDArray[np.float64]]]:
    """Thresholds and measures of the scores and, where there is a second, of the baseline."""
    best, at_best = best_rates(cells[0], weights)
    thresholds = {"best_threshold": best}
    values = rates_at(cells[0], called, weights) | areas_of(cells[0], weights) | at_best
    for other in cells[1:]:
        best, at_best = best_rates(other, weights)
        thresholds[BASELINE + "best_threshold"] = best
        of_other = areas_of(other, weights) | at_best
        values |= {BASELINE + name: own for name, own in of_other.items()}
        values |= {name + GAIN: values[name] - values[than] for name, than in GAINS.items()}
    return thresholds, values


def _mean(groups: Sequence[Measured], key: tuple[object, ...]) -> Measured:
    first = groups[0]
    cuts = {group.thresholds["threshold"] for group in groups}
    return Measured(
        key=key,
        counts={name: sum(group.counts[name] for group in groups) for name in first.counts},
        fields=np.any([group.fields for group in groups], axis=0),
        thresholds={
            name: cuts.copy().pop() if name == "threshold" and len(cuts) == 1 else np.nan
            for name in first.thresholds
        },
        values={name: mean_of([group.values[name] for group in groups]) for name in first.values},
    )
