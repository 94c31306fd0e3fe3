"""A Mantis Viewer project: channels, cell ids and groups of cells, a folder for each field."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import dask.array as da
import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from spatialdata import SpatialData
from tqdm.auto import tqdm

from nimbus._check import one_or_more, require_known
from nimbus._types import AnyArray
from nimbus.data.cellrows import field_name
from nimbus.data.elements import channel_names, element_array, pair_elements, require_sdata
from nimbus.data.groups import group_key, groups_of
from nimbus.data.layers import named_columns
from nimbus.data.ongrid import labels_on_image
from nimbus.data.tables import annotated_labels, region_rows, table_of

from ._mantis_names import (
    CELL_COLUMN,
    FEATURES,
    FIELD_COLUMN,
    POPULATION_MASK,
    POPULATIONS,
    REGION_COLUMNS,
    SEGMENTATION,
)
from ._safe_names import safe_name
from ._whole import whole_file
from ._write_plane import write_plane

HELD_BYTES = 2**28
"""An image up to this size is read once for all its channels; a larger one for each."""

_PLAIN = ("uint8", "uint16", "float32")
"""Types of channels that Mantis Viewer reads; others become float32."""


def write_mantis(  # noqa: PLR0913 - the public signature
    sdata: SpatialData,
    folder: str | Path,
    *,
    cell_type_key: str | None = None,
    layer: str | Sequence[str] | None = None,
    channels: str | Sequence[str] | None = None,
    labels_key: str | Sequence[str] | None = None,
    image_key: str | Mapping[str, str] | None = None,
    table_key: str = "table",
    overwrite: bool = False,
    show_progress_bar: bool = True,
) -> Path:
    """Write a project that Mantis Viewer opens: images, cells, their types and their scores.

    In Mantis Viewer choose *Open > New Project*, the folder, ``cell_segmentation.tiff`` as
    segmentation file, ``populations.csv`` as populations file and ``segment_features.csv`` as
    segment features file. The layout is that of ark-analysis:

    .. code-block:: text

        folder/
          fov0/
            CD3.tiff, CD8.tiff ...   a TIFF for each channel
            cell_segmentation.tiff   cell ids, uint16 or uint32; 0 is background
            population_mask.tiff     number of the group of each pixel's cell; 0 is none
            population_mask.csv      region_id, region_name: what the numbers stand for
          populations.csv            field, cell, group; no header
          segment_features.csv       field, cell, and the values of the layers

    Parameters
    ----------
    sdata
        Images, labels, and the table that annotates the labels.
    folder
        Folder to write to, made where it does not exist.
    cell_type_key
        Column of ``obs`` with the groups; ``None`` takes ``"nimbus_cell_type"``, or where there is
        none ``"nimbus_metacluster"``. Cells without a group are in no population.
    layer
        Layers to write as segment features, each column named ``"{layer} {marker}"``; ``None``
        takes ``"nimbus"`` as far as it exists; ``[]`` none. NaN becomes an empty entry.
    channels
        Channels to write; ``None`` takes all of each image.
    labels_key
        Fields to write; ``None`` takes all that the table annotates.
    image_key
        Image of the labels, or one for each; ``None`` takes the only one, or that of the same stem.
    table_key
        The table.
    overwrite
        Replace files of these names where they exist, and leave all others alone; otherwise a
        folder that holds anything is refused.
    show_progress_bar
        Show the fields that are done.

    Returns
    -------
    The folder. Fields, channels and groups keep their names: what a file may not be called is
    written as ``%2F`` and the like, and each TIFF names its marker inside. Channels stay uint8,
    uint16 or float32; other types become float32. Labels of another resolution are brought to the
    pixels of the image. Images are read in strips, field after field.

    Raises
    ------
    TypeError
        No SpatialData object.
    ValueError
        An unknown table, column, layer, channel or element, image and labels that do not lie on
        each other, or a channel that is called like a file of the project.
    FileExistsError
        The folder holds something.

    Warns
    -----
    UserWarning
        Rows of the table whose cell is not in the labels; they are left out.

    Examples
    --------
    >>> import nimbus, tempfile
    >>> sdata = nimbus.datasets.tissue(shape=(64, 64), n_cells=9, markers=["CD3"], random_state=0)
    >>> folder = write_mantis(sdata, tempfile.mkdtemp(), cell_type_key="cell_type", layer="truth",
    ...                       show_progress_bar=False)
    >>> sorted(path.name for path in folder.iterdir())
    ['fov0', 'populations.csv', 'segment_features.csv']
    >>> sorted(path.name for path in (folder / "fov0").glob("*.tiff"))
    ['CD3.tiff', 'cell_segmentation.tiff', 'population_mask.tiff']
    """
    require_sdata(sdata)
    table = table_of(sdata, table_key)
    wanted = annotated_labels(table, labels_key, sorted(sdata.labels), table_key=table_key)
    pairs = pair_elements(sdata, image_key=image_key, labels_key=wanted)
    content = _Content.of(table, cell_type_key, layer)
    chosen = {labels: _channels(sdata, image, channels) for labels, image in pairs.items()}
    target = Path(folder)
    if not overwrite and target.exists() and any(target.iterdir()):
        raise FileExistsError(
            f"folder {str(target)!r} holds something already; choose another, or pass "
            "overwrite=True, which replaces the files of the project and leaves all others alone"
        )
    target.mkdir(parents=True, exist_ok=True)
    populations, features, regions = [], [], region_rows(table)
    for labels, image in tqdm(pairs.items(), disable=not show_progress_bar, unit="field"):
        name = safe_name(field_name(sdata, labels))
        cells = labels_on_image(sdata, image_key=image, labels_key=labels)
        own = content.field(*regions[labels], cells, labels_key=labels)
        _write_field(target / name, sdata, image, chosen[labels], cells, own)
        populations.append(own.populations(name))
        features.append(own.table_of_features(name))
    _write_csv(target / POPULATIONS, pd.concat(populations), header=False)
    if content.features:
        _write_csv(target / FEATURES, pd.concat(features))
    return target


@dataclass(frozen=True, slots=True, eq=False)
class _FieldCells:
    """Cells of one field: ids, their groups and features; and the largest id of its labels."""

    ids: NDArray[np.int64]
    groups: pd.Categorical
    features: dict[str, AnyArray]
    largest: int

    def populations(self, name: str) -> pd.DataFrame:
        kept = self.groups.codes >= 0
        frame = pd.DataFrame({"field": name, "cell": self.ids, "group": self.groups.astype(str)})
        return frame[kept]

    def table_of_features(self, name: str) -> pd.DataFrame:
        return pd.DataFrame({FIELD_COLUMN: name, CELL_COLUMN: self.ids, **self.features})

    def numbered(self, cells: da.Array) -> da.Array:
        """Number of the group of each pixel's cell, from 1; 0 is none."""
        order = np.argsort(self.ids)
        ids = self.ids[order]
        number = (self.groups.codes[order] + 1).astype(np.uint16)
        numbered: da.Array = da.map_blocks(
            partial(_looked_up, ids=ids, number=number), cells, dtype=np.uint16
        )
        return numbered


@dataclass(frozen=True, slots=True, eq=False)
class _Content:
    """What is written of a table."""

    groups: pd.Series
    features: dict[str, AnyArray]

    @classmethod
    def of(
        cls, table: AnnData, cell_type_key: str | None, layer: str | Sequence[str] | None
    ) -> _Content:
        groups = groups_of(table, group_key(table, cell_type_key))
        return cls(groups, named_columns(table, layer, pattern="{layer} {marker}"))

    def field(
        self, rows: NDArray[np.intp], ids: NDArray[np.int64], cells: da.Array, *, labels_key: str
    ) -> _FieldCells:
        """The cells of a field that its labels hold."""
        there = da.unique(cells).compute()
        found = np.isin(ids, there)
        if not found.all():
            warnings.warn(
                f"{int((~found).sum())} rows of the table have no cell in the labels "
                f"{labels_key!r}; they are not written",
                stacklevel=3,
            )
        rows, ids = rows[found], ids[found]
        own = {name: values[rows] for name, values in self.features.items()}
        return _FieldCells(ids, self.groups.iloc[rows].array, own, int(there.max(initial=0)))


def _channels(sdata: SpatialData, image_key: str, wanted: str | Sequence[str] | None) -> list[str]:
    """Channels of an image that are written."""
    there = channel_names(sdata.images[image_key], image_key=image_key)
    chosen = one_or_more(there if wanted is None else wanted)
    require_known(f"channel of image {image_key!r}", chosen, there)
    taken = [name for name in chosen if name in (SEGMENTATION, POPULATION_MASK)]
    if taken:
        raise ValueError(
            f"channel {taken[0]!r} of image {image_key!r} is called like a file of the project; "
            "rename it, or choose others with channels="
        )
    return chosen


def _write_field(
    folder: Path,
    sdata: SpatialData,
    image_key: str,
    channels: Sequence[str],
    cells: da.Array,
    own: _FieldCells,
) -> None:
    folder.mkdir(exist_ok=True)
    there = channel_names(sdata.images[image_key], image_key=image_key)
    image = element_array(sdata.images[image_key])[[there.index(name) for name in channels]]
    if image.dtype.name not in _PLAIN:
        image = image.astype(np.float32)
    if image.nbytes <= HELD_BYTES:
        image = da.from_array(image.compute(), chunks=-1)
    for plane, name in zip(image, channels, strict=True):
        write_plane(folder / f"{safe_name(name)}.tiff", plane, name=name)
    wide = own.largest > np.iinfo(np.uint16).max
    write_plane(folder / f"{SEGMENTATION}.tiff", cells.astype(np.uint32 if wide else np.uint16))
    write_plane(folder / f"{POPULATION_MASK}.tiff", own.numbered(cells))
    names = own.groups.categories
    regions = pd.DataFrame({REGION_COLUMNS[0]: range(1, len(names) + 1), REGION_COLUMNS[1]: names})
    _write_csv(folder / f"{POPULATION_MASK}.csv", regions)


def _looked_up(
    block: AnyArray, ids: NDArray[np.int64], number: NDArray[np.uint16]
) -> NDArray[np.uint16]:
    if not ids.size:
        return np.zeros(block.shape, dtype=np.uint16)
    place = np.minimum(np.searchsorted(ids, block), ids.size - 1)
    return np.where(ids[place] == block, number[place], 0).astype(np.uint16)


def _write_csv(path: Path, frame: pd.DataFrame, *, header: bool = True) -> None:
    with whole_file(path) as spare:
        frame.to_csv(spare, index=False, header=header, encoding="utf-8", lineterminator="\n")
