"""The published training data, Pan-Multiplex, as SpatialData with labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from spatialdata import SpatialData
from spatialdata.models import TableModel

from nimbus._check import listed, require_known
from nimbus._keys import Attrs, Layers, Obs
from nimbus.core.assignment import AssignmentMatrix, read_assignment
from nimbus.data.annotations import whole_ids
from nimbus.data.elements import channel_names
from nimbus.data.fields import IMAGE_SUFFIX, LABELS_SUFFIX

from .cohort import read_fovs
from .errors import read_error
from .pan_layout import LAYOUTS, PanLayout

UNDECIDED = -1
"""Label of a cell that nobody decided: 2 and 3 in the published tables, or missing."""


def read_pan_multiplex(
    folder: str | Path,
    *,
    layout: str | PanLayout = "gold",
    dataset: str | None = None,
    pixel_size: float | None = None,
    fovs: str | Sequence[str] | None = None,
    channels: str | Sequence[str] | None = None,
    key_added: str = Layers.SILVER,
) -> SpatialData:
    """Images, masks and labels of one data set of Pan-Multiplex, lazily, as one SpatialData.

    The data are at ``huggingface.co/datasets/JLrumberger/Pan-Multiplex`` (CC-BY-SA-4.0) and
    ``.../Pan-Multiplex-Gold-Standard``; unpack them first. What comes out goes to
    :func:`nimbus.datasets.write_training_set`.

    Parameters
    ----------
    folder
        Folder of the data set, e.g. ``gold_standard_labelled/vectra_colon``.
    layout
        ``"gold"``, ``"vectra_colon"``, ``"vectra_pancreas"``, ``"mibi_decidua"``,
        ``"mibi_breast"``, or your own :class:`PanLayout` where files lie elsewhere.
    dataset
        Name of the data set in a table of several; None: the name of the folder.
    pixel_size
        Side of a pixel in micrometres. The published files do not say it; the authors named 0.25
        for the gold standard, which does not fit all of its instruments: measure a nucleus.
    fovs, channels
        As in :func:`nimbus.io.read_fovs`.
    key_added
        Layer of the labels.

    Returns
    -------
    As of :func:`nimbus.io.read_fovs`, with ``sdata.tables["table"]``: a row for each cell of the
    published table, a column for each channel that it decides about, and ``layers[key_added]``
    (int8): 1 positive, 0 negative, -1 undecided (2 and 3 there) or missing. Names are compared
    without regard to case.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        A folder or table that the layout names is not there.
    ReadError
        A table without the columns of the layout, without cells of these fields, or with a cell
        twice; and all that :func:`nimbus.io.read_fovs` refuses.

    Examples
    --------
    >>> import tempfile, tifffile
    >>> root = Path(tempfile.mkdtemp())
    >>> (root / "colon/fovs/a").mkdir(parents=True), (root / "colon/masks").mkdir()
    (None, None)
    >>> tifffile.imwrite(root / "colon/fovs/a/CD3.ome.tif", np.ones((8, 9), np.uint8))
    >>> tifffile.imwrite(root / "colon/masks/a.ome.tif", np.ones((8, 9), np.uint16))
    >>> columns = ["dataset", "fov", "cell_id", "channel", "activity"]
    >>> rows = pd.DataFrame([["colon", "a", 1, "CD3", 1]], columns=columns)
    >>> rows.to_csv(root / "gold_standard_groundtruth.csv", index=False)
    >>> sdata = read_pan_multiplex(root / "colon", pixel_size=0.5)
    >>> sdata["table"].layers["silver"]
    array([[1]], dtype=int8)
    """
    root = Path(folder)
    if isinstance(layout, str):
        require_known("layout", [layout], list(LAYOUTS))
        layout = LAYOUTS[layout]
    sdata = read_fovs(
        root / layout.images,
        root / layout.masks,
        pattern=layout.pattern,
        pixel_size=pixel_size,
        fovs=fovs,
        channels=channels,
    )
    known = _known_labels(root, layout, dataset or root.name)
    sdata.tables["table"] = _table(sdata, known, root / layout.labels, key_added)
    return sdata


MISSING = ["", "NA", "N/A", "n/a", "NaN", "nan", "NULL", "null", "None"]
"""How tables write that there is no value, in columns that are no names of fields."""


def _known_labels(root: Path, layout: PanLayout, dataset: str) -> pd.DataFrame:
    """Labels by (field, cell) and marker in lower case."""
    path = root / layout.labels
    if not path.is_file():
        raise FileNotFoundError(
            f"no table {str(path)!r}; pass layout=PanLayout(...) with the place of yours"
        )
    frame = _read_csv(path, layout)
    _require_columns(frame, layout, path)
    if layout.dataset_key is not None:
        there = frame[layout.dataset_key]
        if dataset not in set(there):
            raise read_error(
                path, f"has no data set {dataset!r}; there is {listed(there.unique())}: dataset="
            )
        frame = frame[there == dataset]
    cells = pd.MultiIndex.from_arrays(
        [frame[layout.fov_key], _cell_ids(frame[layout.cell_key], path)], names=["fov", "cell"]
    )
    return _by_form(frame, cells, layout, root)


def _read_csv(path: Path, layout: PanLayout) -> pd.DataFrame:
    """The table; names stay as they stand there: a field may be called "001" or "NA"."""
    names = dict.fromkeys((layout.fov_key, layout.dataset_key or layout.fov_key), str)
    try:
        others = pd.read_csv(path, nrows=0).columns.difference(list(names))
        missing = dict.fromkeys(others, MISSING)
        return pd.read_csv(path, dtype=names, keep_default_na=False, na_values=missing)
    except ValueError as error:  # UnicodeDecodeError, ParserError, EmptyDataError
        raise read_error(path, f"is no CSV table ({error})") from error


def _cell_ids(values: pd.Series, path: Path) -> NDArray[np.int64]:
    if values.dtype.kind in "iu":
        return values.to_numpy(np.int64)
    try:
        return whole_ids(values, what=f"its column {str(values.name)!r}")
    except ValueError as error:
        raise read_error(path, str(error)) from error


def _require_columns(frame: pd.DataFrame, layout: PanLayout, path: Path) -> None:
    wanted = (
        layout.fov_key, layout.cell_key, layout.dataset_key, layout.marker_key, layout.value_key,
        layout.cell_type_key,
    )  # fmt: skip
    missing = [name for name in wanted if name is not None and name not in frame.columns]
    if missing:
        raise read_error(
            path,
            f"has no column {listed(missing)}; there is {listed(frame.columns)}. Name the columns "
            "with layout=PanLayout(...)",
        )


def _by_form(
    frame: pd.DataFrame, cells: pd.MultiIndex, layout: PanLayout, root: Path
) -> pd.DataFrame:
    """Labels in the form that the layout has."""
    if layout.marker_key is not None and layout.value_key is not None:
        index = pd.MultiIndex.from_arrays(
            [
                cells.get_level_values(0),
                cells.get_level_values(1),
                pd.Index(_lower(frame[layout.marker_key])),
            ],
            names=["fov", "cell", "marker"],
        )
        _refuse_twice(index, root / layout.labels)
        values = pd.Series(_decided(frame[layout.value_key]), index=index)
        return values.unstack("marker", fill_value=UNDECIDED)
    _refuse_twice(cells, root / layout.labels)
    if layout.assignment is not None and layout.cell_type_key is not None:
        matrix = _in_lower_case(read_assignment(root / layout.assignment))
        types = _lower(frame[layout.cell_type_key])
        return pd.DataFrame(
            matrix.labels_of(types, matrix.markers), index=cells, columns=list(matrix.markers)
        )
    columns = {
        str(name): str(name).removesuffix(layout.suffix).lower()
        for name in frame.columns
        if str(name).endswith(layout.suffix) and name not in (layout.fov_key, layout.cell_key)
    }
    numbers = {new: _decided(frame[old]) for old, new in columns.items()}
    return pd.DataFrame(numbers, index=cells)


def _table(sdata: SpatialData, known: pd.DataFrame, path: Path, key_added: str) -> AnnData:
    """The cells of the fields that were read, with the labels of their channels."""
    original: Mapping[str, str] = sdata.attrs.get(Attrs.FOVS, {})
    names = [name.removesuffix(LABELS_SUFFIX) for name in sorted(sdata.labels)]
    by_fov = {
        name: known.xs(original.get(name, name), level="fov")
        for name in names
        if original.get(name, name) in known.index.unique("fov")
    }
    markers = _markers(sdata, names, list(known.columns))
    if not by_fov or not markers:
        raise read_error(
            path,
            f"decides about no cell of the fields {listed(names)}, or about none of their "
            f"channels; it has fields {listed(known.index.unique('fov'))} and markers "
            f"{listed(known.columns)}",
        )
    regions = [name + LABELS_SUFFIX for name in by_fov]
    sizes = [len(own) for own in by_fov.values()]
    obs = pd.DataFrame(
        {
            Obs.REGION: pd.Categorical(np.repeat(regions, sizes), categories=regions),
            Obs.INSTANCE: np.concatenate([own.index.to_numpy(np.int64) for own in by_fov.values()]),
        }
    )
    obs.index = pd.Index(
        [f"{r}_{i}" for r, i in zip(obs[Obs.REGION], obs[Obs.INSTANCE], strict=True)], dtype=object
    )
    lower = [marker.lower() for marker in markers]
    labels = np.concatenate([own[lower].to_numpy(np.int8) for own in by_fov.values()])
    table = AnnData(
        obs=obs, var=pd.DataFrame(index=pd.Index(markers, dtype=object)), layers={key_added: labels}
    )
    return TableModel.parse(table, region=regions, region_key=Obs.REGION, instance_key=Obs.INSTANCE)


def _markers(sdata: SpatialData, names: Sequence[str], known: Sequence[str]) -> list[str]:
    """Channels of the fields that labels are known for."""
    images = [name + IMAGE_SUFFIX for name in names]
    channels = dict.fromkeys(
        c for image in images for c in channel_names(sdata.images[image], image_key=image)
    )
    return [channel for channel in channels if channel.lower() in set(known)]


def _refuse_twice(index: pd.MultiIndex, path: Path) -> None:
    twice = index[index.duplicated()]
    if len(twice):
        raise read_error(path, f"has several rows for {listed(twice, at_most=4)}; one is right")


def _decided(values: pd.Series) -> NDArray[np.int8]:
    """1 and 0 as they are; all else is undecided."""
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(np.float64)
    return np.where(np.isin(numbers, (0, 1)), numbers, UNDECIDED).astype(np.int8)


def _in_lower_case(matrix: AssignmentMatrix) -> AssignmentMatrix:
    return AssignmentMatrix(
        tuple(name.lower() for name in matrix.cell_types),
        tuple(name.lower() for name in matrix.markers),
        matrix.values,
    )


def _lower(values: pd.Series) -> pd.Series:
    """Names in lower case; missing ones stay missing."""
    return values.where(values.isna(), values.astype(str).str.strip().str.lower())
