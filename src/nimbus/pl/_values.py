"""Values of one marker from a layer, dense or sparse."""

from __future__ import annotations

import numpy as np
from anndata import AnnData
from numpy.typing import NDArray
from scipy.sparse import issparse

from nimbus._check import require_known


def layer_names(table: AnnData) -> list[str]:
    """Names of the layers; without ``None``, under which newer AnnData lists ``X``."""
    return [str(name) for name in table.layers if name is not None]


def marker_values(table: AnnData, marker: str, layer: str) -> NDArray[np.float64]:
    """Values of all cells for one marker, shape ``(cells,)``.

    Examples
    --------
    >>> table = AnnData(np.zeros((2, 1)), layers={"nimbus": np.array([[0.1], [0.9]])})
    >>> marker_values(table, "0", "nimbus")
    array([0.1, 0.9])
    """
    markers = [str(name) for name in table.var_names]
    require_known("marker", [marker], markers)
    column = table.layers[layer][:, [markers.index(marker)]]
    dense = column.toarray() if issparse(column) else column
    values: NDArray[np.float64] = np.asarray(dense, dtype=np.float64)[:, 0]
    return values
