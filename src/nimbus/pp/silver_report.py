"""Report: which markers' labels disagree with the intensities."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from anndata import AnnData
from spatialdata import SpatialData

from nimbus._check import require_number
from nimbus._keys import Layers
from nimbus._types import AnyArray, FloatArray
from nimbus.data.tables import table_of
from nimbus.metrics.positivity import auroc

from ._labels import chosen_markers, values_of


def silver_report(
    adata: AnnData | SpatialData,
    *,
    layer: str = Layers.SILVER,
    reference: str = Layers.INTEGRATED,
    markers: str | Sequence[str] | None = None,
    min_auroc: float = 0.8,
    max_without_signal: float = 0.1,
    min_cells: int = 20,
    table_key: str = "table",
) -> pd.DataFrame:
    """How far each marker's labels agree with the mean intensities, and which look wrong.

    Parameters
    ----------
    adata
        Table with labels and intensities, or the SpatialData object that holds it.
    layer
        Labels: 1 positive, 0 negative, others undefined.
    reference
        Intensities that they are compared with.
    markers
        Markers to report; ``None`` takes all.
    min_auroc
        A marker below it is suspicious: labels and intensities have little to do with each other.
    max_without_signal
        A marker with a larger share of positives without signal is suspicious.
    min_cells
        A marker with fewer positives or fewer negatives is suspicious: nothing can be learnt.
    table_key
        Table of a SpatialData object.

    Returns
    -------
    A row for each marker, in the order of the table, with the columns

    ``n_positive``, ``n_negative``, ``n_undefined``
        cells by label, as far as they have an intensity;
    ``auroc``
        probability that a positive cell is brighter than a negative one;
    ``without_signal``
        share of the positives that are no brighter than half of the negatives: 0 where both are
        apart, 0.5 where the label means nothing;
    ``with_signal``
        share of the negatives that are as bright as half of the positives;
    ``suspicious``
        whether to look at the marker before training on it;
    ``why``
        in words, blank where it is not.

    Raises
    ------
    ValueError
        An unknown layer or marker.

    Examples
    --------
    >>> table = AnnData(np.zeros((4, 1)), layers={"silver": np.array([[1], [1], [0], [0]])})
    >>> table.layers["integrated"] = np.array([[9.0], [0.0], [1.0], [0.0]])
    >>> silver_report(table, min_cells=1)[["auroc", "without_signal", "why"]]
       auroc  without_signal                      why
    0  0.625             0.5  labels do not follow...
    """
    table = table_of(adata, table_key)
    limits = {"min_auroc": min_auroc, "max_without_signal": max_without_signal}
    for what, limit in {**limits, "min_cells": min_cells}.items():
        require_number(what, limit)
    names = chosen_markers(table, markers)
    labels = values_of(table, layer, names)
    values = values_of(table, reference, names).astype(np.float64)
    report = pd.DataFrame(
        [_row(values[:, k], labels[:, k]) for k in range(len(names))], columns=_MEASURES
    )
    report.insert(0, "marker", names)
    few = report[["n_positive", "n_negative"]].min(axis=1) < min_cells
    reasons = {
        f"fewer than {min_cells} positives or negatives": few,
        "labels do not follow the intensity": report["auroc"] < min_auroc,
        "positives without signal": report["without_signal"] > max_without_signal,
    }
    report["suspicious"] = np.any([list(hit) for hit in reasons.values()], axis=0)
    report["why"] = [
        "; ".join(reason for reason, hit in reasons.items() if hit.iloc[k])
        for k in range(len(names))
    ]
    return report


_MEASURES = ["n_positive", "n_negative", "n_undefined", "auroc", "without_signal", "with_signal"]


def _row(values: FloatArray, labels: AnyArray) -> tuple[float, ...]:
    measured = np.isfinite(values)
    positive, negative = (values[measured & (labels == label)] for label in (1, 0))
    n_undefined = int(measured.sum()) - positive.size - negative.size
    if not positive.size or not negative.size:
        shares = float("nan"), float("nan")
    else:
        shares = (
            float((positive <= np.median(negative)).mean()),
            float((negative >= np.median(positive)).mean()),
        )
    return positive.size, negative.size, n_undefined, auroc(values, labels), *shares
