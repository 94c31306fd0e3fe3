"""Verb: real images with labelled cells as training tiles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from spatialdata import SpatialData, read_zarr

from nimbus._check import listed
from nimbus._keys import Layers
from nimbus.core.shards import SOURCES, Source, Tiles
from nimbus.core.tiles import Tile
from nimbus.data.elements import require_sdata
from nimbus.engine.cutting import CutPlan, LabelledField, cut_tiles, plan_blocks
from nimbus.engine.run import default_jobs
from nimbus.engine.source import NanRule, require_nan_rule

from ._labelled import Asked, GroupedField, open_labelled
from ._splits import Split, assign_groups
from ._writing import write_shards
from .cut_settings import CutSettings

DataSet: TypeAlias = SpatialData | str | Path
"""An object, or the path of its store."""

SPLIT: Mapping[str, float] = {"train": 0.8, "validation": 0.1, "test": 0.1}
"""Shares of the published training."""

ALL = "all"
"""Name of the only part where nothing is split."""


def write_training_set(  # noqa: PLR0913 - the public signature
    data: DataSet | Mapping[str, DataSet],
    folder: str | Path,
    *,
    layer: str = Layers.SILVER,
    split: Split | None = SPLIT,
    split_by: str | None = None,
    settings: CutSettings | None = None,
    image_key: str | Mapping[str, str] | None = None,
    labels_key: str | Sequence[str] | None = None,
    table_key: str = "table",
    channels: str | Sequence[str] | None = None,
    scale: str | None = None,
    coordinate_system: str | None = None,
    pixel_size: float | Mapping[str, float] | None = None,
    scales: Mapping[str, float] | Mapping[str, Mapping[str, float]] | None = None,
    nan: NanRule = "raise",
    random_state: int = 0,
    n_jobs: int | None = None,
    show_progress_bar: bool = True,
) -> dict[str, Path]:
    """Cut images with labelled cells into training tiles, which PyTorch and NumPy alone can read.

    A tile is what scoring would feed the network: the channel over its scale, averaged to the
    network's pixels, and the mask plane; with it the cell of each pixel and a label for each cell.
    Channels of a tile without a decided cell are not written. A call that was killed is finished
    by the same call; the files are then the same, byte by byte.

    Parameters
    ----------
    data
        A SpatialData object or the path of its store, or several by name; the name is that of the
        data set in the sources of the tiles.
    folder
        Where the shards are written: ``folder/train``, ``folder/validation``, ``folder/test``.
    layer
        Layer of the table with 1 (positive), 0 (negative) and -1 (undecided).
    split
        ``{part: share}``, or ``{part: names of patients or fields}``; None writes all to `folder`.
        Each data set is split on its own.
    split_by
        Column of ``obs`` that is never divided between parts, such as the patient; None: the
        field.
    settings
        None: the defaults.
    image_key, labels_key, table_key, channels, scale, coordinate_system, pixel_size, nan
        As in :func:`nimbus.tl.score`.
    scales
        As in :func:`nimbus.tl.score`; None takes stored ones of the same rule, or computes them
        over all images of a data set.
    random_state
        Seed of the split.
    n_jobs
        Threads that read and cut; they do not change the result.
    show_progress_bar
        Show what is done.

    Returns
    -------
    Folder of each part; with ``split=None`` of the one part ``"all"``.

    Raises
    ------
    ValueError
        Values that are no labels, a field of several patients, too few patients for the parts, a
        part without any decided cell, a folder with tiles of other input or settings, and all that
        :func:`nimbus.tl.score` refuses.
    TypeError
        For a table alone, or anything else that is neither SpatialData nor a path.

    Examples
    --------
    >>> import nimbus, tempfile
    >>> sdata = nimbus.datasets.tissue(shape=(64, 64), markers=["CD3"], n_fovs=3, random_state=0)
    >>> written = write_training_set(
    ...     {"simulated": sdata}, tempfile.mkdtemp(), layer="truth", show_progress_bar=False
    ... )
    >>> list(written)
    ['train', 'validation', 'test']
    """
    wanted = (settings if settings is not None else CutSettings()).checked()
    require_nan_rule(nan)
    asked = Asked(
        layer, split_by, table_key, image_key, labels_key, channels, scale, coordinate_system,
        pixel_size, scales, wanted.scale, wanted.pixel_size_um, nan, default_jobs(n_jobs),
        show_progress_bar,
    )  # fmt: skip
    sets = {name: open_labelled(name, one, asked) for name, one in _opened(data).items()}
    sources = list(dict.fromkeys(s for fields in sets.values() for f in fields for s in _panel(f)))
    parts = _parts(sets, split, random_state)
    about = {
        "made_by": "nimbus.datasets.write_training_set",
        "layer": layer,
        "pixel_size_um": wanted.pixel_size_um,
        "settings": asdict(wanted),
        SOURCES: [asdict(source) for source in sources],
    }
    out = {}
    for part, fields in parts.items():
        out[part] = Path(folder) / part if split is not None else Path(folder)
        _write(out[part], fields, sources, {**about, "part": part}, wanted, asked)
    return out


@dataclass(frozen=True, slots=True)
class _Item:
    """Some tiles of one field."""

    field: int
    tiles: tuple[Tile, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Cut:
    """Cuts some tiles, here or in another process."""

    fields: tuple[LabelledField, ...]
    plan: CutPlan

    def __call__(self, item: _Item) -> Tiles | None:
        return cut_tiles(self.fields[item.field], item.tiles, self.plan)


def _write(
    folder: Path,
    fields: Sequence[GroupedField],
    sources: Sequence[Source],
    about: Mapping[str, Any],
    settings: CutSettings,
    asked: Asked,
) -> None:
    """Write the tiles of one part."""
    plan = CutPlan(settings.tile_size, settings.overlap, settings.min_visible, settings.once)
    known = tuple(
        replace(f.field, sources=np.array([sources.index(s) for s in _panel(f)], dtype=np.int32))
        for f in fields
    )
    items = [
        _Item(index, block)
        for index, field in enumerate(known)
        for block in plan_blocks(field.source.grid.network_shape, plan)
    ]
    write_shards(
        folder,
        items,
        _Cut(known, plan),
        about={**about, "fields": [field.fingerprint() for field in fields]},
        shard_bytes=int(settings.shard_mb * 2**20),
        n_jobs=asked.n_jobs,
        show_progress_bar=asked.show_progress_bar,
    )


def _opened(data: DataSet | Mapping[str, DataSet]) -> dict[str, SpatialData]:
    """The data sets by name; stores are opened, not read."""
    if not isinstance(data, Mapping):
        path = data if isinstance(data, str | Path) else _object(data).path
        data = {"data" if path is None else Path(path).stem: data}
    if not data:
        raise ValueError("there is no data set to cut; pass an object, or {name: object}")
    return {str(name): _object(one) for name, one in data.items()}


def _object(data: DataSet) -> SpatialData:
    if isinstance(data, str | Path):
        return read_zarr(data)
    require_sdata(data)
    return data


def _panel(field: GroupedField) -> list[Source]:
    """Source of each channel of a field."""
    return [Source(field.dataset, channel) for channel in field.field.source.channels]


def _parts(
    sets: Mapping[str, Sequence[GroupedField]], split: Split | None, random_state: int
) -> dict[str, list[GroupedField]]:
    """Fields of each part, in the order of the data sets."""
    if split is None:
        return {ALL: [field for fields in sets.values() for field in fields]}
    groups = {name: [field.group for field in fields] for name, fields in sets.items()}
    part_of = assign_groups(groups, split, random_state=random_state)
    parts: dict[str, list[GroupedField]] = {part: [] for part in split}
    for field in (field for fields in sets.values() for field in fields):
        if (field.dataset, field.group) in part_of:
            parts[part_of[field.dataset, field.group]].append(field)
    empty = [part for part, fields in parts.items() if not fields]
    if empty:
        raise ValueError(f"split leaves no field for {listed(empty)}")
    return parts
