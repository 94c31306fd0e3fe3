"""Writes to the store of a SpatialData object only what was touched."""

from __future__ import annotations

import shutil
import uuid
import warnings
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import zarr
from anndata import AnnData
from anndata.io import write_elem
from spatialdata import SpatialData
from spatialdata._io.format import SpatialDataContainerFormatV01

from nimbus._check import listed, one_or_more
from nimbus._claim import claimed

from .alignment import is_aligned
from .mapstore import TablePlace, Touched, write_touched
from .names import require_key_names
from .workshop import detach_metadata, install, linked_copy, workshop


def write_table(
    sdata: SpatialData, table_key: str, *, keys: Mapping[str, str | Sequence[str]] | None = None
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
        table. A table that the store does not have is always written whole, and so, with a
        warning, is one whose rows or columns are not those in the store, in the same order.

    Raises
    ------
    ValueError
        `sdata` has no store, or no such table; or a name that SpatialData does not take, with which
        the store could not be read.
    OSError
        The store cannot be written.
    ClaimedError
        Another process works with the store.

    Notes
    -----
    The table is built in a hidden folder of the store and put in place in one step, so that the
    store holds the old table or the new one, whole, whenever the process is killed or the disk is
    full. Another process that writes to the same store is refused.

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
    store, table = Path(sdata.path), sdata.tables[table_key]
    part = f"tables/{table_key}"
    require_key_names(table, {name: _names(table, name, own) for name, own in (keys or {}).items()})
    with claimed(store), workshop(store) as folder:
        if keys is not None and _can_take_keys(sdata, table_key):
            built = folder / table_key
            linked_copy(store / part, built)
            _write_keys(table, built, keys)
        else:
            built = _built({"tables": {table_key: table}}, part, store, folder)
        _install(sdata, built, part, folder)


def _names(table: AnnData, attribute: str, names: str | Sequence[str]) -> list[str]:
    """Names that are written; of ``obs`` and ``var`` all."""
    return one_or_more(getattr(table, attribute) if attribute in ("obs", "var") else names)


def write_values(sdata: SpatialData, table_key: str, values: Touched) -> None:
    """Write values of a table by their paths (``"obs/nimbus_som"``) to the store of `sdata`.

    It is done as in :func:`write_table`, but single columns of ``obs`` are written, too; ``None``
    removes what is there. The caller claimed the store before it read the table, so that its rows
    are still those in the store.
    """
    store, part = Path(str(sdata.path)), f"tables/{table_key}"
    with claimed(store), workshop(store) as folder:
        built = folder / table_key
        linked_copy(store / part, built)
        write_touched(TablePlace(built, "", ""), values)
        _install(sdata, built, part, folder)


def write_image(sdata: SpatialData, name: str) -> None:
    """Write an image to the store of `sdata`, in place of one of that name."""
    if sdata.path is None:
        raise ValueError("sdata has no store yet; write it once with sdata.write(path)")
    store, part = Path(sdata.path), f"images/{name}"
    with claimed(store), workshop(store) as folder:
        built = _built({"images": {name: sdata.images[name]}}, part, store, folder)
        _install(sdata, built, part, folder)


def store_claimed(sdata: SpatialData) -> AbstractContextManager[None]:
    """Keep other processes of nimbus from writing to the store of `sdata` during the block."""
    return claimed(str(sdata.path))


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
            f"the store {str(sdata.path)!r} cannot be written ({error.strerror}); copy it, or in "
            "Python pass write=False"
        ) from error


def _built(elements: Mapping[str, Any], part: str, store: Path, folder: Path) -> Path:
    """An element as `store` would hold it, in the same format, written elsewhere."""
    old_format = (store / ".zgroup").is_file()
    with warnings.catch_warnings():  # a table alone annotates labels that are not beside it
        warnings.filterwarnings("ignore", message="The table is annotating")
        SpatialData(**elements).write(
            folder / "new.zarr",
            consolidate_metadata=False,
            sdata_formats=[SpatialDataContainerFormatV01()] if old_format else None,
        )
    return folder / "new.zarr" / part


def _install(sdata: SpatialData, built: Path, part: str, folder: Path) -> None:
    """Put an element in place; a reader finds the store whole before and after each step."""
    store = Path(str(sdata.path))
    consolidated = sdata.has_consolidated_metadata()
    detach_metadata(store, sdata.attrs)
    _require_group(store, part.partition("/")[0])
    install(built, store, part, folder=folder)
    if consolidated:
        sdata.write_consolidated_metadata()


def _require_group(store: Path, name: str) -> None:
    zarr.open_group(store, mode="r+", use_consolidated=False).require_group(name)


def has_table(sdata: SpatialData, table_key: str) -> bool:
    """Whether the store has a table of that name."""
    return _place(sdata, table_key).is_dir()


def has_other_rows(sdata: SpatialData, table_key: str) -> bool:
    """Whether the store has that table, with other rows or columns, or another order of them."""
    return has_table(sdata, table_key) and not is_aligned(
        sdata.tables[table_key],
        zarr.open_group(_place(sdata, table_key), mode="r", use_consolidated=False),
    )


def _place(sdata: SpatialData, table_key: str) -> Path:
    return Path(str(sdata.path)) / "tables" / table_key


def _can_take_keys(sdata: SpatialData, table_key: str) -> bool:
    """Whether keys of a table fit the one in the store; warns where that is another one."""
    if not has_other_rows(sdata, table_key):
        return has_table(sdata, table_key)
    table = sdata.tables[table_key]
    warnings.warn(
        f"table {table_key!r} ({table.n_obs} rows, {table.n_vars} columns) is written whole, in "
        "place of the one in the store: that has other rows or columns, or another order of them",
        stacklevel=3,
    )
    return False


def _write_keys(table: AnnData, path: Path, keys: Mapping[str, str | Sequence[str]]) -> None:
    group = zarr.open_group(path, mode="r+", use_consolidated=False)
    for attribute, names in keys.items():
        values = getattr(table, attribute)
        if attribute in ("obs", "var"):
            shutil.rmtree(path / attribute)  # its chunks are shared with the old table
            write_elem(group, attribute, values)
            continue
        part = group.require_group(attribute)
        for name in one_or_more(names):
            shutil.rmtree(path / attribute / name, ignore_errors=True)
            write_elem(part, name, values[name])
