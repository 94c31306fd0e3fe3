"""Scores and truth of a table, side by side."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

from nimbus._check import listed, one_or_more, require_known, require_once
from nimbus._keys import Layers
from nimbus._types import FloatArray, IntArray
from nimbus.data.layers import layer_names, layer_values, scores_or_labels
from nimbus.data.tables import column_of, region_column

_TOP = 0.999
"""Quantile of a marker's cells that is 1 where markers are pooled."""


@dataclass(frozen=True, slots=True, eq=False)
class JudgedTable:
    """Scores and truth; arrays of shape ``(cells, markers)``.

    Parameters
    ----------
    markers
        Names of the columns.
    score
        NaN where a cell has none.
    truth
        int8: 1 positive, 0 negative, -1 unknown.
    baseline
        Another measurement of the same, or ``None``.
    field
        Number of the field of each cell, from 0, shape ``(cells,)``.
    n_fields
        How many fields there are.
    """

    markers: tuple[str, ...]
    score: FloatArray
    truth: NDArray[np.int8]
    baseline: FloatArray | None
    field: IntArray
    n_fields: int


def judged_table(
    table: AnnData,
    *,
    layer: str,
    truth_layer: str,
    markers: str | Sequence[str] | None,
    baseline_layer: str | None,
    field_key: str | None,
) -> JudgedTable:
    """Read scores and truth; markers whose truth is unknown for every cell are left out.

    Raises
    ------
    ValueError
        Unknown layers, markers or columns, or a truth that is nowhere 0 or 1.
    """
    there = layer_names(table)
    baseline = _baseline_layer(baseline_layer, layer, there)
    require_known("layer", [layer, truth_layer, *([baseline] if baseline else [])], there)
    known = [str(name) for name in table.var_names]
    names = known if markers is None else one_or_more(markers)
    require_known("marker", names, known)
    require_once("markers of the table", known)
    require_once("markers", names)
    given = layer_values(table, truth_layer, [known.index(name) for name in names])
    truth = np.where(given == 1, 1, np.where(given == 0, 0, -1)).astype(np.int8)
    judged = np.flatnonzero((truth >= 0).any(axis=0))
    if not judged.size:
        raise ValueError(
            f"layer {truth_layer!r} holds neither 0 nor 1 for the markers {listed(names)}; a truth "
            "layer holds 1 for positive, 0 for negative and -1 for undecided cells"
        )
    names, truth = [names[k] for k in judged], truth[:, judged]
    columns = [known.index(name) for name in names]
    field, n_fields = field_numbers(table, field_key)
    values = scores_or_labels(layer_values(table, layer, columns))
    other = None if baseline is None else layer_values(table, baseline, columns)
    return JudgedTable(
        tuple(names),
        values,
        truth,
        None if other is None else scores_or_labels(other),
        field,
        n_fields,
    )


def pooled(table: JudgedTable) -> JudgedTable:
    """The same with the baseline of each marker divided by its 99.9th percentile.

    Mean intensities of different markers have different units; so one threshold can serve all.
    """
    if table.baseline is None:
        return table
    finite = [own[np.isfinite(own)] for own in table.baseline.T]
    top = np.array([np.quantile(own, _TOP) if own.size else 1.0 for own in finite])
    return replace(table, baseline=table.baseline / np.where(top > 0, top, 1.0))


def field_numbers(table: AnnData, field_key: str | None) -> tuple[IntArray, int]:
    """Number of the field of each cell, from 0, and how many fields there are.

    The column is `field_key`, or the one that names the labels of each cell, or ``"fov"``; without
    any, all cells are of one field, and a warning says so.

    Raises
    ------
    ValueError
        `field_key` is no column of ``obs``.
    """
    if field_key is not None:
        require_known("column of obs", [field_key], [str(name) for name in table.obs.columns])
    column = region_column(table) if field_key is None else field_key
    if column is None:
        warnings.warn(
            "the table has no column that names the field of each cell (region, fov), so all "
            "cells are taken as one field; pass field_key= (--field-key)",
            stacklevel=4,
        )
        return np.zeros(table.n_obs, dtype=np.int64), 1
    codes, names = pd.factorize(column_of(table.obs, column), use_na_sentinel=False)
    return codes.astype(np.int64), max(len(names), 1)


def image_numbers(table: AnnData, field: IntArray) -> IntArray:
    """Number of the image that each cell lies in, from 0; cells of different fields are apart.

    A field may span several images, as that of a patient does: places in them are no distances.
    """
    column = region_column(table)
    if column is None:
        return field
    codes, names = pd.factorize(column_of(table.obs, column), use_na_sentinel=False)
    image: IntArray = np.unique(field * max(len(names), 1) + codes, return_inverse=True)[1]
    return image


def _baseline_layer(wanted: str | None, layer: str, there: Sequence[str]) -> str | None:
    """The layer to compare with; the default one only where there is something to compare."""
    if wanted == Layers.INTEGRATED and (wanted == layer or wanted not in there):
        return None
    return wanted
