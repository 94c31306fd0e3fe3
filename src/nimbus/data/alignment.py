"""Whether a table in memory has the rows and columns of the one that a store holds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import zarr
from anndata import AnnData
from anndata.io import read_elem
from spatialdata.models import TableModel, get_table_keys


def is_aligned(table: AnnData, stored: zarr.Group) -> bool:
    """Whether the table in a store has the cells and the markers of `table`, in the same order.

    Cells are compared by name and, where the table annotates labels, by region and instance id.
    A million names take half a second, and are read some at a time; nothing else is read.
    """
    obs: Any = stored["obs"]
    var: Any = stored["var"]
    annotates = TableModel.ATTRS_KEY in table.uns
    columns = get_table_keys(table)[1:] if annotates else ()
    return (
        _equal(var[var.attrs["_index"]], table.var_names)
        and all(name in obs and name in table.obs for name in columns)
        and all(_equal(obs[name], table.obs[name]) for name in columns)
        and _equal(obs[obs.attrs["_index"]], table.obs_names)
    )


def _equal(stored: Any, values: Any) -> bool:
    """Whether a stored column has these values, whatever types hold them."""
    if isinstance(stored, zarr.Array):
        step = max(stored.chunks[0], 1)
    else:  # codes and their categories, or values and a mask
        stored, step = read_elem(stored), 2**18
    return len(values) == stored.shape[0] and all(
        _plain(stored[a : a + step]).equals(_plain(values[a : a + step]))
        for a in range(0, len(values), step)
    )


def _plain(values: Any) -> pd.Series:
    return pd.Series(np.asarray(values, dtype=object), dtype=object)
