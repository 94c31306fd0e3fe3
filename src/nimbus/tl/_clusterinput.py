"""What is clustered: a layer, ``X`` or an ``obsm``, in memory, lazy or on disk."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import dask.array as da
import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray

from nimbus._check import by_name, listed, one_or_more, require_known
from nimbus._types import BoolArray
from nimbus.cluster.rows import ArrayRows, Rows
from nimbus.cluster.survey import Survey
from nimbus.data.layers import layer_names
from nimbus.data.tables import column_of, region_column

from ._daskrows import DaskRows


@dataclass(frozen=True, slots=True, eq=False)
class ClusterInput:
    """Cells and markers to cluster.

    Parameters
    ----------
    array
        All cells and all columns of the source, of any kind that AnnData holds.
    source
        Where it was taken from, for the record: ``layers/nimbus``, ``X`` or ``obsm/X_pca``.
    markers
        Names of the columns to take.
    columns
        Their positions in `array`.
    chosen
        Whether the user named the markers.
    kept
        Cells to cluster, shape ``(cell,)``; ``None`` is all.
    n_jobs
        Threads.
    """

    array: Any
    source: str
    markers: tuple[str, ...]
    columns: tuple[int, ...]
    chosen: bool
    kept: BoolArray | None
    n_jobs: int | None

    def rows(self) -> Rows:
        """The markers of all cells."""
        every = self.columns == tuple(range(self.array.shape[1]))
        kind = DaskRows if isinstance(self.array, da.Array) else ArrayRows
        return kind(self.array, columns=None if every else self.columns, n_jobs=self.n_jobs)

    def without(self, missing: BoolArray) -> ClusterInput:
        """The same without markers that have no value for any cell, with a warning.

        Raises
        ------
        ValueError
            The user named such a marker, or no other is left.
        """
        if not missing.any():
            return self
        names = listed(name for name, gone in zip(self.markers, missing, strict=True) if gone)
        if self.chosen or missing.all():
            raise ValueError(
                f"no cell has a value in {self.source} for the markers {names}; score them first "
                "(nimbus.tl.score), or name other markers="
            )
        warnings.warn(f"left out, because no cell has a value: {names}", stacklevel=4)
        left = [k for k, gone in enumerate(missing) if not gone]
        return replace(
            self,
            markers=tuple(self.markers[k] for k in left),
            columns=tuple(self.columns[k] for k in left),
        )

    def importance(self, weights: Mapping[str, float] | None) -> NDArray[np.float64]:
        """Weight of each marker; 1 where none is given.

        Raises
        ------
        ValueError
            An unknown marker, a negative weight, or none above 0.
        """
        given = by_name("weights", {} if weights is None else weights)
        require_known("marker", given, self.markers)
        scale = np.array([given.get(name, 1.0) for name in self.markers], dtype=np.float64)
        if not (np.isfinite(scale) & (scale >= 0)).all() or not scale.any():
            raise ValueError(f"weights are 0 or more, and not all are 0; not {given}")
        return scale


def warn_without_positives(found: Survey, markers: Sequence[str], source: str) -> None:
    """Name the markers that tell no cell from another."""
    flat = [name for name, no in zip(markers, found.without_positives(), strict=True) if no]
    if flat:
        warnings.warn(
            f"markers without a positive cell in {source}: {listed(flat)}; they add noise alone, "
            "leave them out with markers= (--markers)",
            stacklevel=4,
        )


def read_input(
    table: AnnData,
    *,
    layer: str | None,
    obsm: str | None,
    markers: str | Sequence[str] | None,
    restrict_to: tuple[str, str | Sequence[str]] | None,
    n_jobs: int | None,
) -> ClusterInput:
    """Find the array and the markers; nothing of it is read.

    Raises
    ------
    ValueError
        An unknown layer, key, marker, column or group.
    """
    array, source, names = _source(table, layer, obsm)
    chosen = markers is not None
    wanted = one_or_more(names if markers is None else markers)
    require_known("marker", wanted, names)
    if not wanted or len(set(wanted)) < len(wanted):
        raise ValueError(f"markers={wanted} must name at least one marker, each once")
    columns = tuple(names.index(name) for name in wanted)
    kept = None if restrict_to is None else _restricted(table.obs, restrict_to)
    return ClusterInput(array, source, tuple(wanted), columns, chosen, kept, n_jobs)


def obsm_columns(table: AnnData, obsm: str) -> tuple[Any, list[str]]:
    """An array of ``obsm``, dense or sparse, and what its columns are called.

    Raises
    ------
    ValueError
        There is none of that key.

    Examples
    --------
    >>> table = AnnData(np.zeros((1, 1)), obsm={"X_pca": np.array([[0.5, 2.0]])})
    >>> obsm_columns(table, "X_pca")
    (array([[0.5, 2. ]]), ['X_pca_0', 'X_pca_1'])
    """
    require_known("key of obsm", [obsm], list(table.obsm))
    values = table.obsm[obsm]
    if isinstance(values, pd.DataFrame):
        return values.to_numpy(), [str(name) for name in values.columns]
    return values, [f"{obsm}_{k}" for k in range(values.shape[1])]


def strata(table: AnnData, region_key: str | None) -> NDArray[np.int64]:
    """Number of the region of each cell; all 0 where nothing tells regions apart.

    Raises
    ------
    ValueError
        `region_key` is no column of ``obs``.
    """
    if region_key is not None:
        require_known("column of obs", [region_key], [str(name) for name in table.obs.columns])
    column = region_column(table) if region_key is None else region_key
    if column is None:
        return np.zeros(table.n_obs, dtype=np.int64)
    codes, _ = pd.factorize(column_of(table.obs, column), use_na_sentinel=False)
    numbers: NDArray[np.int64] = codes.astype(np.int64)
    return numbers


def _source(table: AnnData, layer: str | None, obsm: str | None) -> tuple[Any, str, Sequence[str]]:
    """The array, what it is called, and the names of its columns."""
    markers = [str(name) for name in table.var_names]
    if obsm is not None:
        values, columns = obsm_columns(table, obsm)
        return values, f"obsm/{obsm}", columns
    if layer is not None:
        require_known("layer", [layer], layer_names(table))
        return table.layers[layer], f"layers/{layer}", markers
    if table.X is None:
        raise ValueError("layer=None takes X, which this table does not have; name a layer")
    return table.X, "X", markers


def _restricted(obs: pd.DataFrame, restrict_to: tuple[str, str | Sequence[str]]) -> BoolArray:
    """Cells of the groups, shape ``(cell,)``."""
    key, groups = restrict_to
    require_known("column of obs", [key], [str(name) for name in obs.columns])
    names = [str(group) for group in one_or_more(groups)]
    values = column_of(obs, key).astype("string")
    require_known(f"group of obs[{key!r}]", names, [str(v) for v in values.dropna().unique()])
    return np.asarray(values.isin(names), dtype=bool)
