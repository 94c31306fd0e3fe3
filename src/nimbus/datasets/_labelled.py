"""A data set with labels, opened field by field: what can be cut into tiles."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from anndata import AnnData
from numpy.typing import NDArray
from spatialdata import SpatialData

from nimbus._check import listed, require_known
from nimbus.core.scalerule import ScaleRule
from nimbus.data.layers import layer_names, layer_values
from nimbus.data.scales import GivenScales
from nimbus.data.sources import OpenField, Request, open_field, wanted_channels
from nimbus.data.storedscales import scales_to_use
from nimbus.data.tables import region_rows
from nimbus.data.targets import find_target
from nimbus.engine.content import content_hash
from nimbus.engine.cutting import LabelledField
from nimbus.engine.source import NanRule

LABELS = (-1, 0, 1)
"""Undecided, negative, positive."""


@dataclass(frozen=True, slots=True)
class Asked:
    """Arguments of :func:`nimbus.datasets.write_training_set` that say what is read, and how."""

    layer: str
    group_key: str | None
    table_key: str
    image_key: str | Mapping[str, str] | None
    labels_key: str | Sequence[str] | None
    channels: str | Sequence[str] | None
    scale: str | None
    coordinate_system: str | None
    pixel_size: float | Mapping[str, float] | None
    scales: GivenScales | None
    rule: ScaleRule
    pixel_size_um: float
    nan: NanRule
    n_jobs: int
    show_progress_bar: bool


@dataclass(frozen=True, slots=True, eq=False)
class GroupedField:
    """A field of a data set, and the group (patient or field) that is never divided."""

    dataset: str
    group: str
    field: LabelledField

    def fingerprint(self) -> dict[str, Any]:
        """All that decides the tiles of this field, as JSON values."""
        source = self.field.source
        known = hashlib.sha256(self.field.ids.tobytes() + self.field.labels.tobytes())
        return {
            "dataset": self.dataset,
            "group": self.group,
            "labels": source.labels_name,
            "channels": list(source.channels),
            "scales": source.scales.tolist(),
            "grid": repr(source.grid),
            "known": known.hexdigest(),
            "content": content_hash(source.image, name=source.image_name)
            + content_hash(source.labels, name=source.labels_name),
        }


def open_labelled(name: str, sdata: SpatialData, asked: Asked) -> list[GroupedField]:
    """The labelled fields of one data set, lazily; its scales are computed where none are known.

    Raises
    ------
    ValueError
        No table or layer, values that are no labels, a field of several groups, and all that
        scoring refuses.
    """
    target = find_target(
        sdata,
        table_key=asked.table_key,
        image_key=asked.image_key,
        labels_key=asked.labels_key,
        channels=asked.channels,
    )
    if target.table is None:
        raise ValueError(
            f"data set {name!r} has no table {asked.table_key!r} with cells; there is "
            f"{listed(sdata.tables)}. Labels come from a layer of the table"
        )
    request = Request(
        target.pairs, target.channels, asked.scale, asked.coordinate_system, asked.pixel_size,
        asked.nan,
    )  # fmt: skip
    panels = wanted_channels(sdata, request)
    scales = scales_to_use(
        sdata,
        panels,
        asked.rule,
        given=asked.scales,
        nan=asked.nan,
        n_jobs=asked.n_jobs,
        show_progress_bar=asked.show_progress_bar,
        keep=False,
    )
    labels = _checked_labels(target.table, asked.layer)
    return [
        _field(
            name,
            open_field(
                sdata, key, request, panels[image], model_pixel_size_um=asked.pixel_size_um
            ).with_scales(scales.table),
            target.table,
            labels,
            asked.group_key,
        )
        for key, image in target.pairs.items()
    ]


def _checked_labels(table: AnnData, layer: str) -> NDArray[np.int8]:
    """The layer as int8 ``(cells, markers)``."""
    require_known("layer", [layer], layer_names(table))
    dense = layer_values(table, layer, list(range(table.n_vars)))
    if not np.isin(dense, LABELS).all():
        others = np.setdiff1d(dense, LABELS)
        raise ValueError(
            f"layer {layer!r} must hold 1 (positive), 0 (negative) and -1 (undecided) alone; it "
            f"also holds {listed(others, at_most=4)}"
        )
    return dense.astype(np.int8)


def _field(
    dataset: str, opened: OpenField, table: AnnData, labels: NDArray[np.int8], group_key: str | None
) -> GroupedField:
    source = opened.source
    region = source.labels_name
    rows, ids = region_rows(table).get(region, (np.zeros(0, np.intp), np.zeros(0, np.int64)))
    order = np.argsort(ids, kind="stable")
    ids, rows = ids[order], rows[order]
    if (ids[1:] == ids[:-1]).any():
        twice = ids[1:][ids[1:] == ids[:-1]]
        raise ValueError(
            f"the table has several rows for cells {listed(twice, at_most=4)} of {region!r}; each "
            "cell needs one row"
        )
    columns = table.var_names.get_indexer(list(source.channels))
    known = LabelledField(
        source=source,
        ids=ids,
        labels=np.ascontiguousarray(labels[np.ix_(rows, columns)]),
        sources=np.zeros(len(source.channels), dtype=np.int32),
    )
    return GroupedField(dataset, _group(table, rows, group_key, region), known)


def _group(table: AnnData, rows: NDArray[np.intp], key: str | None, region: str) -> str:
    """The one value of a column of ``obs`` in a field; the field itself without a column."""
    if key is None:
        return region
    require_known("column of obs", [key], [str(name) for name in table.obs.columns])
    values = table.obs[key].iloc[rows].unique()
    if len(values) != 1 or values[0] != values[0]:
        raise ValueError(
            f"every cell of {region!r} must have the same {key!r}; there is {listed(values)}. A "
            "field is not divided between training and test"
        )
    return str(values[0])
