"""The work of :func:`nimbus.tl.calibrate` on arrays: curves, thresholds, errors, as frames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nimbus._check import require_number, require_whole
from nimbus._keys import ALL_MARKERS
from nimbus._types import BoolArray, FloatArray
from nimbus.metrics.calibration import (
    LabelledScores,
    brier,
    cross_fitted,
    fit_curves,
    reliability,
)
from nimbus.metrics.curves import Curve, IsotonicCurve, Method, PlattCurve
from nimbus.metrics.thresholds import (
    Cut,
    best_cut,
    cut_for_precision,
    cut_for_recall,
    undecided_band,
)

BEFORE, AFTER = "before", "after"

N_CURVE_POINTS = 201
"""Points of a line that is kept to be drawn."""


@dataclass(frozen=True, slots=True)
class CalibrationSettings:
    """Settings of a calibration; see :func:`nimbus.tl.calibrate`."""

    method: Method
    shrinkage: float
    precision: float | None
    recall: float | None
    certainty: float
    n_folds: int

    def checked(self) -> CalibrationSettings:
        """The settings themselves.

        Raises
        ------
        TypeError
            One is no number.
        ValueError
            One is outside its range, or two exclude each other.
        """
        self._require_numbers()
        if self.method not in get_args(Method):
            raise ValueError(f"method={self.method!r} is not one of {get_args(Method)}")
        if self.precision is not None and self.recall is not None:
            raise ValueError("give precision= or recall=, not both: one follows from the other")
        for name in ("precision", "recall"):
            value = getattr(self, name)
            if value is not None and not 0 < value <= 1:
                raise ValueError(f"{name}={value!r} is not above 0 and at most 1")
        if not 0.5 < self.certainty < 1:
            raise ValueError(f"certainty={self.certainty!r} is not between 0.5 and 1")
        if not 0 < self.shrinkage < float("inf"):
            raise ValueError(f"shrinkage={self.shrinkage!r} is not a number of cells above 0")
        if self.n_folds < 2:
            raise ValueError(f"n_folds={self.n_folds!r} is below 2: nothing would be held out")
        return self

    def _require_numbers(self) -> None:
        for name in ("precision", "recall", "certainty", "shrinkage"):
            value = getattr(self, name)
            if value is not None or name in ("certainty", "shrinkage"):
                require_number(name, value)
        require_whole("n_folds", self.n_folds)

    def aim(self) -> str:
        """What the thresholds were chosen for."""
        for name in ("precision", "recall"):
            value = getattr(self, name)
            if value is not None:
                return f"{name} {value:g}"
        return "best F1"

    def cut(self, score: FloatArray, probability: FloatArray) -> Cut:
        """The threshold of one marker."""
        if self.precision is not None:
            return cut_for_precision(score, probability, self.precision)
        if self.recall is not None:
            return cut_for_recall(score, probability, self.recall)
        return best_cut(score, probability)


@dataclass(frozen=True, slots=True, eq=False)
class Calibrated:
    """All that a calibration gives.

    Parameters
    ----------
    probability
        ``(cells, markers)``.
    markers
        One row for each marker that has a score: thresholds and errors.
    pooled
        The same numbers of all markers together.
    reliability
        Cells in bins, before and after, for each marker and all.
    curves
        Points of each curve.
    n_unmeasured
        Labels without a held-out probability, because the other fields lack a class.
    """

    probability: NDArray[np.float32]
    markers: pd.DataFrame
    pooled: dict[str, float]
    reliability: pd.DataFrame
    curves: pd.DataFrame
    n_unmeasured: int


def calibrated(
    scores: FloatArray, pairs: LabelledScores, names: Sequence[str], settings: CalibrationSettings
) -> Calibrated:
    """Fit on all pairs; measure the error of what was fitted without the fold of each pair."""
    n_markers = len(names)
    method, shrinkage = settings.method, settings.shrinkage
    curves = fit_curves(pairs, n_markers=n_markers, method=method, shrinkage=shrinkage)
    held_out = cross_fitted(pairs, n_markers=n_markers, method=method, shrinkage=shrinkage)
    by_name = dict(zip([ALL_MARKERS, *names], [curves.pooled, *curves.markers], strict=True))
    groups = _groups(pairs, names)
    errors = {name: _errors(pairs, held_out, own) for name, own in groups.items()}
    probability = np.full(scores.shape, np.nan, dtype=np.float32)
    rows: list[dict[str, object]] = []
    for column, (name, curve) in enumerate(zip(names, curves.markers, strict=True)):
        values = curve(scores[:, column])
        probability[:, column] = values
        kept = np.isfinite(values)
        if kept.any():
            cut = settings.cut(scores[kept, column], values[kept])
            limits = _limits(cut, curve, settings)
            rows.append({"marker": name, **errors[name], **limits, **_line(curve)})
    return Calibrated(
        probability=probability,
        markers=pd.DataFrame(rows),
        pooled=errors[ALL_MARKERS] | _line(curves.pooled),
        reliability=_reliability(pairs, held_out, groups),
        curves=_points(by_name),
        n_unmeasured=int(np.isnan(held_out).sum()),
    )


def _groups(pairs: LabelledScores, names: Sequence[str]) -> dict[str, BoolArray]:
    """Pairs of all markers, then of each."""
    every = {ALL_MARKERS: np.ones(pairs.score.shape, dtype=bool)}
    return every | {name: pairs.marker == k for k, name in enumerate(names)}


def _errors(pairs: LabelledScores, held_out: FloatArray, own: BoolArray) -> dict[str, float]:
    """Numbers of labelled cells, and the errors of scores and of held-out probabilities.

    Both errors are of the cells that were held out, so that they can be compared.
    """
    measured = own & np.isfinite(held_out)
    out: dict[str, float] = {
        "n_labelled": int(own.sum()),
        "n_positive": int(pairs.positive[own].sum()),
    }
    for when, values in ((BEFORE, pairs.score), (AFTER, held_out)):
        bins = reliability(values[measured], pairs.positive[measured])
        out[f"ece_{when}"] = bins.expected_calibration_error
        out[f"brier_{when}"] = brier(values[measured], pairs.positive[measured])
    return out


def _limits(cut: Cut, curve: Curve, settings: CalibrationSettings) -> dict[str, float]:
    """Threshold, band, and what is to be expected of the threshold."""
    band = undecided_band(curve, certainty=settings.certainty)
    return {
        "threshold": cut.threshold,
        "lower": band.lower,
        "upper": band.upper,
        "expected_precision": cut.precision,
        "expected_recall": cut.recall,
        "expected_f1": cut.f1,
    }


def _line(curve: Curve) -> dict[str, float]:
    """Slope and intercept, where the curve has them."""
    if isinstance(curve, PlattCurve):
        return {"slope": curve.slope, "intercept": curve.intercept}
    return {}


def _reliability(
    pairs: LabelledScores, held_out: FloatArray, groups: Mapping[str, BoolArray]
) -> pd.DataFrame:
    """One row for each group, moment and bin that holds a cell."""
    frames = []
    for name, own in groups.items():
        for when, values in ((BEFORE, pairs.score), (AFTER, held_out)):
            bins = reliability(values[own], pairs.positive[own])
            frame = pd.DataFrame(
                {
                    "marker": name,
                    "when": when,
                    "low": bins.edges[:-1],
                    "high": bins.edges[1:],
                    "n_cells": bins.n_cells,
                    "n_positive": bins.n_positive,
                    "mean": bins.mean,
                    "observed": bins.observed,
                }
            )
            frames.append(frame[frame["n_cells"] > 0])
    return _numbered(pd.concat(frames, ignore_index=True))


def _points(curves: Mapping[str, Curve]) -> pd.DataFrame:
    """Points of each curve: an isotonic one is straight between them, a line is sampled."""
    frames = []
    for name, curve in curves.items():
        score = np.linspace(0.0, 1.0, N_CURVE_POINTS)
        if isinstance(curve, IsotonicCurve):
            score = curve.score
        frames.append(pd.DataFrame({"marker": name, "score": score, "probability": curve(score)}))
    return _numbered(pd.concat(frames, ignore_index=True))


def _numbered(frame: pd.DataFrame) -> pd.DataFrame:
    frame.index = frame.index.astype(str)  # what AnnData writes, so that reading gives it back
    return frame
