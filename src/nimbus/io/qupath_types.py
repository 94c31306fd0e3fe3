"""Cell types to QuPath and back: outlines of cells, each of the class of its type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.colors import to_rgb
from numpy.typing import NDArray
from spatialdata import SpatialData

from nimbus._types import AnyArray
from nimbus.data.annotations import FOV, INSTANCE
from nimbus.data.cellrows import field_name
from nimbus.data.celltypes import CELL_TYPE, COLOR, no_types
from nimbus.data.elements import require_sdata
from nimbus.data.groups import group_colors, group_key, groups_of
from nimbus.data.layers import named_columns
from nimbus.data.outlines import Polygon
from nimbus.data.tables import annotated_labels, region_rows, table_of

from ._qupath_names import SUFFIX
from ._qupath_writing import outlines_of, refuse_existing, require_object_type
from ._safe_names import original_name, safe_name
from .errors import read_error
from .from_qupath import classified_cells, geojson_files
from .geojson import CellClass, CellObject, ObjectType, write_objects


def write_qupath_types(  # noqa: PLR0913 - the public signature
    sdata: SpatialData,
    folder: str | Path,
    *,
    cell_type_key: str | None = None,
    measurements: str | Sequence[str] | None = None,
    labels_key: str | Sequence[str] | None = None,
    image_key: str | Mapping[str, str] | None = None,
    table_key: str = "table",
    object_type: ObjectType = "detection",
    overwrite: bool = False,
) -> list[Path]:
    """Write cells with their types as GeoJSON that QuPath imports: one file for each field.

    Drop a file on the open image of its field: every cell appears as an object of the class of its
    type. :func:`read_qupath_types` reads what was changed there.

    Parameters
    ----------
    sdata
        Labels, and the table that annotates them.
    folder
        Folder to write to, made where it does not exist: ``{fov}.geojson``.
    cell_type_key
        Column of ``obs`` with the types, metaclusters or other groups; ``None`` takes
        ``"nimbus_cell_type"``, or where there is none ``"nimbus_metacluster"``. Cells without one
        are written without a class.
    measurements
        Layers whose values are written for each cell and marker, as ``"CD3: nimbus"``; ``None``
        takes ``"nimbus"`` as far as it exists; ``[]`` none.
    labels_key
        Fields to write; ``None`` takes all that the table annotates.
    image_key
        Image of the labels, or one for each; ``None`` takes the only one, or that of the same stem.
        The corners are in its pixels, as QuPath counts them; without any image in those of the
        labels.
    table_key
        The table.
    object_type
        ``"detection"``, or ``"annotation"`` for outlines that can be changed by hand.
    overwrite
        Replace files that exist; otherwise they are left alone and refused.

    Returns
    -------
    The files. Classes have the colours of ``uns[f"{cell_type_key}_colors"]``. Each cell has its id
    as name and, with the field, as metadata.

    Raises
    ------
    TypeError
        No SpatialData object.
    ValueError
        An unknown table, column, layer or element.
    FileExistsError
        A file is there already.

    Warns
    -----
    UserWarning
        Rows of the table whose cell is not in the labels.

    Examples
    --------
    >>> import nimbus, tempfile
    >>> sdata = nimbus.datasets.tissue(shape=(64, 64), n_cells=9, markers=["CD3"], random_state=0)
    >>> [path] = write_qupath_types(sdata, tempfile.mkdtemp(), cell_type_key="cell_type")
    >>> path.name, len(read_qupath_types(path)) == sdata["table"].n_obs
    ('fov0.geojson', True)
    """
    require_sdata(sdata)
    require_object_type(object_type)
    table = table_of(sdata, table_key)
    wanted = annotated_labels(table, labels_key, sorted(sdata.labels), table_key=table_key)
    key = group_key(table, cell_type_key)
    groups = groups_of(table, key)
    classes = {
        name: CellClass(name, _rgb(color))
        for name, color in group_colors(table, key, list(groups.cat.categories)).items()
    }
    measured = named_columns(table, measurements, pattern="{marker}: {layer}")
    paths = {name: _file(Path(folder), field_name(sdata, name)) for name in wanted}
    refuse_existing(list(paths.values()), overwrite)
    Path(folder).mkdir(parents=True, exist_ok=True)
    regions = region_rows(table)
    for name, path in paths.items():
        rows, ids = regions[name]
        outlines = outlines_of(sdata, name, ids, image_key=image_key)
        own = [classes.get(group) for group in groups.iloc[rows]]
        cells = _cells(outlines, rows, ids, own, measured, fov=field_name(sdata, name))
        write_objects(path, cells, object_type=object_type)
    return list(paths.values())


def read_qupath_types(path: str | Path, *, fov: str | None = None) -> pd.DataFrame:
    """Classes of cells as QuPath exported them, as a table of cell types.

    Parameters
    ----------
    path
        GeoJSON file that QuPath exported, or a folder of such files and folders.
    fov
        Field of all objects; ``None`` takes what each object says, and where it says nothing
        (QuPath before 0.5 drops it) the name of the file.

    Returns
    -------
    Columns ``fov``, ``instance_id``, ``cell_type`` and ``color`` (``"#rrggbb"``), as
    :func:`nimbus.pp.cell_types` takes them. Objects without a class are left out.

    Raises
    ------
    FileNotFoundError
        There is no such file or folder, or no GeoJSON file in it.
    ReadError
        A file is no GeoJSON of cells, or a cell is of two classes.

    Warns
    -----
    UserWarning
        Objects that have no cell id, such as drawings of one's own.

    Examples
    --------
    >>> import tempfile
    >>> square = (np.array([[0, 0], [2, 0], [2, 2], [0, 2]]),)
    >>> cell = CellObject(70_000, (square,), CellClass("T cell", (255, 150, 0)))
    >>> path = Path(tempfile.mkdtemp()) / "fov1.geojson"
    >>> write_objects(path, [cell])
    >>> read_qupath_types(path)
        fov  instance_id cell_type    color
    0  fov1        70000    T cell  #ff9600
    """
    found: dict[tuple[str, int], tuple[str, str]] = {}
    for file in geojson_files(Path(path)):
        for cell in classified_cells(file):
            where = fov or cell.metadata.get(FOV) or original_name(file.name.removesuffix(SUFFIX))
            own = cell.classification.name, _hex(cell.classification)
            before, _ = found.setdefault((where, cell.cell_id), own)
            if before != own[0]:
                raise read_error(
                    file,
                    f"cell {cell.cell_id} of field {where!r} is of class {own[0]!r}, but of "
                    f"{before!r} in another place; read the files apart, or remove one",
                )
    if not found:
        return no_types().assign(**{COLOR: pd.Series(dtype=object)})
    rows = [(*cell, *own) for cell, own in found.items()]
    frame = pd.DataFrame(rows, columns=[FOV, INSTANCE, CELL_TYPE, COLOR])
    return frame.astype({FOV: object, INSTANCE: np.int64, CELL_TYPE: object, COLOR: object})


def _cells(
    outlines: Mapping[int, tuple[Polygon, ...]],
    rows: NDArray[np.intp],
    ids: NDArray[np.int64],
    classes: Sequence[CellClass | None],
    measured: Mapping[str, AnyArray],
    *,
    fov: str,
) -> Iterator[CellObject]:
    """Cells of a field that have an outline."""
    for row, cell, own in zip(rows.tolist(), ids.tolist(), classes, strict=True):
        if cell in outlines:
            numbers = {name: float(values[row]) for name, values in measured.items()}
            yield CellObject(cell, outlines[cell], own, numbers, {FOV: fov})


def _file(folder: Path, fov: str) -> Path:
    return folder / (safe_name(fov) + SUFFIX)


def _rgb(color: str) -> tuple[int, int, int]:
    red, green, blue = (round(255 * part) for part in to_rgb(color))
    return red, green, blue


def _hex(own: CellClass) -> str:
    red, green, blue = own.color
    return f"#{red:02x}{green:02x}{blue:02x}"
