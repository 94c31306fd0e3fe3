"""Writes to the store of a SpatialData object only what was touched."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

import zarr
from anndata import AnnData
from anndata.io import write_elem
from spatialdata import SpatialData

from nimbus._check import listed


def write_table(
    sdata: SpatialData, table_key: str, *, keys: Mapping[str, Sequence[str]] | None = None
) -> None:
    """Write a table, or only some of its keys, to the store of `sdata`.

    Parameters
    ----------
    sdata
        Object with a store (``sdata.path``).
    table_key
        Name of the table.
    keys
        What was touched, e.g. ``{"layers": ["nimbus"], "uns": ["nimbus"], "obs": []}``; for
        ``obs`` and ``var`` the list is not used: they are written whole. ``None`` writes the whole
        table. A table that the store does not have is always written whole.

    Raises
    ------
    ValueError
        `sdata` has no store, or no such table.
    OSError
        The store cannot be written.

    Notes
    -----
    The whole table is first written under another name, so that at any moment the store holds a
    readable copy. A group that an error left half written is removed.

    Examples
    --------
    >>> import nimbus, tempfile
    >>> sdata = nimbus.datasets.tissue(shape=(64, 64), n_cells=9, markers=["CD3"], random_state=0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     sdata.write(f"{folder}/tissue.zarr")
    ...     sdata.tables["table"].obs["half"] = 0.5
    ...     nimbus.io.write_table(sdata, "table", keys={"obs": []})
    """
    if sdata.path is None:
        raise ValueError("sdata has no store yet; write it once with sdata.write(path)")
    if table_key not in sdata.tables:
        raise ValueError(f"table {table_key!r} does not exist; there is {listed(sdata.tables)}")
    on_disk = f"tables/{table_key}" in sdata.elements_paths_on_disk()
    if not on_disk:
        _write_new(sdata, table_key)
    elif keys is None:
        _replace_whole(sdata, table_key)
    else:
        _write_keys(sdata.tables[table_key], Path(sdata.path) / "tables" / table_key, keys)
    sdata.write_attrs()
    if sdata.has_consolidated_metadata():
        sdata.write_consolidated_metadata()


def write_element(sdata: SpatialData, name: str) -> None:
    """Write an element to the store of `sdata`, in place of one of that name."""
    if any(path.endswith(f"/{name}") for path in sdata.elements_paths_on_disk()):
        sdata.delete_element_from_disk(name)
    _write_new(sdata, name)


def require_writable(sdata: SpatialData) -> None:
    """Fail before the work if its result could not be written.

    Raises
    ------
    ValueError
        `sdata` has no store.
    PermissionError
        The store is read-only.
    """
    if sdata.path is None:
        raise ValueError(
            "write=True, but sdata has no store; write it once with sdata.write(path), or pass "
            "write=False"
        )
    probe = Path(sdata.path) / f".nimbus-{uuid.uuid4().hex[:8]}"
    try:
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise PermissionError(
            f"write=True, but the store {str(sdata.path)!r} cannot be written "
            f"({error.strerror}); copy it, or pass write=False"
        ) from error


def _write_keys(table: AnnData, path: Path, keys: Mapping[str, Sequence[str]]) -> None:
    group = zarr.open_group(path, mode="r+", use_consolidated=False)
    for attribute, names in keys.items():
        values = getattr(table, attribute)
        if attribute in ("obs", "var"):
            write_elem(group, attribute, values)
            continue
        part = group.require_group(attribute)
        for name in names:
            write_elem(part, name, values[name])


def _write_new(sdata: SpatialData, name: str) -> None:
    try:
        sdata.write_element(name)
    except BaseException:
        with contextlib.suppress(KeyError, ValueError, OSError):
            sdata.delete_element_from_disk(name)
        raise


def _replace_whole(sdata: SpatialData, table_key: str) -> None:
    spare = f"{table_key}.tmp-{uuid.uuid4().hex[:8]}"
    sdata.tables[spare] = sdata.tables[table_key]
    try:
        _write_new(sdata, spare)
        sdata.delete_element_from_disk(table_key)
        sdata.write_element(table_key)
        sdata.delete_element_from_disk(spare)
    finally:
        del sdata.tables[spare]
