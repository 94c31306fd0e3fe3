"""Tables that annotate labels: rows by (region, instance id), never by position."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import anndata
import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from spatialdata import SpatialData
from spatialdata.models import TableModel, get_table_keys

from nimbus._check import listed, one_or_more, require_known
from nimbus._keys import Obs
from nimbus._types import AnyArray

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


def find_table(sdata: SpatialData, table_key: str) -> AnnData | None:
    """The table, or ``None`` where there is none of that name, or one without rows.

    Raises
    ------
    ValueError
        It does not annotate labels.
    """
    table = sdata.tables.get(table_key)
    if table is None or table.n_obs == 0:
        return None
    _require_annotation(table, table_key)
    return table


def _require_annotation(table: AnnData, table_key: str) -> None:
    if TableModel.ATTRS_KEY not in table.uns:
        raise ValueError(
            f"table {table_key!r} does not annotate labels (no uns['spatialdata_attrs']); pass "
            "another table_key=, or parse it with spatialdata.models.TableModel"
        )


def region_rows(table: AnnData) -> dict[str, tuple[NDArray[np.intp], NDArray[np.int64]]]:
    """For each region the positions of its rows, ascending, and their instance ids.

    Raises
    ------
    TypeError
        Instance ids that are not whole numbers.
    """
    _, region_key, instance_key = get_table_keys(table)
    ids = _instance_ids(table.obs[instance_key], instance_key)
    region = pd.Categorical(table.obs[region_key])  # codes of a byte each, where they are few
    codes, order = region.codes, np.arange(ids.size)
    if (codes[:-1] > codes[1:]).any():  # not as nimbus makes tables: then nothing is copied
        order = np.argsort(codes, kind="stable")
        codes, ids = codes[order], ids[order]
    if not codes.size:
        return {}
    edges = (0, *(np.flatnonzero(codes[1:] != codes[:-1]) + 1), codes.size)
    return {
        str(region.categories[codes[a]]): (order[a:b], ids[a:b])
        for a, b in pairwise(edges)
        if codes[a] >= 0  # -1: no region
    }


def _instance_ids(column: pd.Series, instance_key: str) -> NDArray[np.int64]:
    """Instance ids as integers."""
    if column.dtype.kind in "iu":  # of millions of cells not by way of objects
        return column.to_numpy(np.int64)
    ids = pd.to_numeric(column.astype(object), errors="coerce").to_numpy(float)
    if not np.equal(ids, np.floor(ids)).all():
        raise TypeError(
            f"obs[{instance_key!r}] must hold the ids of the labels, whole numbers; it holds "
            f"{listed(column.unique(), at_most=5)}"
        )
    return ids.astype(np.int64)


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


def annotated_labels(
    table: AnnData, wanted: str | Sequence[str] | None, labels: Sequence[str], *, table_key: str
) -> list[str]:
    """Labels elements that `table` annotates and that were asked for; all of them by default.

    Raises
    ------
    ValueError
        One that was asked for is not annotated, or none is.
    """
    _require_annotation(table, table_key)
    regions = list(region_rows(table))
    if wanted is not None:
        asked = one_or_more(wanted)
        require_known("labels element", asked, labels)
        strangers = [name for name in asked if name not in regions]
        if strangers:
            raise ValueError(
                f"table {table_key!r} annotates {listed(regions)}, not {listed(strangers)}; pass "
                "table_key= with a new name to make a table for these labels"
            )
        return asked
    here = [name for name in regions if name in labels]
    if not here:
        raise ValueError(
            f"table {table_key!r} annotates {listed(regions)}, but the labels are "
            f"{listed(labels)}; pass table_key= with a new name to make a table for them"
        )
    return here


def markers_of(table: AnnData, channels: Sequence[str] | None, *, table_key: str) -> list[str]:
    """Markers of an existing table that can be scored: those asked for, or all.

    Raises
    ------
    ValueError
        A channel that was asked for is not a marker of the table, or two markers have one name.
    """
    markers = [str(name) for name in table.var_names]
    if not table.var_names.is_unique:
        twice = table.var_names[table.var_names.duplicated()].unique()
        raise ValueError(
            f"the var_names {listed(twice)} of table {table_key!r} stand for several markers; "
            "rename them, or pass table_key= with a new name to make a table"
        )
    for name in channels or ():
        if name not in markers:
            raise ValueError(
                f"channel {name!r} is not among the var_names of table {table_key!r} "
                f"({listed(markers)}); pass table_key= with a new name to make a table for it"
            )
    return list(channels) if channels is not None else markers


def obs_of(table: AnnData) -> pd.DataFrame:
    """``obs`` in memory, also that of a table that is read lazily."""
    return table.obs if isinstance(table.obs, pd.DataFrame) else table.obs.to_memory()


def column_of(annotation: Any, key: str) -> pd.Series:
    """A column of ``obs`` or ``var`` in memory, also of a table that is read lazily."""
    there = annotation if isinstance(annotation, pd.DataFrame) else annotation[[key]].to_memory()
    return there[key]


def region_column(table: AnnData) -> str | None:
    """The column of ``obs`` that names the labels of each cell, else ``"region"`` or ``"fov"``."""
    own = table.uns.get(TableModel.ATTRS_KEY, {}).get(TableModel.REGION_KEY_KEY)
    columns = list(table.obs.columns)
    return next((name for name in (own, Obs.REGION, "fov") if name in columns), None)


def table_of(data: AnnData | SpatialData, table_key: str) -> AnnData:
    """The table itself, or the one of a SpatialData object.

    Raises
    ------
    TypeError
        It is neither.
    ValueError
        The object has no table of that name.
    """
    if isinstance(data, AnnData):
        return data
    if not isinstance(data, SpatialData):
        raise TypeError(f"an AnnData or SpatialData object is needed, not {type(data).__name__}")
    require_known("table", [table_key], list(data.tables))
    return data.tables[table_key]
