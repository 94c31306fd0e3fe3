"""Verb: how good scores are, where the truth is known."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from anndata import AnnData
from spatialdata import SpatialData

from nimbus._check import one_or_more, require_number, require_whole
from nimbus._keys import Layers
from nimbus._types import FloatArray
from nimbus.data.tables import obs_of, table_of
from nimbus.metrics.resampling import field_weights

from ._groups import MARKER, groups_of, require_columns
from ._judged import JudgedTable, judged_table, pooled
from ._measured import macro_averages, measured
from ._thresholds import DEFAULT, Threshold, thresholds_of


def evaluate(  # noqa: PLR0913 - the public signature
    adata: AnnData | SpatialData,
    *,
    layer: str = Layers.SCORE,
    truth_layer: str = Layers.GOLD,
    by: str | Sequence[str] = (MARKER,),
    baseline_layer: str | None = Layers.INTEGRATED,
    markers: str | Sequence[str] | None = None,
    threshold: Threshold = DEFAULT,
    macro_average: bool = False,
    field_key: str | None = None,
    n_boot: int = 1000,
    confidence: float = 0.95,
    random_state: int = 0,
    table_key: str = "table",
) -> pd.DataFrame:
    """Table of precision, recall, F1 and more, per marker or any group of cells.

    Parameters
    ----------
    adata
        Table with scores and truth, or the SpatialData object that holds it. It is not changed.
    layer
        Scores ``(cells, markers)``; or labels, e.g. ``"silver"``, to be compared with better ones.
    truth_layer
        1 for positive and 0 for negative cells; others are left out.
    by
        What is measured apart: ``"marker"`` and columns of ``obs`` (data set, tissue, cell type).
        Without ``"marker"`` all markers are pooled.
    baseline_layer
        What the scores are compared with, at its own best threshold. ``None``, or
        ``"integrated"`` where the table has no such layer, compares with nothing. Where markers
        are pooled, each is divided by its 99.9th percentile over the table first.
    markers
        Markers to measure; ``None`` takes all whose truth is known for some cell.
    threshold
        Score from which a cell is called positive: one for all markers; ``{marker: threshold}``,
        where markers that are not named get 0.5; or the key of :func:`nimbus.tl.calibrate`.
    macro_average
        Also give means over the groups, as rows of ``"macro average"``: over the last name of
        `by`, then over the one before. With ``by=("dataset",)`` that is how the paper sums up:
        pooled within each data set, then averaged over data sets.
    field_key
        Column of ``obs`` that names the field of a cell; ``None`` takes the labels it lies in.
    n_boot
        Resamples of fields for the intervals; 0 gives none.
    confidence
        Part of the resamples within an interval.
    random_state
        Seed of the resamples.
    table_key
        Table of a SpatialData object.

    Returns
    -------
    One row for each group, with

    - the columns of `by`, ``n_fields``, and ``n_cells``, ``n_positive``, ``n_missing``: pairs of
      cell and marker of known truth that were measured, are positive, or were left out because
      the score (or the baseline) is NaN;
    - ``precision``, ``recall``, ``specificity``, ``f1``, ``accuracy`` at ``threshold``;
    - ``auroc`` and ``average_precision``, which need no threshold;
    - the rates at ``best_threshold``, where F1 is largest: ``best_precision`` and so on. That
      threshold was found on the same cells, which flatters;
    - the same of the baseline, but for rates at `threshold`: ``baseline_auroc``,
      ``baseline_best_f1`` and so on; ``auroc_gain``, ``average_precision_gain``, and ``f1_gain``,
      the F1 at `threshold` less the best of the baseline;
    - of each measure the ends of its interval, ``f1_low`` and ``f1_high``. Fields are resampled,
      not cells: cells of one field resemble each other. With fewer than two fields there is none,
      and with fewer than about five it is too narrow.

    A measure that is not defined is NaN, such as the AUROC where all cells are positive.

    Raises
    ------
    ValueError
        Unknown layers, markers or columns; a truth that is nowhere known; numbers out of range.

    Examples
    --------
    >>> table = AnnData(
    ...     np.zeros((4, 1)),
    ...     obs=pd.DataFrame({"fov": ["a", "a", "b", "b"]}, index=list("1234")),
    ...     var=pd.DataFrame(index=["CD3"]),
    ...     layers={
    ...         "nimbus": np.array([[0.9], [0.2], [0.6], [0.7]]),
    ...         "gold": np.array([[1], [0], [0], [1]], dtype=np.int8),
    ...     },
    ... )
    >>> metrics = evaluate(table)
    >>> metrics[["marker", "n_cells", "precision", "recall", "f1", "auroc"]].round(2)
      marker  n_cells  precision  recall   f1  auroc
    0    CD3        4       0.67     1.0  0.8    1.0
    """
    table = table_of(adata, table_key)
    names = one_or_more(by)
    obs = obs_of(table)
    require_columns(obs, names)
    _require_numbers(n_boot, confidence)
    judged = judged_table(
        table,
        layer=layer,
        truth_layer=truth_layer,
        markers=markers,
        baseline_layer=baseline_layer,
        field_key=field_key,
    )
    if MARKER not in names:
        judged = pooled(judged)
    cuts = thresholds_of(table, threshold, layer)[table.var_names.get_indexer(list(judged.markers))]
    weights = _weights(judged, n_boot, np.random.default_rng(random_state))
    parts = (
        measured(judged, group, weights, cuts) for group in groups_of(obs, judged.markers, names)
    )
    groups = [part for part in parts if part is not None]
    if macro_average:
        groups += macro_averages(groups, len(names))
    return pd.DataFrame([group.row(names, confidence=confidence) for group in groups])


def _weights(judged: JudgedTable, n_boot: int, rng: np.random.Generator) -> FloatArray:
    """How often each field counts: those drawn are the ones that somebody judged."""
    own = np.unique(judged.field[(judged.truth >= 0).any(axis=1)])
    weights = np.zeros((1 + n_boot, judged.n_fields))
    weights[:, own] = field_weights(own.size, n_boot, rng)
    return weights


def _require_numbers(n_boot: int, confidence: float) -> None:
    require_whole("n_boot", n_boot)
    require_number("confidence", confidence)
    if n_boot < 0:
        raise ValueError(f"n_boot is a number of resamples, at least 0, not {n_boot}")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is a part between 0 and 1, such as 0.95, not {confidence}")
