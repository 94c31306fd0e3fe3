"""Values of cells into the rows of a table by (region, instance id), or into a new table."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import anndata
import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from spatialdata.models import TableModel

from nimbus._check import listed
from nimbus._keys import Obs
from nimbus._types import AnyArray

from .tables import region_rows

_NAMED_AT_ONCE = 2**16
"""Cells whose ids are Python numbers at one time: of millions they take more than their names."""


@dataclass(frozen=True, slots=True, eq=False)
class RegionRows:
    """Values of the cells of one labels element.

    Parameters
    ----------
    ids
        Cell ids, shape ``(n,)``.
    columns
        Channel names, shape ``(c,)``.
    values
        Shape ``(n, c)``.
    """

    ids: NDArray[np.int64]
    columns: tuple[str, ...]
    values: AnyArray


def aligned(
    table: AnnData,
    regions: Iterable[tuple[str, RegionRows]],
    *,
    before: AnyArray | None = None,
) -> NDArray[np.float32]:
    """Values of `regions` in the rows and columns of `table`, shape ``(n_obs, n_vars)``.

    NaN in rows whose cell the labels do not hold; a warning counts such rows. Other regions and
    columns that were not measured keep what `before` holds, of the same shape; without it they are
    NaN, too. A region is asked for when the one before has been copied, so an iterator need not
    hold them all; one that is the whole table is not copied at all.
    """
    out = np.empty(table.shape, dtype=np.float32)  # takes memory as it is filled
    filled = np.zeros(table.n_obs, dtype=bool)
    rows_of = region_rows(table)
    n_missing, names = 0, []
    for name, region in regions:
        names.append(name)
        if name in rows_of:  # labels without a cell have no row
            rows, ids = rows_of[name]
            columns = table.var_names.get_indexer(list(region.columns))
            in_order = np.array_equal(columns, np.arange(table.n_vars))
            if in_order and rows.size == table.n_obs and np.array_equal(ids, region.ids):
                return np.asarray(region.values, dtype=np.float32)
            n_missing += _fill(out, columns, rows, ids, region, before)
            filled[rows] = True
    out[~filled] = np.nan if before is None else before[~filled]
    if n_missing:
        warnings.warn(
            f"{n_missing} rows of the table have no cell in the labels {listed(names)}; their "
            "values are NaN",
            stacklevel=3,
        )
    return out


def _fill(
    out: NDArray[np.float32],
    columns: NDArray[np.intp],
    rows: NDArray[np.intp],
    ids: NDArray[np.int64],
    region: RegionRows,
    before: AnyArray | None,
) -> int:
    """Copy the values of one region into its rows; gives the number of rows without a cell."""
    as_they_are = np.array_equal(ids, region.ids) and rows[-1] - rows[0] + 1 == rows.size
    if as_they_are:  # a table that nimbus made: one block, no copy on the way
        span = slice(rows[0], rows[-1] + 1)
        if np.array_equal(columns, np.arange(out.shape[1])):
            out[span] = region.values
        else:
            out[span] = np.nan if before is None else before[span]
            out[span, columns] = region.values
        return 0
    if region.ids.size == 0:
        out[rows] = np.nan
        return int(ids.size)
    out[rows] = np.nan if before is None else before[rows]
    order = np.argsort(region.ids)
    place = np.searchsorted(region.ids, ids, sorter=order)
    place = order[np.minimum(place, region.ids.size - 1)]
    found = region.ids[place] == ids
    out[rows[~found]] = np.nan
    out[np.ix_(rows[found], columns)] = region.values[place[found]]
    return int((~found).sum())


def new_table(
    ids: Mapping[str, NDArray[np.int64]],
    columns: Iterable[str],
    *,
    areas: Iterable[NDArray[np.int64]],
    spatial: Iterable[NDArray[np.float64]],
) -> AnnData:
    """Table with one row for each cell of each region, and no ``X`` yet.

    Parameters
    ----------
    ids
        Ids of the cells by labels element, each once.
    columns
        Names of the markers; those named again are left out.
    areas
        Label pixels of each cell, for each element of `ids`.
    spatial
        Centroid (x, y) of each cell in its coordinate system, for each element of `ids`. An
        element is asked for when the one before has been copied.

    Returns
    -------
    AnnData with ``obs["region"]``, ``obs["instance_id"]``, ``obs["area"]`` and
    ``obsm["spatial"]``.
    """
    there = [name for name, own in ids.items() if own.size]  # it may name only regions with rows
    sizes = [ids[name].size for name in there]
    n = sum(sizes)
    codes = np.repeat(np.arange(len(there), dtype=np.int32), sizes)
    places = _stacked(spatial, np.empty((n, 2)))
    obs = pd.DataFrame(
        {
            Obs.REGION: pd.Categorical.from_codes(codes, categories=pd.Index(there, dtype=object)),
            Obs.INSTANCE: _stacked(ids.values(), np.empty(n, dtype=np.int64)),
            Obs.AREA: _stacked(areas, np.empty(n, dtype=np.int64)),
        },
        index=_cell_names(ids),  # last: names take more than all else
        copy=False,
    )
    with anndata.settings.override(check_uniqueness=False):  # they are, and a check holds them all
        table = AnnData(obs=obs, var=pd.DataFrame(index=list(dict.fromkeys(columns))))
    table.obsm[Obs.SPATIAL] = places
    # As TableModel.parse would: it counts the ids of each region again, and they are distinct.
    table.uns[TableModel.ATTRS_KEY] = {
        TableModel.REGION_KEY: there,
        TableModel.REGION_KEY_KEY: Obs.REGION,
        TableModel.INSTANCE_KEY: Obs.INSTANCE,
    }
    return table


def _cell_names(ids: Mapping[str, NDArray[np.int64]]) -> pd.Index:
    """Names of the rows: region and id."""
    names = np.empty(sum(own.size for own in ids.values()), dtype=object)
    start = 0
    for region, own in ids.items():
        for first in range(0, own.size, _NAMED_AT_ONCE):
            some = own[first : first + _NAMED_AT_ONCE].tolist()
            names[start : start + len(some)] = [f"{region}_{number}" for number in some]
            start += len(some)
    return pd.Index(names, dtype=str)


def _stacked(parts: Iterable[AnyArray], out: AnyArray) -> AnyArray:
    """`out` filled with the rows of `parts`, one below the other."""
    start = 0
    for own in parts:
        out[start : start + len(own)] = own
        start += len(own)
    return out
