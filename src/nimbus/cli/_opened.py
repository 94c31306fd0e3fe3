"""A store or a file, opened; and a table of it written back."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from anndata import AnnData, read_h5ad
from spatialdata import SpatialData

from nimbus.data.mapstore import TablePlace, write_touched
from nimbus.io.stores import open_store

from ._outputs import is_store


def opened(store: Path) -> AnnData | SpatialData:
    """What a path holds.

    Raises
    ------
    FileNotFoundError, ValueError
        There is nothing, or neither a store nor an ``.h5ad``.
    """
    if not store.exists():
        raise FileNotFoundError(f"{store} does not exist")
    if store.suffix == ".h5ad" and store.is_file():
        return read_h5ad(store)
    if not is_store(store):
        raise ValueError(f"{store} is neither a SpatialData store (a .zarr folder) nor an .h5ad")
    return open_store(store)


def save_keys(store: Path, table: AnnData, keys: Sequence[str], *, table_key: str) -> None:
    """Write some keys of a table to where it was read from, and nothing else.

    Parameters
    ----------
    store
        SpatialData store or ``.h5ad``; a file is replaced as a whole, so that it is never torn.
    table
        The table as it is now.
    keys
        Such as ``"obs/nimbus_som"`` or ``"uns/nimbus_cluster"``; what `table` does not have is
        removed.
    table_key
        Table of a store.
    """
    group = f"tables/{table_key}" if store.is_dir() else ""
    write_touched(TablePlace(store, group, ""), {key: _value(table, key) for key in keys})


def _value(table: AnnData, key: str) -> Any:
    attribute, _, name = key.partition("/")
    values = getattr(table, attribute)
    if name not in values:
        return None
    value = values[name]
    if not isinstance(value, pd.Series):
        return value
    return value.array if isinstance(value.dtype, pd.CategoricalDtype) else value.to_numpy()
