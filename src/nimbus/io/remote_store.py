"""SpatialData stores on S3, Google Cloud, Azure or HTTP, read lazily."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import zarr
from anndata import AnnData
from anndata.io import read_elem
from spatialdata import SpatialData, read_zarr
from spatialdata.models import TableModel
from xarray import DataArray, DataTree
from zarr.core.buffer import default_buffer_prototype
from zarr.storage import FsspecStore

_RASTERS = ("images", "labels")


def is_remote(store: str | Path) -> bool:
    """Whether a store is named by a URL.

    Examples
    --------
    >>> is_remote("s3://bucket/cohort.zarr"), is_remote("cohort.zarr")
    (True, False)
    """
    return "://" in str(store)


def read_store(
    store: str | Path, *, storage_options: Mapping[str, Any] | None = None
) -> SpatialData:
    """Read a SpatialData store from a folder or from a URL, images and labels lazily.

    SpatialData itself reads folders alone. Of a URL this function reads the metadata and the
    tables at once, and images and labels chunk by chunk when they are needed, in whichever process
    needs them. Points and shapes are left out. The result is in memory: it has no ``path``, so
    that nothing can be written back; write it to a folder with ``sdata.write(path)``, or its table
    with ``sdata.tables["table"].write_h5ad(path)``.

    Parameters
    ----------
    store
        A folder, or a URL that fsspec knows: ``s3://``, ``gs://``, ``abfs://``, ``https://``. Each
        needs its own library (s3fs, gcsfs, adlfs, aiohttp).
    storage_options
        Arguments of that library, such as ``{"anon": True}`` for a public bucket. What the
        environment says (``AWS_PROFILE``, ``AWS_ENDPOINT_URL``) is known to it.

    Returns
    -------
    The images, labels and tables of the store; of a folder all its elements.

    Raises
    ------
    FileNotFoundError
        There is no store.
    PermissionError
        It may not be read, or there are no credentials.
    ConnectionError
        Its server cannot be reached.
    ImportError
        The library for that kind of URL is not installed.

    Examples
    --------
    >>> import nimbus, tempfile
    >>> sdata = nimbus.datasets.tissue(shape=(64, 64), n_cells=9, markers=["CD3"], random_state=0)
    >>> folder = tempfile.mkdtemp()
    >>> sdata.write(f"{folder}/tissue.zarr")
    >>> there = nimbus.io.read_store(f"local://{folder}/tissue.zarr")
    >>> list(there.labels), there.path is None
    (['fov0_labels'], True)
    """
    if not is_remote(store):
        return read_zarr(store)
    root: Any = _open(str(store), storage_options)
    with tempfile.TemporaryDirectory(prefix="nimbus-") as folder:
        _mirror(root, Path(folder))
        sdata: SpatialData = read_zarr(folder, selection=_RASTERS)
    for kind in _RASTERS:
        elements = getattr(sdata, kind)
        for name in list(elements):
            elements[name] = _with_pixels(elements[name], root[f"{kind}/{name}"])
    tables: Any = root.get("tables", {})
    for name in tables:
        sdata.tables[name] = _table(tables[name])
    sdata.path = None
    return sdata


def _open(url: str, storage_options: Mapping[str, Any] | None) -> zarr.Group:
    try:
        place = FsspecStore.from_url(
            url, storage_options=dict(storage_options or {}), read_only=True
        )
        return zarr.open_group(place, mode="r")
    except FileNotFoundError as error:
        raise FileNotFoundError(f"there is no SpatialData store at {url}") from error
    except PermissionError as error:
        raise _not_allowed(url, error) from error
    except _s3_errors("ConnectionError", "HTTPClientError") as error:
        raise ConnectionError(
            f"{url} cannot be reached ({error}); is its endpoint right? AWS_ENDPOINT_URL or "
            "storage_options={'endpoint_url': ...} names it"
        ) from error
    except _s3_errors("BotoCoreError") as error:  # no credentials, half of them, or no such profile
        raise _not_allowed(url, error) from error


def _not_allowed(url: str, error: Exception) -> PermissionError:
    return PermissionError(
        f"{url} may not be read ({error}); give credentials as the library of that URL expects "
        "them, or storage_options={'anon': True} for a public bucket"
    )


def _s3_errors(*names: str) -> tuple[type[Exception], ...]:
    """Errors of the library below s3fs, which are no ``OSError``; none where it is not loaded."""
    library = sys.modules.get("botocore.exceptions")
    return tuple(getattr(library, name) for name in names) if library else ()


def _mirror(root: Any, folder: Path) -> None:
    """Write the metadata of a store to a folder: groups and arrays without their chunks."""
    nodes = [("", root)]
    for kind in _RASTERS:
        if kind in root:
            group = root[kind]
            nodes.append((kind, group))
            nodes += [(f"{kind}/{path}", node) for path, node in group.members(max_depth=None)]
    for path, node in nodes:
        (folder / path).mkdir(parents=True, exist_ok=True)
        documents = node.metadata.to_buffer_dict(default_buffer_prototype())
        for name, content in documents.items():
            (folder / path / name).write_bytes(content.to_bytes())


def _table(group: zarr.Group) -> AnnData:
    table: AnnData = read_elem(group)
    attrs = table.uns.get(TableModel.ATTRS_KEY, {})
    if isinstance(attrs.get("region"), np.ndarray):  # a list, when it was written
        attrs["region"] = attrs["region"].tolist()
    return table


def _with_pixels(element: DataArray | DataTree, group: Any) -> DataArray | DataTree:
    """The element with the remote arrays in place of the empty ones of the mirror."""
    attrs = group.attrs.asdict()
    multiscales = attrs.get("ome", attrs)["multiscales"][0]
    arrays = [da.from_zarr(group[level["path"]]) for level in multiscales["datasets"]]
    if isinstance(element, DataArray):
        return element.copy(data=arrays[0])
    levels = {}
    for key, array in zip(element, arrays, strict=True):
        (name,) = element[key].ds.data_vars
        pixels = element[key].ds[name]
        levels[key] = element[key].to_dataset().assign({name: pixels.copy(data=array)})
    return DataTree.from_dict(levels)
