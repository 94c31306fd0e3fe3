"""Verb: labels from two components of the logarithm of the intensities."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData
from spatialdata import SpatialData

from nimbus._check import listed, require_known, require_number
from nimbus._keys import Layers
from nimbus._types import FloatArray, IntArray
from nimbus.core.mixture import fit_mixture
from nimbus.data.names import table_for_key
from nimbus.data.tables import column_of

from ._labels import chosen_markers, marker_names, undefined_labels, values_of, write_labels
from .threshold_labels import gated

MIN_CELLS = 50
"""Cells with signal below which no mixture is fitted."""


def mixture_labels(
    adata: AnnData | SpatialData,
    *,
    layer: str = Layers.INTEGRATED,
    markers: str | Sequence[str] | None = None,
    confidence: float = 0.9,
    min_separation: float = 2.0,
    by: str | None = None,
    table_key: str = "table",
    key_added: str = Layers.SILVER,
) -> None:
    """Add the layer ``"silver"`` where there is nothing else: bright cells and dark ones.

    The logarithm of each marker's intensities is taken apart into two normal components. Cells that
    are surely of the upper one are positive, those surely of the lower one negative. Before the
    logarithm the median of the intensities above 0 is added: what differs below it is noise, and
    cells without any signal count too. These labels know nothing but the intensity, so no score can
    be shown to beat it on them.

    Parameters
    ----------
    adata
        Table with intensities, or the SpatialData object that holds it.
    layer
        Intensities ``(cells, markers)``.
    markers
        Markers to label; ``None`` takes all.
    confidence
        Probability of its component from which on a cell gets a label, 0.5 to 1.
    min_separation
        Markers whose components lie closer get no label: distance of the means in standard
        deviations (Ashman's D; from 2 on the two are cleanly apart). Nor do markers whose upper
        component is but a bump on the lower one, so that a cell at its mean is not surely of it.
    by
        Column of ``obs``, e.g. of fields or batches, whose groups are fitted apart; ``None`` fits
        all cells together.
    table_key
        Table of a SpatialData object.
    key_added
        Name of the layer.

    Returns
    -------
    None. Sets ``layers[key_added]``, int8 ``(cells, markers)``: 1 positive, 0 negative, -1
    undefined. ``uns[key_added]["fits"]`` has a row for each marker and group: number of cells above
    0, share of the upper component, where both have their means, the separation, below which
    intensity cells are negative and from which on they are positive (NaN for a marker without
    labels), and why there are none.

    Raises
    ------
    ValueError
        An unknown layer, marker or column, or settings outside their range.

    Warns
    -----
    UserWarning
        Markers that got no label, and why.

    Examples
    --------
    >>> dark, bright = np.geomspace(1, 8, 80), np.geomspace(30, 240, 40)
    >>> table = AnnData(np.concatenate([dark, bright, [12.0]])[:, None])
    >>> table.layers["integrated"] = table.X
    >>> mixture_labels(table)
    >>> table.layers["silver"].ravel()[[0, -2, -1]]
    array([ 0,  1, -1], dtype=int8)
    """
    table = table_for_key(adata, table_key, key_added)
    require_number("confidence", confidence)
    require_number("min_separation", min_separation)
    if not 0.5 <= confidence < 1:
        raise ValueError(f"confidence is a probability from 0.5 to below 1, not {confidence}")
    there, chosen = marker_names(table), chosen_markers(table, markers)
    values = values_of(table, layer, chosen).astype(np.float64)
    groups = _groups(table, by)
    labels, fits = undefined_labels(table), []
    for k, name in enumerate(chosen):
        for group, rows in groups.items():
            own = values[rows, k]
            fit = _fit(own, confidence, min_separation)
            fits.append((name, group, *fit.row()))
            if not fit.refused:
                labels[rows, there.index(name)] = gated(own, fit.negative_below, fit.positive_from)
    record = pd.DataFrame(fits, columns=["marker", "group", *_COLUMNS])
    _warn_of_refused(record)
    settings = {"layer": layer, "confidence": confidence, "min_separation": min_separation}
    write_labels(
        table, labels, key_added=key_added, record={"method": "mixture", **settings, "fits": record}
    )


_COLUMNS = [
    "n_with_signal",
    "share_high",
    "mean_low",
    "mean_high",
    "separation",
    "negative_below",
    "positive_from",
    "refused",
]


@dataclass(frozen=True, slots=True)
class _Fit:
    """The components of one marker in one group, and where cells get a label."""

    n_with_signal: int
    share_high: float = math.nan
    mean_low: float = math.nan
    mean_high: float = math.nan
    separation: float = math.nan
    negative_below: float = math.nan
    positive_from: float = math.nan
    refused: str = ""

    def row(self) -> list[object]:
        """Values in the order of the columns."""
        return [getattr(self, name) for name in _COLUMNS]


def _fit(values: FloatArray, confidence: float, min_separation: float) -> _Fit:
    known = np.maximum(values[np.isfinite(values)], 0)
    signal = known[known > 0]
    if signal.size < MIN_CELLS or known.min() == known.max():
        return _Fit(signal.size, refused=f"fewer than {MIN_CELLS} cells with signal that differs")
    offset = float(np.median(signal))
    fit = fit_mixture(np.log(known + offset))
    low, high = (math.exp(mean) - offset for mean in fit.means)
    found = (signal.size, fit.weight, low, high, fit.separation)
    if not fit.is_apart(separation=min_separation, confidence=confidence):
        return _Fit(*found, refused="the components are not apart")
    below, above = (math.exp(fit.cut(p)) - offset for p in (1 - confidence, confidence))
    return _Fit(*found, negative_below=below, positive_from=above)


def _groups(table: AnnData, by: str | None) -> dict[str, IntArray]:
    """Rows of each group."""
    if by is None:
        return {"all": np.arange(table.n_obs)}
    require_known("obs column", [by], [str(name) for name in table.obs])
    codes, names = pd.factorize(column_of(table.obs, by))
    return {str(name): np.flatnonzero(codes == number) for number, name in enumerate(names)}


def _warn_of_refused(record: pd.DataFrame) -> None:
    for why, rows in record[record["refused"] != ""].groupby("refused"):
        names = list(dict.fromkeys(rows["marker"]))
        warnings.warn(
            f"no labels for {listed(names)}: {why} (see uns, 'fits')",
            stacklevel=3,
        )
