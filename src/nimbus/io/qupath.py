"""Labels to QuPath and back: outlines of cells, coloured by what they are labelled."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args
from urllib.parse import unquote

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from spatialdata import SpatialData

from nimbus._check import listed, require_known
from nimbus._keys import Layers
from nimbus._types import AnyArray
from nimbus.data.annotations import (
    FOV,
    INSTANCE,
    JUDGEMENTS,
    LABEL,
    MARKER,
    PAIR,
    Classes,
    as_judgement,
    check_classes,
)
from nimbus.data.cellrows import field_name
from nimbus.data.layers import layer_names, layer_values
from nimbus.data.outlines import Polygon, cell_outlines
from nimbus.data.tables import annotated_labels, region_rows, table_of

from .errors import read_error
from .geojson import CellClass, CellObject, ObjectType, read_objects, write_objects

SUFFIX = ".geojson"

CLASSES = {
    1: CellClass("Positive", (220, 50, 47)),
    0: CellClass("Negative", (70, 130, 200)),
    -1: CellClass("Undetermined", (150, 150, 150)),
}
"""How labels are called and coloured in QuPath."""

_IGNORED = "Ignore*"
"""QuPath's own class for what is not to be counted."""

_FORBIDDEN = re.compile(r'[<>:"/\\|?*%\x00-\x1f]|^\.|[. ]$')
"""Characters that a file name may not have on one of the usual systems."""


def write_qupath(  # noqa: PLR0913 - the public signature
    sdata: SpatialData,
    folder: str | Path,
    *,
    layer: str = Layers.SILVER,
    markers: str | Sequence[str] | None = None,
    labels_key: str | Sequence[str] | None = None,
    image_key: str | Mapping[str, str] | None = None,
    measurements: Sequence[str] | None = None,
    table_key: str = "table",
    object_type: ObjectType = "detection",
    overwrite: bool = False,
) -> list[Path]:
    """Write labels as GeoJSON that QuPath imports: one file for each field and marker.

    Drop a file on the open image of its field. Select cells, choose their class (Positive,
    Negative, Likely positive, Likely negative, Undetermined) in the tab *Annotations*, press *Set
    selected*, and at the end *File > Export objects as GeoJSON* to a file that
    :func:`read_qupath` reads.

    Parameters
    ----------
    sdata
        Labels, and the table that annotates them.
    folder
        Folder to write to, made where it does not exist: ``{fov}/{marker}.geojson``.
    layer
        Labels: 1 positive, 0 negative, -1 undetermined.
    markers
        Markers to write; ``None`` takes those with a label in the field.
    labels_key
        Fields to write; ``None`` takes all that the table annotates.
    image_key
        Image of the labels, or one for each; ``None`` takes the only one, or that of the same stem.
        The corners are in its pixels, as QuPath counts them; without any image in those of the
        labels.
    measurements
        Layers whose value is written for each cell, for QuPath's measurement maps; ``None`` takes
        ``"integrated"`` and ``"nimbus"`` as far as they exist.
    table_key
        The table.
    object_type
        ``"detection"``, or ``"annotation"`` for outlines that can be changed by hand.
    overwrite
        Replace files that exist; otherwise they are left alone and refused.

    Returns
    -------
    The files. Each cell has its id as name and, with field and marker, as metadata. Outlines follow
    the sides of the pixels; cells in several pieces are multipolygons.

    Raises
    ------
    ValueError
        An unknown table, layer, marker or element, labels that are none of 1, 0, -1, or no label at
        all.
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
    >>> [path] = write_qupath(sdata, tempfile.mkdtemp(), layer="truth")
    >>> path.name, len(read_qupath(path)) == sdata["table"].n_obs
    ('CD3.geojson', True)
    """
    if object_type not in get_args(ObjectType):
        raise ValueError(f"object_type={object_type!r} is none of {listed(get_args(ObjectType))}")
    table = table_of(sdata, table_key)
    labels_keys = annotated_labels(table, labels_key, sorted(sdata.labels), table_key=table_key)
    content = _Content.of(table, layer, markers, measurements)
    plan = {
        key: content.files(Path(folder) / _file_name(field_name(sdata, key)), rows, ids)
        for key, (rows, ids) in region_rows(table).items()
        if key in labels_keys
    }
    _refuse_existing([path for files in plan.values() for path in files], overwrite)
    written = []
    for key, files in plan.items():
        rows, ids = region_rows(table)[key]
        image = image_key.get(key) if isinstance(image_key, Mapping) else image_key
        outlines = cell_outlines(sdata, key, image_key=image)
        _warn_of_missing(ids, outlines, key)
        for path, marker in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            cells = content.cells(outlines, rows, ids, fov=field_name(sdata, key), marker=marker)
            write_objects(path, cells, object_type=object_type)
            written.append(path)
    if not written:
        raise ValueError(f"layer {layer!r} labels no cell of {listed(labels_keys)}; nothing to do")
    return written


def read_qupath(
    path: str | Path, *, fov: str | None = None, marker: str | None = None, classes: Classes = None
) -> pd.DataFrame:
    """Labels that were corrected in QuPath.

    Parameters
    ----------
    path
        GeoJSON file that QuPath exported, or a folder of such files and folders.
    fov, marker
        Field and marker of all objects; ``None`` takes what each object says, and where it says
        nothing (QuPath before 0.5 drops it) the names of its folder and of the file, as
        :func:`write_qupath` gives them.
    classes
        Own classes and what they stand for, e.g. ``{"CD3+": "positive"}``. Case does not matter in
        the five names; QuPath's ``Ignore*`` is undetermined.

    Returns
    -------
    Columns ``fov``, ``instance_id``, ``marker`` and ``label`` (one of ``"positive"``,
    ``"negative"``, ``"likely positive"``, ``"likely negative"``, ``"undetermined"``). Objects
    without a class are left out: nobody judged them.

    Raises
    ------
    FileNotFoundError
        There is no such file or folder, or no GeoJSON file in it.
    ReadError
        A file is no GeoJSON of cells, a class is unknown, or a cell has two different labels.
    ValueError
        A class of `classes` stands for none of the five labels.

    Warns
    -----
    UserWarning
        Objects that have no cell id, such as drawings of the annotator's own.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp()) / "fov1"
    >>> folder.mkdir()
    >>> square = (np.array([[0, 0], [2, 0], [2, 2], [0, 2]]),)
    >>> cell = CellObject(70_000, (square,), CellClass("Likely positive", (255, 150, 0)))
    >>> write_objects(folder / "CD3.geojson", [cell])
    >>> read_qupath(folder)
        fov  instance_id marker            label
    0  fov1        70000    CD3  likely positive
    """
    check_classes(classes)
    found: dict[tuple[str, int, str], tuple[str, Path]] = {}
    for file in _files(Path(path)):
        for pair, label in _judged(file, fov, marker, classes):
            before, where = found.setdefault(pair, (label, file))
            if before != label:
                raise read_error(
                    file,
                    f"cell {pair[1]} of field {pair[0]!r} is {label} for {pair[2]!r}, but {before} "
                    f"in {str(where)!r}; read each annotator's files apart, or remove one",
                )
    rows = [(*pair, label) for pair, (label, _) in found.items()]
    frame = pd.DataFrame(rows, columns=[*PAIR, LABEL])
    return frame.astype({FOV: object, INSTANCE: np.int64, MARKER: object, LABEL: object})


@dataclass(frozen=True, slots=True, eq=False)
class _Content:
    """What is written of a table: labels and measurements, all ``(cells, markers)``."""

    markers: tuple[str, ...]
    wanted: tuple[str, ...] | None
    labels: NDArray[np.int8]
    measured: dict[str, AnyArray]

    @classmethod
    def of(
        cls,
        table: AnnData,
        layer: str,
        markers: str | Sequence[str] | None,
        measurements: Sequence[str] | None,
    ) -> _Content:
        there = layer_names(table)
        if measurements is None:
            measurements = [name for name in (Layers.INTEGRATED, Layers.SCORE) if name in there]
        require_known("layer", [layer, *measurements], there)
        names = tuple(str(name) for name in table.var_names)
        wanted = (markers,) if isinstance(markers, str) else markers
        require_known("marker", wanted or (), names)
        columns = list(range(table.n_vars))
        labels = layer_values(table, layer, columns)
        if not np.isin(labels, list(CLASSES)).all():
            raise ValueError(
                f"layer {layer!r} holds values other than 1 (positive), 0 (negative) and -1 "
                "(undetermined); make labels of it first, e.g. with nimbus.tl.call"
            )
        measured = {name: layer_values(table, name, columns) for name in measurements}
        return cls(
            names, None if wanted is None else tuple(wanted), labels.astype(np.int8), measured
        )

    def files(
        self, folder: Path, rows: NDArray[np.intp], ids: NDArray[np.int64]
    ) -> dict[Path, str]:
        """Marker of each file of a field."""
        own = self.labels[rows]
        labelled = [m for k, m in enumerate(self.markers) if ids.size and (own[:, k] >= 0).any()]
        chosen = labelled if self.wanted is None else self.wanted
        return {folder / (_file_name(name) + SUFFIX): name for name in chosen}

    def cells(
        self,
        outlines: Mapping[int, tuple[Polygon, ...]],
        rows: NDArray[np.intp],
        ids: NDArray[np.int64],
        *,
        fov: str,
        marker: str,
    ) -> Iterator[CellObject]:
        """Cells of a field, as they are labelled for one marker."""
        k = self.markers.index(marker)
        for row, cell in zip(rows.tolist(), ids.tolist(), strict=True):
            if cell in outlines:
                yield CellObject(
                    cell,
                    outlines[cell],
                    CLASSES[int(self.labels[row, k])],
                    {name: float(values[row, k]) for name, values in self.measured.items()},
                    {FOV: fov, MARKER: marker},
                )


def _judged(
    file: Path, fov: str | None, marker: str | None, classes: Classes
) -> Iterator[tuple[tuple[str, int, str], str]]:
    """Pairs of a file and what they are judged."""
    cells = read_objects(file)
    strangers = sum(cell.cell_id is None for cell in cells)
    if strangers and strangers == len(cells):
        raise read_error(
            file,
            "no object has the id of a cell as its name; only files of write_qupath keep the ids",
        )
    if strangers:
        warnings.warn(
            f"{file}: {strangers} of {len(cells)} objects have no cell id and are left out",
            stacklevel=3,
        )
    for cell in cells:
        if cell.cell_id is None or cell.classification is None:
            continue
        name = cell.classification.name
        label = as_judgement(name, {_IGNORED: "undetermined", **(classes or {})})
        if label is None:
            raise read_error(
                file,
                f"cell {cell.cell_id} is of class {name!r}, which is none of {listed(JUDGEMENTS)}; "
                "say what it stands for with classes=",
            )
        where = fov or cell.metadata.get(FOV) or unquote(file.parent.name)
        what = marker or cell.metadata.get(MARKER) or unquote(file.name.removesuffix(SUFFIX))
        yield (where, cell.cell_id, what), label


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise FileNotFoundError(f"there is no file or folder {str(path)!r}")
    found = sorted(
        file
        for file in path.rglob(f"*{SUFFIX}")
        if file.is_file() and not file.name.startswith(".")
    )
    if not found:
        raise FileNotFoundError(f"folder {str(path)!r} holds no {SUFFIX} file")
    return found


def _file_name(name: str) -> str:
    """A name as a file may have it: what it may not have becomes ``%2F`` and the like."""
    return _FORBIDDEN.sub(lambda match: f"%{ord(match[0]):02X}", name)


def _refuse_existing(paths: Sequence[Path], overwrite: bool) -> None:
    there = [path for path in paths if path.exists()]
    if there and not overwrite:
        raise FileExistsError(
            f"{len(there)} files are there already, e.g. {str(there[0])!r}; they may hold "
            "somebody's corrections: choose another folder, or pass overwrite=True"
        )


def _warn_of_missing(
    ids: NDArray[np.int64], outlines: Mapping[int, tuple[Polygon, ...]], labels_key: str
) -> None:
    missing = int((~np.isin(ids, list(outlines))).sum())
    if missing:
        warnings.warn(
            f"{missing} rows of the table have no cell in the labels {labels_key!r}; they are not "
            "written",
            stacklevel=3,
        )
