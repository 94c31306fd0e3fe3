"""Verb: labels from a threshold for each marker, as of manual gates."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from spatialdata import SpatialData

from nimbus._check import by_name, require_known
from nimbus._keys import Layers
from nimbus._types import FloatArray
from nimbus.data.names import table_for_key

from ._labels import marker_names, undefined_labels, values_of, write_labels

Threshold = float | tuple[float, float]
"""Positive from it upwards; of two: negative below the first, positive from the second upwards."""


def threshold_labels(
    adata: AnnData | SpatialData,
    thresholds: Mapping[str, Threshold],
    *,
    layer: str = Layers.INTEGRATED,
    table_key: str = "table",
    key_added: str = Layers.SILVER,
) -> None:
    """Add the layer ``"silver"``: positive where the intensity reaches the marker's threshold.

    Parameters
    ----------
    adata
        Table with intensities, or the SpatialData object that holds it.
    thresholds
        ``{marker: threshold}`` in the units of `layer`. A pair ``(low, high)`` leaves a gap: cells
        below `low` are negative, from `high` upwards positive, between them undefined.
    layer
        Intensities ``(cells, markers)``.
    table_key
        Table of a SpatialData object.
    key_added
        Name of the layer.

    Returns
    -------
    None. Sets ``layers[key_added]``, int8 ``(cells, markers)``: 1 positive, 0 negative, -1
    undefined, as markers without a threshold and cells without an intensity are; and
    ``uns[key_added]``.

    Raises
    ------
    ValueError
        No threshold, an unknown layer or marker, a threshold that is no number, or a pair the wrong
        way round.

    Examples
    --------
    >>> table = AnnData(np.zeros((3, 2)), layers={"integrated": np.array([[1, 9], [5, 9], [8, 9]])})
    >>> table.var_names = ["CD3", "DAPI"]
    >>> threshold_labels(table, {"CD3": (2, 6)})
    >>> table.layers["silver"]
    array([[ 0, -1],
           [-1, -1],
           [ 1, -1]], dtype=int8)
    """
    table = table_for_key(adata, table_key, key_added)
    markers = marker_names(table)
    given = by_name("thresholds", thresholds)
    if not given:
        raise ValueError("thresholds is empty; give {marker: threshold} for at least one marker")
    require_known("marker", given, markers)
    cuts = {name: _cut(name, cut) for name, cut in given.items()}
    labels = undefined_labels(table)
    values = values_of(table, layer, list(cuts))
    for k, (name, (low, high)) in enumerate(cuts.items()):
        labels[:, markers.index(name)] = gated(values[:, k], low, high)
    record = pd.DataFrame(
        [(name, low, high) for name, (low, high) in cuts.items()],
        columns=["marker", "negative_below", "positive_from"],
    )
    write_labels(
        table,
        labels,
        key_added=key_added,
        record={"method": "thresholds", "layer": layer, "thresholds": record},
    )


def gated(values: FloatArray, low: float, high: float) -> NDArray[np.int8]:
    """1 from `high` upwards, 0 below `low`, -1 between them and where there is no value.

    Examples
    --------
    >>> gated(np.array([1.0, 2.0, 3.0, np.nan]), 2.0, 3.0)
    array([ 0, -1,  1, -1], dtype=int8)
    """
    return np.select([values >= high, values < low], [1, 0], -1).astype(np.int8)


def _cut(marker: str, given: Threshold) -> tuple[float, float]:
    ends = given if isinstance(given, (tuple, list)) else (given, given)
    numbers = len(ends) == 2 and all(isinstance(end, Real) for end in ends)
    if not (numbers and ends[0] <= ends[1]):  # nor is NaN
        raise ValueError(
            f"threshold of {marker!r} is {given!r}; give a number, or (low, high) with low <= high"
        )
    return float(ends[0]), float(ends[1])
