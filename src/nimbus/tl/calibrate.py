"""Verb: scores as probabilities, and thresholds, from labelled cells."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from importlib.metadata import version

import numpy as np
import pandas as pd
from anndata import AnnData
from spatialdata import SpatialData

from nimbus._check import listed
from nimbus._keys import Layers, Suffix
from nimbus.data.names import table_for_optional_key
from nimbus.metrics.curves import Method

from ._calibration import Calibrated, CalibrationSettings, calibrated
from ._labelled import (
    labelled_scores,
    read_fields,
    read_scores,
    read_truth,
    require_both_classes,
)

LOW_F1 = 0.5
"""Below this the best F1 calls cells that are likelier negative than positive by far."""


def calibrate(  # noqa: PLR0913 - the public signature
    adata: AnnData | SpatialData,
    *,
    layer: str = Layers.SCORE,
    truth_layer: str = Layers.GOLD,
    method: Method = "platt",
    shrinkage: float = 20.0,
    precision: float | None = None,
    recall: float | None = None,
    certainty: float = 0.8,
    field_key: str | None = None,
    n_folds: int = 5,
    table_key: str = "table",
    key_added: str | None = None,
    random_state: int = 0,
) -> pd.DataFrame:
    """Learn from labelled cells how likely each score is positive; add probabilities, thresholds.

    Every marker gets a curve of its own, which is shrunk to the curve of all markers together:
    labelled cells of one marker tell something of the others, and a marker with few of them, or
    none, is not left to chance.

    Parameters
    ----------
    adata
        Table with scores and labels, or the SpatialData object that holds it.
    layer
        Scores in [0, 1], ``(cells, markers)``; NaN is left out.
    truth_layer
        1 positive, 0 negative; every other value, as -1, is no label.
    method
        ``"platt"``: the logit of the probability is a line of the logit of the score; it keeps the
        order of the cells. ``"isotonic"``: any rising curve; it needs some hundred labelled cells,
        and cells of one step become equal.
    shrinkage
        As how many labelled cells of a marker the pooled curve counts.
    precision, recall
        Wanted from the thresholds: the lowest that reaches this precision, or the highest that
        reaches this recall; without both, the best F1.
    certainty
        Where neither call is right with this probability, a score is undecided.
    field_key
        Column of ``obs`` that names the field of a cell; ``None`` takes the labels it lies in. The
        errors are measured on fields that are held out.
    n_folds
        Parts that the fields are dealt to, one held out at a time.
    table_key
        Table of a SpatialData object.
    key_added
        Name of the new layer and prefix of what else is stored; ``None`` is
        ``f"{layer}_calibrated"``.
    random_state
        Seed that deals the cells to parts where there are no two fields.

    Returns
    -------
    One row for each marker: ``n_labelled``, ``n_positive``; calibration error and Brier score
    (``ece_before``, ``ece_after``, ``brier_before``, ``brier_after``) of the same cells, after
    calibration by curves that the field of the cell had no part in; ``threshold``, undecided from
    ``lower`` to below ``upper``; precision, recall and F1 to be expected of the threshold; for
    Platt's method ``slope`` and ``intercept``. Also sets:

    ``layers["nimbus_calibrated"]``
        Probabilities, float32; NaN where there is no score.
    ``var["nimbus_calibrated_threshold"]``, ``..._lower``, ``..._upper``
        In units of `layer`; :func:`nimbus.tl.call` takes them with
        ``threshold="nimbus_calibrated"``. A threshold is infinite where a wanted precision cannot
        be had.
    ``uns["nimbus_calibrated"]``
        Settings, the frame above (``"markers"``), the same of all markers together (``"pooled"``),
        and what :func:`nimbus.pl.calibration` draws.

    Raises
    ------
    ValueError
        Unknown layers or columns, scores outside [0, 1], no labelled cell, or labelled cells of
        one class only.

    Warns
    -----
    UserWarning
        Markers without labelled cells or with one class of them; a single field; a precision that
        cannot be reached; a marker whose best F1 is so low that its threshold means little.

    Notes
    -----
    A curve is fitted to the labelled cells of its marker and to `shrinkage` pseudo-cells that lie
    on the pooled curve, spread as all labelled scores are: around a score, n cells of which the
    part y is positive and k pseudo-cells on p0 give about (n y + k p0) / (n + k). See
    ``nimbus.metrics.curves.shrunk_curve`` for the sources.

    Precision, recall and F1 are expectations over *all* cells that have a score, from their
    probabilities, so that labelled cells may be chosen by their score. They must not be chosen by
    the answer: if positive ones were looked for, probabilities come out too high.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> score = rng.random((400, 1))
    >>> gold = (rng.random((400, 1)) < score**2).astype(np.int8)  # the scores promise too much
    >>> table = AnnData(np.zeros((400, 1)), layers={"nimbus": score, "gold": gold})
    >>> table.var_names, table.obs["slide"] = ["CD3"], ["a", "b", "c", "d"] * 100
    >>> report = calibrate(table, field_key="slide")
    >>> report[["marker", "n_labelled", "ece_before", "ece_after", "threshold"]].round(2)
      marker  n_labelled  ece_before  ece_after  threshold
    0    CD3         400 ...
    >>> table.layers["nimbus_calibrated"].dtype  # tl.call(table, threshold="nimbus_calibrated")
    dtype('float32')
    """
    settings = CalibrationSettings(
        method, shrinkage, precision, recall, certainty, n_folds
    ).checked()
    table = table_for_optional_key(adata, table_key, key_added)
    scores = read_scores(table, layer)
    truth = read_truth(table, truth_layer)
    field = read_fields(table, field_key, truth)
    pairs = labelled_scores(
        scores,
        truth,
        field,
        n_folds=n_folds,
        rng=np.random.default_rng(random_state),
    )
    require_both_classes(pairs, layer, truth_layer)
    result = calibrated(scores, pairs, [str(name) for name in table.var_names], settings)
    _warn(result, settings, has_fields=field is not None)
    _write(
        table,
        result,
        key_added or layer + Suffix.CALIBRATED,
        {"layer": layer, "truth_layer": truth_layer, "method": method, "aim": settings.aim()}
        | {"shrinkage": float(shrinkage), "certainty": float(certainty), "n_folds": n_folds}
        | {
            "held_out": "cells" if field is None else "fields",
            "version": version("nimbus-spatial"),
        },
    )
    return result.markers.copy()


def _warn(result: Calibrated, settings: CalibrationSettings, *, has_fields: bool) -> None:
    """Tell of what the numbers do not show; names stand with the markers' rows."""
    rows = result.markers.set_index("marker")
    n, n_positive = rows["n_labelled"], rows["n_positive"]
    single = rows.index[(n > 0) & ((n_positive == 0) | (n_positive == n))]
    told = {
        "markers without a labelled cell take the pooled curve": rows.index[n == 0],
        "markers with labelled cells of one class alone stay near the pooled curve": single,
    }
    if settings.precision is not None:
        text = f"markers of which no score reaches the precision {settings.precision:g}; no cell "
        told[text + "is called"] = rows.index[np.isinf(rows["threshold"])]
    elif settings.recall is None:
        text = f"markers whose best F1 is expected below {LOW_F1:g}; their thresholds mean little"
        told[text] = rows.index[rows["expected_f1"] < LOW_F1]
    for text, names in told.items():
        if len(names):
            warnings.warn(f"{text}: {listed(names)}", stacklevel=3)
    if not has_fields:
        warnings.warn(
            "no two fields have labels, to hold one out (pass field_key= if they have): errors "
            "after calibration are of held-out cells of the same field, and hopeful",
            stacklevel=3,
        )
    if result.n_unmeasured:
        warnings.warn(
            f"{result.n_unmeasured} labels have no part in the errors before and after "
            "calibration: the fields that were not held out with them lack a class",
            stacklevel=3,
        )


def _write(table: AnnData, result: Calibrated, key: str, record: Mapping[str, object]) -> None:
    """Layer, columns of ``var``, and the record."""
    table.layers[key] = result.probability
    columns = result.markers.set_index("marker").reindex(table.var_names)
    for suffix in (Suffix.THRESHOLD, Suffix.LOWER, Suffix.UPPER):
        table.var[key + suffix] = columns[suffix.removeprefix("_")].to_numpy(dtype=np.float64)
    markers = result.markers.copy()
    markers.index = markers.index.astype(str)  # what AnnData writes, so that reading gives it back
    table.uns[key] = {
        **record,
        "markers": markers,
        "pooled": result.pooled,
        "reliability": result.reliability,
        "curves": result.curves,
    }
