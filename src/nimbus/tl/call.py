"""Verb: positive or negative."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from anndata import AnnData
from spatialdata import SpatialData

from nimbus._check import require_known
from nimbus._keys import Layers, Suffix
from nimbus.data.tables import table_of

UNDEFINED = -1
"""Call of a score that is NaN."""


def call(
    adata: AnnData | SpatialData,
    *,
    layer: str = Layers.SCORE,
    threshold: float | Mapping[str, float] = 0.5,
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
        One for all markers, or ``{marker: threshold}``; markers that are not named get 0.5.
    table_key
        Table of a SpatialData object.
    key_added
        Name of the new layer; ``None`` is ``f"{layer}_positive"``.

    Returns
    -------
    None. Sets ``layers[key_added]``: int8, 1 positive, 0 negative, -1 where the score is NaN.

    Raises
    ------
    ValueError
        An unknown layer or marker, or a threshold outside [0, 1].

    Examples
    --------
    >>> table = AnnData(np.zeros((2, 2)), layers={"nimbus": np.array([[0.9, 0.5], [0.1, np.nan]])})
    >>> call(table)
    >>> table.layers["nimbus_positive"]
    array([[ 1,  1],
           [ 0, -1]], dtype=int8)
    """
    table = table_of(adata, table_key)
    require_known("layer", [layer], [str(name) for name in table.layers if name is not None])
    scores = np.asarray(table.layers[layer])
    markers = [str(name) for name in table.var_names]
    given = threshold if isinstance(threshold, Mapping) else dict.fromkeys(markers, threshold)
    require_known("marker", given, markers)
    wrong = {name: value for name, value in given.items() if not 0 <= value <= 1}
    if wrong:
        raise ValueError(f"thresholds are scores between 0 and 1, not {wrong}")
    cut = np.array([given.get(name, 0.5) for name in markers])
    positive = np.where(np.isnan(scores), UNDEFINED, scores >= cut).astype(np.int8)
    table.layers[key_added or layer + Suffix.POSITIVE] = positive
