"""Mantis Viewer projects, and the populations that people drew there."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData
from spatialdata import SpatialData
from spatialdata.models import TableModel

from nimbus._check import listed, require_known
from nimbus._keys import Obs
from nimbus.data.annotations import FOV, INSTANCE, whole_ids
from nimbus.data.cellrows import field_name
from nimbus.data.celltypes import CELL_TYPE, no_types, one_type_each

from ._files import entries, stem, tiff_files
from ._mantis_names import FEATURES, POPULATIONS, REGION_COLUMNS, SEGMENTATION
from ._safe_names import original_name
from ._stack import ImageStack
from .cohort import as_names, sdata_of
from .errors import read_error
from .tiff_folder import read_channel_files


def read_mantis(
    folder: str | Path,
    *,
    fovs: str | Sequence[str] | None = None,
    channels: str | Sequence[str] | None = None,
    segmentation: str = f"{SEGMENTATION}.tiff",
    pixel_size: float | None = None,
    key_added: str = CELL_TYPE,
) -> SpatialData:
    """Images, cells, populations and segment features of a Mantis Viewer project, lazily.

    Reads what :func:`nimbus.io.write_mantis` and ark-analysis write. Mantis Viewer itself keeps
    populations in a database of its own: export them (*Export > Populations > For project to single
    CSV*) and read the file with :func:`read_mantis_types`.

    Parameters
    ----------
    folder
        Folder of the project, with a folder for each field.
    fovs
        Fields to read; ``None`` for all.
    channels
        Channels to read, in this order; of a field those that it has. ``None`` for all.
    segmentation
        Name of the file with cell ids in the folder of each field.
    pixel_size
        Side of a pixel in micrometres; ``None`` where it is unknown.
    key_added
        Column of ``obs`` for the populations.

    Returns
    -------
    Elements as those of :func:`nimbus.io.read_fovs`. Where the project has ``populations.csv`` or
    ``segment_features.csv``, a table of the cells that they name: ``X`` has the features (NaN where
    an entry is empty), ``obs[key_added]`` the populations. A cell in several gets all their names,
    joined by ``" | "``.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        There is no such folder.
    ReadError
        It holds no field, a field has no segmentation, or a file is damaged.
    ValueError
        Unknown field or channel, or a pixel size that is no length.

    Examples
    --------
    >>> import nimbus, tempfile
    >>> sdata = nimbus.datasets.tissue(shape=(64, 64), n_cells=9, markers=["CD3"], random_state=0)
    >>> folder = nimbus.io.write_mantis(sdata, tempfile.mkdtemp(), cell_type_key="cell_type",
    ...                                 show_progress_bar=False)
    >>> again = read_mantis(folder, pixel_size=0.5)
    >>> sorted(again.images), sorted(again.labels), again["table"].n_obs == sdata["table"].n_obs
    (['fov0_image'], ['fov0_labels'], True)
    """
    fovs, channels = as_names("fovs", fovs), as_names("channels", channels)
    project = Path(folder)
    found = {original_name(path.name): path for path in entries(project) if _is_field(path)}
    if not found:
        raise read_error(project, "holds no folder of TIFF files; is it a Mantis Viewer project?")
    require_known("field", fovs or (), sorted(found))
    wanted = {fov: found[fov] for fov in (sorted(found) if fovs is None else fovs)}
    labels = {fov: path / segmentation for fov, path in wanted.items()}
    bare = sorted(fov for fov, path in labels.items() if not path.is_file())
    if bare:
        raise read_error(
            project,
            f"fields {listed(bare)} have no {segmentation!r}; pass segmentation= with the name of "
            "the file with cell ids, or choose fields with fovs=",
        )
    stacks = {fov: _channels(path, segmentation) for fov, path in wanted.items()}
    sdata = sdata_of(stacks, labels, channels=channels, pixel_size=pixel_size)
    table = _table(sdata, project, key_added)
    if table is not None:
        sdata["table"] = table
    return sdata


def read_mantis_types(path: str | Path, *, fov: str | None = None) -> pd.DataFrame:
    r"""Populations that Mantis Viewer exported, as a table of cell types.

    Parameters
    ----------
    path
        CSV file of a project (field, cell, population) or of one image set (cell, population),
        without a header.
    fov
        Field of a file of one image set, which does not name it; ``None`` takes the name of its
        folder.

    Returns
    -------
    Columns ``fov``, ``instance_id`` and ``cell_type``, as :func:`nimbus.pp.cell_types` takes them.
    A cell in several populations has several rows.

    Raises
    ------
    ReadError
        The file is no such CSV.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "populations.csv"
    >>> _ = path.write_text("fov%3A1,70000,CD8 T cell\nfov%3A1,3,B cell\n")
    >>> read_mantis_types(path)
         fov  instance_id   cell_type
    0  fov:1        70000  CD8 T cell
    1  fov:1            3      B cell
    """
    path = Path(path)
    rows = _read_csv(path, header=None)
    if rows.empty:
        return no_types()
    if rows.shape[1] not in (2, 3):
        raise read_error(
            path,
            f"has {rows.shape[1]} columns; populations have field, cell and population, or cell "
            "and population for one field",
        )
    if rows.shape[1] == 2:
        rows.insert(0, "field", path.parent.name if fov is None else fov)
    rows.columns = [FOV, INSTANCE, CELL_TYPE]
    rows = _with_ids(rows, path)
    return rows[rows[CELL_TYPE] != ""].reset_index(drop=True)


def _is_field(path: Path) -> bool:
    return path.is_dir() and bool(tiff_files(path))


def _channels(folder: Path, segmentation: str) -> ImageStack:
    """Channels of a field: its TIFFs but for the segmentation and masks of populations."""
    files = [
        path
        for path in tiff_files(folder)
        if path.name != segmentation and not _is_population_mask(path)
    ]
    if not files:
        raise read_error(folder, "holds no channel beside the segmentation")
    stack = read_channel_files(folder, files)
    return replace(stack, channels=tuple(original_name(name) for name in stack.channels))


def _is_population_mask(path: Path) -> bool:
    """Whether a CSV beside a TIFF says what its numbers stand for."""
    names = path.with_name(stem(path) + ".csv")
    if not names.is_file():
        return False
    with names.open(encoding="utf-8-sig", errors="replace") as file:
        return file.readline().strip() == ",".join(REGION_COLUMNS)


def _table(sdata: SpatialData, project: Path, key_added: str) -> AnnData | None:
    """Cells of the fields that are read, with their features and populations."""
    keys = {field_name(sdata, key): key for key in sdata.labels}
    features, types = _features(project / FEATURES), _populations(project / POPULATIONS)
    index = features.index.union(types.index, sort=False)
    index = index[index.get_level_values(FOV).isin(list(keys))]
    if not len(index):
        return None
    regions = [keys[fov] for fov in index.get_level_values(FOV)]
    ids = index.get_level_values(INSTANCE).to_numpy()
    own = types.reindex(index).to_numpy(dtype=object)
    named = [name for name in dict.fromkeys(types) if name in set(own)]
    obs = pd.DataFrame(
        {
            Obs.REGION: pd.Categorical(regions),
            Obs.INSTANCE: ids,
            key_added: pd.Categorical(own, categories=named),
        },
        index=[f"{region}_{cell}" for region, cell in zip(regions, ids, strict=True)],
    )
    table = AnnData(
        features.reindex(index).to_numpy(np.float32),
        obs=obs,
        var=pd.DataFrame(index=features.columns),
    )
    parsed: AnnData = TableModel.parse(
        table,
        region=sorted(set(regions)),
        region_key=Obs.REGION,
        instance_key=Obs.INSTANCE,
    )
    return parsed


def _populations(path: Path) -> pd.Series:
    """Type of each cell by field and id; empty without a file."""
    frame = read_mantis_types(path) if path.is_file() else no_types()
    return one_type_each(frame, join=True).set_index([FOV, INSTANCE])[CELL_TYPE]


def _features(path: Path) -> pd.DataFrame:
    """Numbers of each cell by field and id; empty without a file."""
    if not path.is_file():
        return no_types()[[FOV, INSTANCE]].set_index([FOV, INSTANCE])
    frame = _read_csv(path, header=0)
    if frame.shape[1] < 2:
        raise read_error(path, "has no columns for field and cell")
    frame.columns = [FOV, INSTANCE, *frame.columns[2:]]
    frame = _with_ids(frame, path).set_index([FOV, INSTANCE])
    if frame.index.has_duplicates:
        fov, cell = frame.index[frame.index.duplicated()][0]
        raise read_error(path, f"has cell {cell} of field {fov!r} in more than one row")
    return pd.DataFrame({name: pd.to_numeric(frame[name], errors="coerce") for name in frame})


def _read_csv(path: Path, *, header: int | None) -> pd.DataFrame:
    """All as text: a field may be called "NA", an id may be large."""
    try:
        return pd.read_csv(
            path, header=header, dtype=str, keep_default_na=False, encoding="utf-8-sig"
        )
    except pd.errors.EmptyDataError:  # no cell is in a population
        return pd.DataFrame()
    except (ValueError, csv.Error) as error:  # UnicodeDecodeError, ParserError
        raise read_error(path, f"is no CSV table ({error})") from error


def _with_ids(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    try:
        frame[INSTANCE] = whole_ids(frame[INSTANCE], what="its column of cells")
    except ValueError as error:
        raise read_error(path, str(error)) from error
    frame[FOV] = frame[FOV].map(original_name)
    return frame
