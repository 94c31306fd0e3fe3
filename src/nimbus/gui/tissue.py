"""The tissue beside the heatmaps: fields, their channels, and the cell at a place."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from anndata import AnnData
from numpy.typing import NDArray
from spatialdata import SpatialData

from nimbus._check import require_known
from nimbus._keys import Obs
from nimbus._types import FloatArray, IntArray
from nimbus.data.elements import channel_names, element_array
from nimbus.data.part import PlacedField, PlotAxis, placed_field, read_part
from nimbus.data.tables import region_rows

from .scene import Scene, label_scene, point_scene

Window: TypeAlias = tuple[float, float, float, float]
"""Left, right, top and bottom in units of the coordinate system; y points down."""

DENSITY = "cells"
"""Stands for a channel where there is no image: how many cells there are."""


class Tissue(ABC):
    """Fields that can be looked at."""

    fields: tuple[str, ...]

    @abstractmethod
    def channels(self, field: str) -> tuple[str, ...]:
        """Channels of a field."""

    @abstractmethod
    def whole(self, field: str) -> Window:
        """Where a field lies."""

    @abstractmethod
    def scene(self, field: str, channel: str, window: Window, *, max_pixels: int) -> Scene:
        """The part of a field within a window, at the resolution it is drawn at."""

    @abstractmethod
    def node_at(self, field: str, x: float, y: float) -> int:
        """Node of the cell at a place; -1 where there is none."""


@dataclass(frozen=True, slots=True, eq=False)
class LabelledTissue(Tissue):
    """Images with labels: only what is drawn is read, from the level that is fine enough.

    Parameters
    ----------
    fields
        Labels elements.
    sdata
        Where they are.
    placed
        How image and labels lie, for each field.
    ids
        Ids of the cells of each field that have a row, rising.
    nodes
        Their nodes; -1 for none.
    """

    fields: tuple[str, ...]
    sdata: SpatialData
    placed: Mapping[str, PlacedField]
    ids: Mapping[str, NDArray[np.int64]]
    nodes: Mapping[str, NDArray[np.int32]]

    def channels(self, field: str) -> tuple[str, ...]:
        """Channels of the image of a field."""
        key = self.placed[field].image_key
        return channel_names(self.sdata.images[key], image_key=key)

    def whole(self, field: str) -> Window:
        """Where the image lies."""
        own = self.placed[field]
        return *_whole(own.x), *_whole(own.y)

    def scene(self, field: str, channel: str, window: Window, *, max_pixels: int) -> Scene:
        """Averaged pixels of a channel, and the cells at their centres."""
        own = self.placed[field]
        left, right, top, bottom = self._within(field, window)
        part = read_part(
            self.sdata,
            own,
            channels=[self.channels(field).index(channel)],
            xlim=(left, right),
            ylim=(top, bottom),
            max_pixels=max_pixels,
        )
        x0, x1, y1, y0 = part.extent
        nodes = self._nodes_of(field, part.labels)
        return label_scene(part.channels[0], part.labels, nodes, (x0, x1, y0, y1))

    def node_at(self, field: str, x: float, y: float) -> int:
        """Node of the label at a place."""
        own = self.placed[field]
        labels = element_array(self.sdata.labels[field])
        row, column = _label_pixel(own.y, y), _label_pixel(own.x, x)
        if not (0 <= row < labels.shape[0] and 0 <= column < labels.shape[1]):
            return -1
        cell = np.asarray(labels[row : row + 1, column : column + 1].compute())
        return int(self._nodes_of(field, cell)[0, 0])

    def _within(self, field: str, window: Window) -> Window:
        """The window as far as it shows the image; all of it where it shows none."""
        whole = self.whole(field)
        left, right = max(window[0], whole[0]), min(window[1], whole[1])
        top, bottom = max(window[2], whole[2]), min(window[3], whole[3])
        return (left, right, top, bottom) if left < right and top < bottom else whole

    def _nodes_of(self, field: str, cells: IntArray) -> NDArray[np.int32]:
        ids = self.ids[field]
        if ids.size == 0:
            return np.full(cells.shape, -1, dtype=np.int32)
        place = np.minimum(np.searchsorted(ids, cells), ids.size - 1)
        return np.where(ids[place] == cells, self.nodes[field][place], np.int32(-1))


@dataclass(frozen=True, slots=True, eq=False)
class PointTissue(Tissue):
    """Cells as points at their centroids, where there is no image.

    Parameters
    ----------
    fields
        Names.
    places
        Centroid (x, y) of each cell, by field.
    nodes
        Their nodes.
    """

    fields: tuple[str, ...]
    places: Mapping[str, FloatArray]
    nodes: Mapping[str, NDArray[np.int32]]

    def channels(self, field: str) -> tuple[str, ...]:
        """None but how many cells there are."""
        return (DENSITY,) if field in self.places else ()

    def whole(self, field: str) -> Window:
        """Where the cells are, with a little room."""
        known = self.places[field][np.isfinite(self.places[field]).all(axis=1)]
        if not len(known):
            return 0.0, 1.0, 0.0, 1.0
        (left, top), (right, bottom) = known.min(axis=0), known.max(axis=0)
        room = 0.01 * max(right - left, bottom - top) or 1.0
        return left - room, right + room, top - room, bottom + room

    def scene(self, field: str, channel: str, window: Window, *, max_pixels: int) -> Scene:
        """Cells as points over their density."""
        require_known("channel", [channel], self.channels(field))
        known = np.isfinite(self.places[field]).all(axis=1)
        return point_scene(
            self.places[field][known], self.nodes[field][known], window, max_pixels=max_pixels
        )

    def node_at(self, field: str, x: float, y: float) -> int:
        """Node of the nearest cell, if it is near."""
        places = self.places[field]
        away = np.hypot(places[:, 0] - x, places[:, 1] - y)
        if not np.isfinite(away).any():
            return -1
        nearest = int(np.nanargmin(away))
        left, right, top, bottom = self.whole(field)
        spacing = np.sqrt((right - left) * (bottom - top) / len(places))
        return int(self.nodes[field][nearest]) if away[nearest] <= spacing else -1


def tissue_of(
    data: AnnData | SpatialData,
    table: AnnData,
    node: NDArray[np.int32],
    *,
    pairs: Mapping[str, str],
    region_key: str | None,
) -> Tissue | None:
    """The tissue of a table: its images and labels, else centroids, else none.

    Parameters
    ----------
    data
        Where images and labels are, if it is a SpatialData object.
    table
        Its table.
    node
        Node of each row.
    pairs
        Image of each labels element; empty where there is none.
    region_key
        Column of ``obs`` with the field of each cell; ``None`` is one field.

    Raises
    ------
    ValueError
        An image and its labels do not lie on each other.
    """
    if isinstance(data, SpatialData) and pairs:
        return _labelled(data, table, node, pairs)
    if Obs.SPATIAL not in table.obsm:
        return None
    places = np.asarray(table.obsm[Obs.SPATIAL], dtype=np.float64)[:, :2]
    regions = np.full(table.n_obs, "all cells") if region_key is None else None
    names = table.obs[region_key].astype(str).to_numpy() if regions is None else regions
    fields = tuple(dict.fromkeys(names.tolist()))
    rows = {field: np.flatnonzero(names == field) for field in fields}
    return PointTissue(
        fields, {f: places[own] for f, own in rows.items()}, {f: node[r] for f, r in rows.items()}
    )


def _labelled(
    sdata: SpatialData, table: AnnData, node: NDArray[np.int32], pairs: Mapping[str, str]
) -> LabelledTissue:
    placed, ids, nodes = {}, {}, {}
    for field, (rows, own) in region_rows(table).items():
        if field not in pairs:
            continue
        placed[field] = placed_field(
            sdata,
            image_key=pairs[field],
            labels_key=field,
            coordinate_system=None,
            pixel_size=None,
        )
        order = np.argsort(own)
        ids[field], nodes[field] = own[order], node[rows[order]]
    return LabelledTissue(tuple(placed), sdata, placed, ids, nodes)


def _whole(axis: PlotAxis) -> tuple[float, float]:
    return axis.place(0), axis.place(axis.pixels.n_image)


def _label_pixel(axis: PlotAxis, place: float) -> int:
    pixel = (place - axis.start) / axis.unit
    return int(np.floor((pixel - axis.pixels.label_start) / axis.pixels.label_size))
