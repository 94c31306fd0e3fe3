"""Verb: positive or negative."""

from __future__ import annotations

import numpy as np
from anndata import AnnData
from numpy.typing import NDArray
from spatialdata import SpatialData

from nimbus._check import require_known
from nimbus._keys import Layers, Suffix
from nimbus.data.layers import layer_names, layer_values, require_scores
from nimbus.data.names import table_for_optional_key

from ._thresholds import DEFAULT, Threshold, calibrated_values, thresholds_of

UNDEFINED = -1
"""Call of a score that is NaN, or that calibration found too unsure."""


def call(
    adata: AnnData | SpatialData,
    *,
    layer: str = Layers.SCORE,
    threshold: Threshold = DEFAULT,
    abstain: bool = False,
    table_key: str = "table",
    key_added: str | None = None,
) -> None:
    """Add the layer ``"nimbus_positive"``: 1 where the score reaches the threshold, else 0.

    Parameters
    ----------
    adata
        Table with scores, or the SpatialData object that holds it.
    layer
        Scores in [0, 1], ``(cells, markers)``.
    threshold
        One for all markers; or ``{marker: threshold}`` or a series by marker, where markers that
        are not named get 0.5 and an infinite one calls no cell; or the key of
        :func:`nimbus.tl.calibrate` (``"nimbus_calibrated"``), which takes the thresholds found
        there.
    abstain
        Call no cell whose score lies in the undecided band of its marker; it needs the key of
        :func:`nimbus.tl.calibrate` as `threshold`. Where the threshold lies outside the band, the
        cells between the two are not called either.
    table_key
        Table of a SpatialData object.
    key_added
        Name of the new layer; ``None`` is ``f"{layer}_positive"``.

    Returns
    -------
    None. Sets ``layers[key_added]``: int8, 1 positive, 0 negative, -1 where the score is NaN or,
    with `abstain`, undecided.

    Raises
    ------
    TypeError
        Several thresholds without names.
    ValueError
        An unknown layer, marker or key, or a threshold or score outside [0, 1].

    Examples
    --------
    >>> table = AnnData(np.zeros((2, 2)), layers={"nimbus": np.array([[0.9, 0.5], [0.1, np.nan]])})
    >>> call(table)
    >>> table.layers["nimbus_positive"]
    array([[ 1,  1],
           [ 0, -1]], dtype=int8)
    """
    table = table_for_optional_key(adata, table_key, key_added)
    require_known("layer", [layer], layer_names(table))
    scores = layer_values(table, layer, list(range(table.n_vars)))
    require_scores(scores, layer)
    cut = thresholds_of(table, threshold, layer)
    if not isinstance(threshold, str):
        _require_scores(cut, threshold)
    undefined = np.isnan(scores) | np.isnan(cut)
    if abstain:
        undefined |= _unsure(table, scores, cut, threshold, layer)
    positive = np.where(undefined, UNDEFINED, scores >= cut).astype(np.int8)
    table.layers[key_added or layer + Suffix.POSITIVE] = positive


def _require_scores(cut: NDArray[np.float64], given: object) -> None:
    if not ((cut >= 0) & ((cut <= 1) | (cut == np.inf))).all():
        raise ValueError(f"thresholds are scores between 0 and 1, not {given}")


def _unsure(
    table: AnnData,
    scores: NDArray[np.floating],
    cut: NDArray[np.float64],
    key: object,
    layer: str,
) -> NDArray[np.bool_]:
    """Cells in the undecided band, widened to the threshold."""
    if not isinstance(key, str):
        raise ValueError(
            "abstain=True takes the undecided band of nimbus.tl.calibrate; pass its key, as in "
            "threshold='nimbus_calibrated'"
        )
    lower, upper = (
        calibrated_values(table, key, end, layer) for end in (Suffix.LOWER, Suffix.UPPER)
    )
    inside: NDArray[np.bool_] = (scores >= np.minimum(lower, cut)) & (
        scores < np.maximum(upper, cut)
    )
    return inside
