"""SpatialData stores, opened so that damage is told in one line."""

from __future__ import annotations

from pathlib import Path

from spatialdata import SpatialData, read_zarr

from .errors import read_error


def open_store(path: str | Path) -> SpatialData:
    """A SpatialData store, lazily; whatever damage raises below names the store.

    Raises
    ------
    FileNotFoundError, PermissionError
        There is no such folder, or it may not be read.
    ReadError
        It is damaged, half written, or of a version that the installed SpatialData does not read.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "cohort.zarr"
    >>> folder.mkdir()
    >>> _ = (folder / "zarr.json").write_text("{")
    >>> open_store(folder)
    Traceback (most recent call last):
    nimbus.io.errors.ReadError: ...cohort.zarr: this store cannot be read (JSONDecodeError: ...
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"store {path} does not exist")
    try:
        return read_zarr(path)
    except PermissionError:
        raise
    # SpatialData, AnnData and Zarr take metadata apart unchecked: 40 kinds of error were seen, a
    # MemoryError for a declared size among them. None of them says which store it was.
    except Exception as error:
        told = str(error).strip()[:300] or "no more is told"
        raise read_error(
            path,
            f"this store cannot be read ({type(error).__name__}: {told}); an element is damaged "
            "or half written, or another version of spatialdata wrote it",
        ) from error
