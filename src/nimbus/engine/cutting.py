"""From a field and the labels of its cells to training tiles: what scoring would feed the network.

::

    +--------------------+
    |  margin            |     The tile is what the network sees. The margin is looked at to know
    |   +-----------+    |     how large the cells are that the tile cuts. Past the edge of a field
    |   |   tile    |    |     that is smaller than a tile, image and mask are reflected as in
    |   +-----------+    |     scoring, and there are no cells.
    +--------------------+
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nimbus._types import BoolArray
from nimbus.core.boxes import Box
from nimbus.core.cellsums import compact_ids
from nimbus.core.masks import cell_plane, label_window, mask_plane
from nimbus.core.shards import PLANE_MAX, Tiles
from nimbus.core.tiles import Tile

from .planes import channel_planes, image_window, network_input
from .source import FieldSource

MARGIN = 64
"""Network pixels around a tile in which the size of a cut cell is measured."""

CLIP = 1.0
"""Scaled channels are clipped to it before the area is averaged; a stored plane ends there."""

_UNDECIDED = -1


@dataclass(frozen=True, slots=True)
class CutPlan:
    """How tiles are cut.

    Parameters
    ----------
    tile_size
        Edge of a tile, in network pixels.
    overlap
        Network pixels that neighbouring tiles share.
    min_visible
        A cell of which less than this part lies in the tile is undecided there.
    """

    tile_size: int
    overlap: int
    min_visible: float


@dataclass(frozen=True, slots=True, eq=False)
class LabelledField:
    """A field and what is known of its cells.

    Parameters
    ----------
    source
        Image, labels, grid and scales.
    ids
        Cells that have a row in the table, ascending, ``(n,)``.
    labels
        1 positive, 0 negative, -1 undecided, int8 ``(n, channel)``.
    sources
        Index of the source of each channel, int32 ``(channel,)``.
    """

    source: FieldSource
    ids: NDArray[np.int64]
    labels: NDArray[np.int8]
    sources: NDArray[np.int32]

    def labels_of(self, ids: NDArray[np.int64]) -> NDArray[np.int8]:
        """Labels of the cells `ids` ``(cell, channel)``; -1 where the table has no row."""
        out = np.full((ids.size, self.labels.shape[1]), _UNDECIDED, dtype=np.int8)
        if self.ids.size:
            place = np.minimum(np.searchsorted(self.ids, ids), self.ids.size - 1)
            known = self.ids[place] == ids
            out[known] = self.labels[place[known]]
        return out


def plan_cuts(shape: tuple[int, int], plan: CutPlan) -> tuple[Tile, ...]:
    """Tiles of one size that cover a grid of `shape`, row by row; the last ones end at its edge.

    Examples
    --------
    >>> plan = CutPlan(tile_size=8, overlap=2, min_visible=0.4)
    >>> [tile.read.x0 for tile in plan_cuts((8, 17), plan)]
    [0, 6, 9]
    >>> plan_cuts((5, 8), plan)[0].read, plan_cuts((5, 8), plan)[0].write
    (Box(y0=0, y1=8, x0=0, x1=8), Box(y0=0, y1=5, x0=0, x1=8))
    """
    size, step = plan.tile_size, plan.tile_size - plan.overlap
    rows, columns = ([*range(0, n - size, step), max(n - size, 0)] for n in shape)
    boxes = [Box(y, y + size, x, x + size) for y in rows for x in columns]
    return tuple(Tile(index, box.clipped(shape), box) for index, box in enumerate(boxes))


def cut_tile(field: LabelledField, tile: Tile, plan: CutPlan) -> Tiles | None:
    """The channels of one tile that have a decided cell; ``None`` where none has.

    Of a tile without decided cells no image is read. A channel without signal (scale 0) is left
    out: what its labels say cannot be seen.

    Returns
    -------
    One geometry; samples in the order of the channels; cells numbered from 1 by ascending id.
    """
    source = field.source
    seen = _seen_cells(source, tile)
    labels = field.labels_of(seen.ids)
    labels[seen.area < plan.min_visible * seen.whole_area] = _UNDECIDED
    kept: BoolArray = (labels != _UNDECIDED).any(axis=0) & (source.scales > 0)
    if not kept.any():
        return None
    fed = _network_input(source, tile, seen.mask, kept)
    height, width = tile.read.shape
    missing = (0, height - seen.number.shape[0]), (0, width - seen.number.shape[1])
    return Tiles(
        planes=np.round(fed[:, 0] * PLANE_MAX).astype(np.uint16),
        geometry=np.zeros(len(fed), dtype=np.int32),
        labels=np.ascontiguousarray(labels[:, kept].T),
        masks=fed[:1, 1].astype(np.uint8),
        ids=np.pad(seen.number, missing)[None],
        source=field.sources[kept],
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """Cells of a tile: ids, pixels in the tile and in all; number and mask of each pixel."""

    ids: NDArray[np.int64]
    area: NDArray[np.intp]
    whole_area: NDArray[np.intp]
    number: NDArray[np.int32]
    mask: NDArray[np.uint8]


def _seen_cells(source: FieldSource, tile: Tile) -> _Seen:
    grid = source.grid
    inside = tile.read.clipped(grid.network_shape)
    around = inside.grown(MARGIN).clipped(grid.network_shape)
    window = label_window(grid, around)
    read = source.read_labels(window)
    wide = cell_plane(read, grid, around, origin=window)
    ids, position = compact_ids(wide[inside.relative_to(around).slices])
    everywhere, counts = np.unique(wide, return_counts=True)
    return _Seen(
        ids=ids,
        area=np.bincount(position[position >= 0], minlength=ids.size),
        whole_area=counts[np.searchsorted(everywhere, ids)],
        number=(position + 1).reshape(inside.shape).astype(np.int32),
        mask=mask_plane(read, grid, inside, origin=window),
    )


def _network_input(
    source: FieldSource, tile: Tile, mask: NDArray[np.uint8], kept: BoolArray
) -> NDArray[np.float32]:
    """Planes ``(c, 2, y, x)`` of the kept channels; groups that hold none are not read."""
    shape = source.grid.network_shape
    inside = tile.read.clipped(shape)
    window = image_window(source.grid, inside)
    parts = []
    for group in source.channel_groups(1):
        if not kept[group].any():
            continue
        raw = source.read_image(group, window)[kept[group]]
        scales = source.scales[group][kept[group]]
        planes = channel_planes(raw, scales, source.grid, inside, origin=window, clip=CLIP)
        parts.append(network_input(planes, mask, tile, shape))
    return np.concatenate(parts)
