"""Tables that annotate labels: rows by (region, instance id), never by position."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from spatialdata import SpatialData
from spatialdata.models import TableModel, get_table_keys

from nimbus._check import listed, require_known
from nimbus._keys import Obs
from nimbus._types import AnyArray


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
    if "spatialdata_attrs" not in table.uns:
        raise ValueError(
            f"table {table_key!r} does not annotate labels (no uns['spatialdata_attrs']); pass "
            "table_key= with a new name, or parse it with spatialdata.models.TableModel"
        )
    return table


def region_rows(table: AnnData) -> dict[str, tuple[NDArray[np.intp], NDArray[np.int64]]]:
    """For each region the positions of its rows and their instance ids.

    Raises
    ------
    TypeError
        Instance ids that are not whole numbers.
    """
    _, region_key, instance_key = get_table_keys(table)
    ids = pd.to_numeric(table.obs[instance_key].astype(object), errors="coerce").to_numpy(float)
    if not np.equal(ids, np.floor(ids)).all():
        raise TypeError(
            f"obs[{instance_key!r}] must hold the ids of the labels, whole numbers; it holds "
            f"{listed(table.obs[instance_key].unique(), at_most=5)}"
        )
    groups = table.obs.groupby(region_key, observed=True, sort=False).indices
    return {str(name): (rows, ids[rows].astype(np.int64)) for name, rows in groups.items()}


def aligned(table: AnnData, regions: Mapping[str, RegionRows]) -> NDArray[np.float32]:
    """Values of `regions` in the rows and columns of `table`, shape ``(n_obs, n_vars)``.

    NaN in rows whose cell the labels do not hold and in columns that were not measured; a warning
    counts such rows.
    """
    out = np.full(table.shape, np.nan, dtype=np.float32)
    rows_of = region_rows(table)
    n_missing = 0
    for name, region in regions.items():
        if name not in rows_of:  # labels without a cell have no row
            continue
        rows, ids = rows_of[name]
        columns = table.var_names.get_indexer(list(region.columns))
        order = np.argsort(region.ids)
        place = np.searchsorted(region.ids, ids, sorter=order)
        place = order[np.minimum(place, max(region.ids.size - 1, 0))] if region.ids.size else place
        found = region.ids[place] == ids if region.ids.size else np.zeros(ids.size, dtype=bool)
        n_missing += int((~found).sum())
        out[np.ix_(rows[found], columns)] = region.values[place[found]]
    if n_missing:
        warnings.warn(
            f"{n_missing} rows of the table have no cell in the labels {listed(regions)}; their "
            "values are NaN",
            stacklevel=3,
        )
    return out


def new_table(
    regions: Mapping[str, RegionRows],
    *,
    areas: Mapping[str, NDArray[np.int64]],
    spatial: Mapping[str, NDArray[np.float64]],
) -> AnnData:
    """Table with one row for each cell of each region.

    Parameters
    ----------
    regions
        Mean intensities by labels element; they become ``X``.
    areas
        Label pixels of each cell.
    spatial
        Centroid (x, y) of each cell in its coordinate system.

    Returns
    -------
    AnnData with ``X`` (float32), ``obs["region"]``, ``obs["instance_id"]``, ``obs["area"]`` and
    ``obsm["spatial"]``; columns that a region does not have are NaN.
    """
    names = list(dict.fromkeys(c for region in regions.values() for c in region.columns))
    # A table may name only regions that have rows.
    regions = {name: region for name, region in regions.items() if region.ids.size}
    obs = pd.DataFrame(
        {
            Obs.REGION: pd.Categorical(
                np.repeat(list(regions), [r.ids.size for r in regions.values()]).astype(str),
                categories=list(regions),
            ),
            Obs.INSTANCE: _stacked([region.ids for region in regions.values()], np.int64),
            Obs.AREA: _stacked([areas[name] for name in regions], np.int64),
        }
    )
    obs.index = pd.Index(
        [f"{r}_{i}" for r, i in zip(obs[Obs.REGION], obs[Obs.INSTANCE], strict=True)], dtype=str
    )
    shape = (len(obs), len(names))
    table = AnnData(
        X=np.full(shape, np.nan, dtype=np.float32), obs=obs, var=pd.DataFrame(index=names)
    )
    table.obsm[Obs.SPATIAL] = np.concatenate(
        [np.zeros((0, 2)), *(spatial[name] for name in regions)]
    )
    parsed = TableModel.parse(
        table, region=list(regions), region_key=Obs.REGION, instance_key=Obs.INSTANCE
    )
    parsed.X = aligned(parsed, regions)
    return parsed


def _stacked(parts: Sequence[AnyArray], dtype: type) -> AnyArray:
    return np.concatenate([np.zeros(0, dtype=dtype), *parts]).astype(dtype)


def annotated_labels(
    table: AnnData, wanted: str | Sequence[str] | None, labels: Sequence[str], *, table_key: str
) -> list[str]:
    """Labels elements that `table` annotates and that were asked for; all of them by default.

    Raises
    ------
    ValueError
        One that was asked for is not annotated, or none is.
    """
    regions = list(region_rows(table))
    if wanted is not None:
        asked = [wanted] if isinstance(wanted, str) else list(wanted)
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
        A channel that was asked for is not a marker of the table.
    """
    markers = [str(name) for name in table.var_names]
    for name in channels or ():
        if name not in markers:
            raise ValueError(
                f"channel {name!r} is not among the var_names of table {table_key!r} "
                f"({listed(markers)}); pass table_key= with a new name to make a table for it"
            )
    return list(channels) if channels is not None else markers


def table_of(data: AnnData | SpatialData, table_key: str) -> AnnData:
    """The table itself, or the one of a SpatialData object.

    Raises
    ------
    ValueError
        The object has no table of that name.
    """
    if isinstance(data, AnnData):
        return data
    require_known("table", [table_key], list(data.tables))
    return data.tables[table_key]
