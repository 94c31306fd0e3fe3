"""Tables that annotate labels: found, and their rows by (region, instance id)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from spatialdata import SpatialData
from spatialdata.models import TableModel, get_table_keys

from nimbus._check import listed, one_or_more, require_known, require_text
from nimbus._keys import Obs


def find_table(sdata: SpatialData, table_key: str) -> AnnData | None:
    """The table, or ``None`` where there is none of that name, or one without rows.

    Raises
    ------
    ValueError
        It does not annotate labels.
    """
    require_text("table_key", table_key)
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
