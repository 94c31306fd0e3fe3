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

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import pairwise, product

import numpy as np
from numpy.typing import NDArray

from nimbus._types import AnyArray, BoolArray
from nimbus.core.boxes import Box
from nimbus.core.cellsums import compact_ids
from nimbus.core.masks import cell_plane, label_window, mask_plane
from nimbus.core.shards import PLANE_MAX, Tiles, merged
from nimbus.core.tiles import Tile

from .planes import channel_planes, image_window, network_input
from .source import FieldSource

MARGIN = 64
"""Network pixels around tiles in which the size of a cut cell is measured."""

BLOCK = 1024
"""Tiles whose corners lie in one square of this side, in network pixels, are read together."""

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
    once
        A cell is decided in one tile alone: the one whose own part (`write`) holds its middle.
    """

    tile_size: int
    overlap: int
    min_visible: float
    once: bool = False


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

    What a tile reads lies in several, what it writes (from its corner to the next one) in none
    else.

    Examples
    --------
    >>> plan = CutPlan(tile_size=8, overlap=2, min_visible=0.4)
    >>> [tile.read.x0 for tile in plan_cuts((8, 17), plan)]
    [0, 6, 9]
    >>> [(tile.write.x0, tile.write.x1) for tile in plan_cuts((8, 17), plan)]
    [(0, 6), (6, 9), (9, 17)]
    >>> plan_cuts((5, 8), plan)[0].read, plan_cuts((5, 8), plan)[0].write
    (Box(y0=0, y1=8, x0=0, x1=8), Box(y0=0, y1=5, x0=0, x1=8))
    """
    size, step = plan.tile_size, plan.tile_size - plan.overlap
    starts = ([*range(0, n - size, step), max(n - size, 0)] for n in shape)
    rows, columns = (pairwise([*own, n]) for own, n in zip(starts, shape, strict=True))
    return tuple(
        Tile(index, Box(y, below, x, right), Box(y, y + size, x, x + size))
        for index, ((y, below), (x, right)) in enumerate(product(rows, columns))
    )


def plan_blocks(shape: tuple[int, int], plan: CutPlan) -> tuple[tuple[Tile, ...], ...]:
    """The tiles of :func:`plan_cuts`, those together that lie together.

    Examples
    --------
    >>> blocks = plan_blocks((128, 3000), CutPlan(tile_size=128, overlap=16, min_visible=0.4))
    >>> [len(block) for block in blocks]
    [10, 9, 8]
    """
    blocks: dict[tuple[int, int], list[Tile]] = {}
    for tile in plan_cuts(shape, plan):
        blocks.setdefault((tile.read.y0 // BLOCK, tile.read.x0 // BLOCK), []).append(tile)
    return tuple(tuple(block) for block in blocks.values())


def cut_tiles(field: LabelledField, tiles: Sequence[Tile], plan: CutPlan) -> Tiles | None:
    """The channels of each tile that have a decided cell; ``None`` where none has.

    What is not needed is not read: no image where no cell is decided, no group of channels (those
    in one chunk) where none of them is wanted. A channel without signal (scale 0) is left out:
    what its labels say cannot be seen.

    Parameters
    ----------
    field
        The field.
    tiles
        Some of its tiles; labels and each channel are read once for all of them.
    plan
        How tiles are cut.

    Returns
    -------
    One geometry for each tile that has samples; samples tile by tile, in the order of the
    channels; the cells of a tile numbered from 1 by ascending id.
    """
    source = field.source
    wanted = [seen for seen in _seen_cells(field, tiles, plan) if seen.kept.any()]
    if not wanted:
        return None
    window = image_window(source.grid, reduce(Box.joined, (seen.inside for seen in wanted)))
    fed: list[list[NDArray[np.float32]]] = [[] for _ in wanted]
    for group in source.channel_groups(1):
        if not any(seen.kept[group].any() for seen in wanted):
            continue
        raw = source.read_image(group, window)
        for parts, seen in zip(fed, wanted, strict=True):
            if seen.kept[group].any():
                parts.append(_network_input(source, seen, raw, group, window))
    return merged([_stored(field, s, np.concatenate(p)) for s, p in zip(wanted, fed, strict=True)])


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """One tile, inside the grid.

    Parameters
    ----------
    tile
        The tile.
    inside
        What of it lies inside the grid.
    number
        Number of the cell of each pixel, 0 is background, ``(y, x)``.
    mask
        Mask plane, ``(y, x)``.
    labels
        Of each cell and channel, ``(cell, channel)``.
    kept
        Channels with a decided cell and with signal, ``(channel,)``.
    """

    tile: Tile
    inside: Box
    number: NDArray[np.int32]
    mask: NDArray[np.uint8]
    labels: NDArray[np.int8]
    kept: BoolArray


def _seen_cells(field: LabelledField, tiles: Sequence[Tile], plan: CutPlan) -> Iterator[_Seen]:
    """What the labels say of each tile; they are read once."""
    grid, shape = field.source.grid, field.source.grid.network_shape
    insides = [tile.read.clipped(shape) for tile in tiles]
    around = reduce(Box.joined, insides).grown(MARGIN).clipped(shape)
    window = label_window(grid, around)
    read = field.source.read_labels(window)
    wide = cell_plane(read, grid, around, origin=window)
    every, counts = np.unique(wide, return_counts=True)
    middles = _middles(wide, every, counts, around) if plan.once else None
    for tile, inside in zip(tiles, insides, strict=True):
        ids, position = compact_ids(wide[inside.relative_to(around).slices])
        area = np.bincount(position[position >= 0], minlength=ids.size)
        labels = field.labels_of(ids)
        place = np.searchsorted(every, ids)
        labels[area < plan.min_visible * counts[place]] = _UNDECIDED
        if middles is not None:
            labels[~_inside(middles[place], tile.write)] = _UNDECIDED
        yield _Seen(
            tile=tile,
            inside=inside,
            number=(position + 1).reshape(inside.shape).astype(np.int32),
            mask=mask_plane(read, grid, inside, origin=window),
            labels=labels,
            kept=(labels != _UNDECIDED).any(axis=0) & (field.source.scales > 0),
        )


def _middles(ids: AnyArray, every: AnyArray, counts: AnyArray, window: Box) -> NDArray[np.float64]:
    """Middle of each cell of `every`, which are the ids in the window: y, x of the grid."""
    number = np.searchsorted(every, ids).ravel()
    sums = [np.bincount(number, weights=place.ravel()) for place in np.indices(ids.shape)]
    return np.stack(sums, axis=1) / counts[:, None] + (window.y0, window.x0)


def _inside(points: NDArray[np.float64], box: Box) -> BoolArray:
    low, high = (box.y0, box.x0), (box.y1, box.x1)
    return np.asarray(np.all((points >= low) & (points < high), axis=1))


def _network_input(
    source: FieldSource, seen: _Seen, raw: AnyArray, group: slice, window: Box
) -> NDArray[np.float32]:
    """Planes ``(c, 2, y, x)`` of the kept channels of a group that was read in `window`."""
    own = image_window(source.grid, seen.inside)
    kept = seen.kept[group]
    part = raw[:, *own.relative_to(window).slices][kept]
    planes = channel_planes(
        part, source.scales[group][kept], source.grid, seen.inside, origin=own, clip=CLIP
    )
    return network_input(planes, seen.mask, seen.tile, source.grid.network_shape)


def _stored(field: LabelledField, seen: _Seen, fed: NDArray[np.float32]) -> Tiles:
    """A tile as it is written."""
    height, width = seen.tile.read.shape
    missing = (0, height - seen.number.shape[0]), (0, width - seen.number.shape[1])
    return Tiles(
        planes=np.round(fed[:, 0] * PLANE_MAX).astype(np.uint16),
        geometry=np.zeros(len(fed), dtype=np.int32),
        labels=np.ascontiguousarray(seen.labels[:, seen.kept].T),
        masks=fed[:1, 1].astype(np.uint8),
        ids=np.pad(seen.number, missing)[None],
        source=field.sources[seen.kept],
    )
