"""Scores, labels and fields of a table, for verbs that learn from labelled cells."""

from __future__ import annotations

import numpy as np
from anndata import AnnData

from nimbus._check import require_known, require_once
from nimbus._types import AnyArray, FloatArray, IntArray
from nimbus.data.layers import layer_names, layer_values, require_scores
from nimbus.metrics.calibration import LabelledScores, folds_of

from ._judged import field_numbers


def read_scores(table: AnnData, layer: str) -> FloatArray:
    """Scores of all markers, dense, ``(cells, markers)``.

    Raises
    ------
    ValueError
        There is no such layer, it holds numbers outside [0, 1], or two markers share a name.
    """
    require_once("markers of the table", table.var_names)
    scores: FloatArray = _read(table, layer)
    require_scores(scores, layer)
    return scores


def read_truth(table: AnnData, truth_layer: str) -> AnyArray:
    """Labels of all markers, dense, ``(cells, markers)``."""
    return _read(table, truth_layer)


def read_fields(table: AnnData, field_key: str | None, truth: AnyArray) -> IntArray | None:
    """Number of each cell's field; ``None`` where all labelled cells are of one.

    Raises
    ------
    ValueError
        There is no such column.
    """
    field, _ = field_numbers(table, field_key)
    labelled = ((truth == 0) | (truth == 1)).any(axis=1)
    return field if np.unique(field[labelled]).size > 1 else None


def labelled_scores(
    scores: FloatArray,
    truth: AnyArray,
    field: IntArray | None,
    *,
    n_folds: int,
    rng: np.random.Generator,
) -> LabelledScores:
    """Pairs of cell and marker that have a score and a label.

    Fields are dealt to folds as a whole; where there are none, cells are, at random.
    """
    cell, marker = np.nonzero(np.isfinite(scores) & ((truth == 0) | (truth == 1)))
    if field is not None:
        fold = folds_of(field[cell], n_folds=n_folds)
    else:
        fold = rng.permutation(scores.shape[0])[cell] % n_folds
    score = scores[cell, marker].astype(np.float64)
    return LabelledScores(score, truth[cell, marker] == 1, marker, fold)


def require_both_classes(pairs: LabelledScores, layer: str, truth_layer: str) -> None:
    """Raise ``ValueError`` where nothing is labelled, or all labels are the same."""
    n = pairs.score.size
    if not n:
        raise ValueError(
            f"layer {truth_layer!r} labels no cell that has a score in {layer!r}: there is no 1 "
            "and no 0; label some cells, or pass truth_layer="
        )
    if not pairs.has_both_classes:
        which = "positive" if pairs.positive.all() else "negative"
        raise ValueError(
            f"all {n} labels in layer {truth_layer!r} are {which}; calibration needs cells of "
            "both classes, of any marker"
        )


def _read(table: AnnData, layer: str) -> AnyArray:
    require_known("layer", [layer], layer_names(table))
    return layer_values(table, layer, list(range(table.n_vars)))
