"""Thresholds as verbs take them: a number, numbers by marker, or the key of a calibration."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

from nimbus._check import by_name, listed, require_known, require_number
from nimbus._keys import Suffix
from nimbus.data.tables import column_of

DEFAULT = 0.5
"""Score from which a cell is called positive where nothing else is said."""

Threshold = float | Mapping[str, float] | pd.Series | str


def thresholds_of(table: AnnData, threshold: Threshold, layer: str) -> NDArray[np.float64]:
    """Threshold of each column of the table; NaN where a calibration knows none.

    Raises
    ------
    TypeError
        Several numbers without names.
    ValueError
        A marker that the table does not have, or a key under which nothing was calibrated.

    Examples
    --------
    >>> table = AnnData(np.zeros((1, 2)), var={"names": ["CD3", "CD8"]})
    >>> table.var_names = table.var["names"]
    >>> thresholds_of(table, {"CD8": 0.7}, "nimbus")
    array([0.5, 0.7])
    """
    if isinstance(threshold, str):
        return calibrated_values(table, threshold, Suffix.THRESHOLD, layer)
    markers = [str(name) for name in table.var_names]
    if isinstance(threshold, Mapping | pd.Series):
        given = by_name("thresholds", threshold)
        require_known("marker", given, markers)
        return np.array([given.get(name, DEFAULT) for name in markers], dtype=np.float64)
    if np.ndim(threshold):
        raise TypeError(
            f"threshold={threshold!r} does not say which marker each number is of; give one "
            "number, or {marker: number}"
        )
    require_number("threshold", threshold)
    return np.full(len(markers), threshold, dtype=np.float64)


def calibrated_values(table: AnnData, key: str, suffix: str, layer: str) -> NDArray[np.float64]:
    """A number of each marker that :func:`nimbus.tl.calibrate` stored under `key`.

    Raises
    ------
    ValueError
        Nothing was stored there, or it belongs to other scores.
    """
    calibrated = [
        str(name)
        for name, record in table.uns.items()
        if f"{name}{suffix}" in table.var and isinstance(record, Mapping) and "layer" in record
    ]
    if key not in calibrated:
        raise ValueError(
            f"threshold={key!r} is no key of nimbus.tl.calibrate; there is {listed(calibrated)}. "
            "Run it first, or give a number or {marker: number}"
        )
    own = str(table.uns[key]["layer"])
    if own != layer:
        raise ValueError(
            f"the thresholds of {key!r} belong to the layer {own!r}, not to {layer!r}; pass "
            f"layer={own!r}"
        )
    values: NDArray[np.float64] = column_of(table.var, key + suffix).to_numpy(np.float64)
    return values
