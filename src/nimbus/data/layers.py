"""Values of layers, dense or sparse."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from anndata import AnnData
from numpy.typing import NDArray
from scipy.sparse import issparse

from nimbus._check import one_or_more, require_known
from nimbus._keys import Layers
from nimbus._types import AnyArray, FloatArray


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
    values: NDArray[np.float64] = dense(table.layers[layer][:, [markers.index(marker)]])
    return values.astype(np.float64)[:, 0]


def layer_values(table: AnnData, layer: str, columns: list[int]) -> AnyArray:
    """Values of some markers, ``(cells, markers)``, in the type they are stored in.

    Examples
    --------
    >>> table = AnnData(np.zeros((1, 2)), layers={"gold": np.array([[1, -1]], dtype=np.int8)})
    >>> layer_values(table, "gold", [1])
    array([[-1]], dtype=int8)
    """
    return dense(table.layers[layer][:, columns])


def named_columns(
    table: AnnData, layers: str | Sequence[str] | None, *, pattern: str
) -> dict[str, AnyArray]:
    """Values of each marker in each layer, ``(cells,)``, by name, for programs that list numbers.

    Parameters
    ----------
    table
        The table.
    layers
        Names; ``None`` takes the scores as far as there are any.
    pattern
        How a column is called; ``{layer}`` and ``{marker}`` stand for their names.

    Raises
    ------
    ValueError
        An unknown layer.

    Examples
    --------
    >>> table = AnnData(np.zeros((1, 2)), layers={"nimbus": np.array([[0.1, 0.9]])})
    >>> named_columns(table, None, pattern="{marker}: {layer}")
    {'0: nimbus': array([0.1]), '1: nimbus': array([0.9])}
    """
    there = layer_names(table)
    if layers is None:
        layers = [name for name in (Layers.SCORE,) if name in there]
    wanted = one_or_more(layers)
    require_known("layer", wanted, there)
    every = list(range(table.n_vars))
    return {
        pattern.format(layer=name, marker=marker): column
        for name in wanted
        for marker, column in zip(table.var_names, layer_values(table, name, every).T, strict=True)
    }


def scores_or_labels(values: AnyArray) -> FloatArray:
    """Values as floats; where they are labels (-1, 0, 1), undefined ones become NaN.

    Examples
    --------
    >>> scores_or_labels(np.array([[1, -1, 0]], dtype=np.int8))
    array([[ 1., nan,  0.]], dtype=float32)
    >>> scores_or_labels(np.array([[0.5, -1.0, 0.0]]))
    array([[ 0.5, -1. ,  0. ]])
    """
    floats: FloatArray = values.astype(np.result_type(values.dtype, np.float32))
    undefined = floats == -1
    if undefined.any() and np.isin(floats[np.isfinite(floats)], (-1, 0, 1)).all():
        floats[undefined] = np.nan
    return floats


def require_scores(values: AnyArray, layer: str) -> None:
    """Raise ``ValueError`` where a layer holds numbers outside [0, 1]; NaN may be."""
    outside = ~np.isnan(values) & ~((values >= 0) & (values <= 1))
    if outside.any():
        raise ValueError(
            f"layer {layer!r} holds {values[outside][0]:g}; scores lie between 0 and 1, and "
            "intensities or labels are none"
        )


def dense(part: Any) -> AnyArray:
    """The same values, not sparse."""
    return np.asarray(part.toarray() if issparse(part) else part)
