"""A store or a file, opened; and a table of it written back."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import pandas as pd
from anndata import AnnData, read_h5ad
from spatialdata import SpatialData

from nimbus._claim import claimed
from nimbus.data.mapstore import TablePlace, write_touched
from nimbus.data.store import write_values
from nimbus.data.tables import table_of
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
        url = re.match(r"\w\w+:/", str(store))  # a path has one of the two slashes
        more = "; URLs are read by nimbus score and nimbus.io.read_store alone" if url else ""
        raise FileNotFoundError(f"{store} does not exist{more}")
    if store.suffix == ".h5ad" and store.is_file():
        return read_h5ad(store)
    if not is_store(store):
        raise ValueError(f"{store} is neither a SpatialData store (a .zarr folder) nor an .h5ad")
    return open_store(store)


def claimed_if_store(path: Path) -> AbstractContextManager[None]:
    """Keep other processes of nimbus from writing to a store during the block."""
    return claimed(path) if is_store(path) else nullcontext()


def save_keys(
    store: Path, data: AnnData | SpatialData, keys: Sequence[str], *, table_key: str
) -> None:
    """Write some keys of a table to where it was read from, and nothing else.

    Whenever the process is killed, there is the old table or the new one, whole.

    Parameters
    ----------
    store
        SpatialData store or ``.h5ad``.
    data
        What it holds, as it is now.
    keys
        Such as ``"obs/nimbus_som"`` or ``"uns/nimbus_cluster"``; what the table does not have is
        removed.
    table_key
        Table of a store.
    """
    table = table_of(data, table_key)
    values = {key: _value(table, key) for key in keys}
    if isinstance(data, SpatialData):
        write_values(data, table_key, values)
    else:
        write_touched(TablePlace(store, "", ""), values)


def _value(table: AnnData, key: str) -> Any:
    attribute, _, name = key.partition("/")
    values = getattr(table, attribute)
    if name not in values:
        return None
    value = values[name]
    if not isinstance(value, pd.Series):
        return value
    return value.array if isinstance(value.dtype, pd.CategoricalDtype) else value.to_numpy()
