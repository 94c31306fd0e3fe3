"""Labels to QuPath: outlines of cells, coloured by what they are labelled."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from anndata import AnnData
from numpy.typing import NDArray
from spatialdata import SpatialData

from nimbus._check import listed, one_or_more, require_known
from nimbus._keys import Layers
from nimbus._types import AnyArray
from nimbus.data.annotations import FOV, MARKER
from nimbus.data.cellrows import field_name
from nimbus.data.elements import require_sdata
from nimbus.data.layers import layer_names, layer_values
from nimbus.data.outlines import Polygon
from nimbus.data.tables import annotated_labels, region_rows, table_of
from nimbus.metrics.agreement import UNDECIDED

from ._qupath_names import CLASSES, label_file
from ._qupath_writing import outlines_of, refuse_existing, require_object_type
from .geojson import CellObject, ObjectType, write_objects


def write_qupath(  # noqa: PLR0913 - the public signature
    sdata: SpatialData,
    folder: str | Path,
    *,
    layer: str = Layers.SILVER,
    markers: str | Sequence[str] | None = None,
    labels_key: str | Sequence[str] | None = None,
    image_key: str | Mapping[str, str] | None = None,
    measurements: str | Sequence[str] | None = None,
    table_key: str = "table",
    object_type: ObjectType = "detection",
    overwrite: bool = False,
) -> list[Path]:
    """Write labels as GeoJSON that QuPath imports: one file for each field and marker.

    Drop a file on the open image of its field. Select cells, choose their class (Positive,
    Negative, Likely positive, Likely negative, Undetermined) in the tab *Annotations*, press *Set
    selected*, and at the end *File > Export objects as GeoJSON* to a file that
    :func:`nimbus.io.read_qupath` reads.

    Parameters
    ----------
    sdata
        Labels, and the table that annotates them.
    folder
        Folder to write to, made where it does not exist: ``{fov}/{marker}.geojson``.
    layer
        Labels: 1 positive, 0 negative; cells with -1 stay unclassified until somebody judges them.
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
    TypeError
        No SpatialData object.
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
    >>> path.name, len(nimbus.io.read_qupath(path)) == sdata["table"].n_obs
    ('CD3.geojson', True)
    """
    require_sdata(sdata)
    require_object_type(object_type)
    table = table_of(sdata, table_key)
    labels_keys = annotated_labels(table, labels_key, sorted(sdata.labels), table_key=table_key)
    content = _Content.of(table, layer, markers, measurements)
    regions = region_rows(table)
    plan = {
        key: content.files(Path(folder), field_name(sdata, key), rows)
        for key, (rows, _) in regions.items()
        if key in labels_keys
    }
    refuse_existing([path for files in plan.values() for path in files], overwrite)
    written = []
    for key, files in plan.items():
        rows, ids = regions[key]
        outlines = outlines_of(sdata, key, ids, image_key=image_key)
        for path, marker in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            cells = content.cells(outlines, rows, ids, fov=field_name(sdata, key), marker=marker)
            write_objects(path, cells, object_type=object_type)
            written.append(path)
    if not written:
        raise ValueError(f"layer {layer!r} labels no cell of {listed(labels_keys)}; nothing to do")
    return written


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
        measurements: str | Sequence[str] | None,
    ) -> _Content:
        there = layer_names(table)
        if measurements is None:
            measurements = [name for name in (Layers.INTEGRATED, Layers.SCORE) if name in there]
        values = one_or_more(measurements)
        require_known("layer", [layer, *values], there)
        names = tuple(str(name) for name in table.var_names)
        wanted = None if markers is None else one_or_more(markers)
        require_known("marker", wanted or (), names)
        columns = list(range(table.n_vars))
        labels = layer_values(table, layer, columns)
        if not np.isin(labels, [*CLASSES, UNDECIDED]).all():
            raise ValueError(
                f"layer {layer!r} holds values other than 1 (positive), 0 (negative) and -1 "
                "(undefined); make labels of it first, e.g. with nimbus.tl.call"
            )
        measured = {name: layer_values(table, name, columns) for name in values}
        return cls(
            names, None if wanted is None else tuple(wanted), labels.astype(np.int8), measured
        )

    def files(self, folder: Path, fov: str, rows: NDArray[np.intp]) -> dict[Path, str]:
        """Marker of each file of a field."""
        own = self.labels[rows]
        labelled = [name for k, name in enumerate(self.markers) if (own[:, k] >= 0).any()]
        chosen = labelled if self.wanted is None else self.wanted
        return {label_file(folder, fov, name): name for name in chosen}

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
                    CLASSES.get(int(self.labels[row, k])),
                    {name: float(values[row, k]) for name, values in self.measured.items()},
                    {FOV: fov, MARKER: marker},
                )
