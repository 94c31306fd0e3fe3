"""Labels from QuPath, as annotators corrected them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from nimbus._check import listed
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

from ._qupath_names import IGNORED, SUFFIX, field_and_marker
from .errors import read_error
from .geojson import CellClass, read_objects


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
        :func:`nimbus.io.write_qupath` gives them.
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
    >>> from nimbus.io.geojson import CellClass, CellObject, write_objects
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
    for file in geojson_files(Path(path)):
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


@dataclass(frozen=True, slots=True)
class ClassifiedCell:
    """Id, class and metadata of a cell."""

    cell_id: int
    classification: CellClass
    metadata: Mapping[str, str]


def _judged(
    file: Path, fov: str | None, marker: str | None, classes: Classes
) -> Iterator[tuple[tuple[str, int, str], str]]:
    """Pairs of a file and what they are judged."""
    of_names = field_and_marker(file)
    for cell in classified_cells(file):
        name = cell.classification.name
        label = as_judgement(name, {IGNORED: "undetermined", **(classes or {})})
        if label is None:
            raise read_error(
                file,
                f"cell {cell.cell_id} is of class {name!r}, which is none of {listed(JUDGEMENTS)}; "
                "say what it stands for with classes=",
            )
        where = fov or cell.metadata.get(FOV) or of_names[0]
        what = marker or cell.metadata.get(MARKER) or of_names[1]
        yield (where, cell.cell_id, what), label


def classified_cells(file: Path) -> Iterator[ClassifiedCell]:
    """Cells of a file that have an id and a class.

    Raises
    ------
    ReadError
        No object has an id.
    """
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
        if cell.cell_id is not None and cell.classification is not None:
            yield ClassifiedCell(cell.cell_id, cell.classification, cell.metadata)


def geojson_files(path: Path) -> list[Path]:
    """The file, or all of a folder."""
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
