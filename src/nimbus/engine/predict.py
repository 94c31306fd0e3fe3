"""From a tile to its probabilities and its sums per cell: a pure function of what it reads."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from nimbus._types import AnyArray
from nimbus.core.boxes import Box
from nimbus.core.cellsums import CellSums
from nimbus.core.tiles import Tile
from nimbus.model import Predictor, View

from .measure import (
    find_cells,
    intensity_sums,
    intensity_window,
    owned_labels,
    place_sums,
    score_weights,
)
from .planes import channel_planes, image_window, network_input, tile_mask
from .source import FieldSource

Aggregate = Literal["cell", "interior"]
"""Average over all pixels of a cell, or over those that are 1 in the mask plane alone."""

FloatMaps = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class ScorePlan:
    """What a model asks of the engine, and what the user asks of the scores.

    Parameters
    ----------
    multiple, halo
        Tile origins are multiples of `multiple`; a tile sees `halo` more network pixels around.
    tile_size
        Side of a tile's write box in network pixels.
    clip
        Scaled channels are clipped to [0, `clip`].
    views
        Turns and mirrors; probabilities are averaged over them.
    each_view
        Keep the sums of each view apart, for the spread over the views.
    group_size
        Channels that go to the device together, at least.
    """

    multiple: int
    halo: int
    tile_size: int
    clip: float
    views: tuple[View, ...]
    each_view: bool
    group_size: int


def score_tile(
    source: FieldSource, tile: Tile, predictor: Predictor, plan: ScorePlan
) -> CellSums | None:
    """Sums of the cells of one tile; ``None`` where it has none (its image is not read).

    Returns
    -------
    Sums named ``area``, ``place`` (y, x), ``score`` and ``interior_score`` (cells, views, c),
    ``score_area``, ``interior_area``, ``intensity`` (cells, c) and ``intensity_area``.
    """
    box = owned_labels(source.grid, tile.write)
    cells = find_cells(source.read_labels(box), box)
    if cells.ids.size == 0:
        return None
    seen = _Seen(source, tile, plan, tile_mask(source, tile))
    weights = score_weights(cells, source.grid, tile)
    interior = sparse.csc_array(weights.multiply(_written(seen.mask, tile).reshape(1, -1)))
    origin = _union(seen.window, intensity_window(source.grid, box))
    scores, interiors, intensities = [], [], []
    for group in source.channel_groups(_group_size(tile, predictor, plan)):
        raw = source.read_image(group, origin)
        intensity, intensity_area = intensity_sums(raw, cells, source.grid, origin)
        intensities.append(intensity)
        maps = list(_maps(raw, group, origin, seen, predictor))
        scores.append(_per_cell(weights, maps))
        interiors.append(_per_cell(interior, maps))
    area, place = place_sums(cells)
    sums = {
        "area": area,
        "place": place,
        "score": np.concatenate(scores, axis=2),
        "score_area": weights.sum(axis=1),
        "interior_score": np.concatenate(interiors, axis=2),
        "interior_area": interior.sum(axis=1),
        "intensity": np.concatenate(intensities, axis=1),
        "intensity_area": intensity_area,
    }
    return CellSums(cells.ids, sums)


def tile_maps(source: FieldSource, tile: Tile, predictor: Predictor, plan: ScorePlan) -> FloatMaps:
    """Probabilities of the tile's write box, mean over the views, axes ``(c, y, x)``."""
    seen = _Seen(source, tile, plan, tile_mask(source, tile))
    groups = []
    for group in source.channel_groups(_group_size(tile, predictor, plan)):
        raw = source.read_image(group, seen.window)
        maps = list(_maps(raw, group, seen.window, seen, predictor))
        groups.append(np.mean(maps, axis=0, dtype=np.float32))
    return np.concatenate(groups)


def _group_size(tile: Tile, predictor: Predictor, plan: ScorePlan) -> int:
    """Channels that go to the device together: with all their views they fill it."""
    fitting = predictor.fitting(math.prod(tile.read.shape))
    return max(plan.group_size, -(-fitting // len(plan.views)))


@dataclass(frozen=True, slots=True, eq=False)
class _Seen:
    """One tile of one field and its mask plane ``(y, x)``, of the read box inside the grid."""

    source: FieldSource
    tile: Tile
    plan: ScorePlan
    mask: NDArray[np.uint8]

    @property
    def inside(self) -> Box:
        """The read box inside the grid, in network pixels."""
        return self.tile.read.clipped(self.source.grid.network_shape)

    @property
    def window(self) -> Box:
        """Image pixels under the read box."""
        return image_window(self.source.grid, self.inside)


def _maps(
    raw: AnyArray, group: slice, origin: Box, seen: _Seen, predictor: Predictor
) -> Iterator[FloatMaps]:
    """Probabilities of the write box ``(c, y, x)``: their mean over the views, or of each view."""
    source, tile, plan = seen.source, seen.tile, seen.plan
    channels = channel_planes(
        raw, source.scales[group], source.grid, seen.inside, origin=origin, clip=plan.clip
    )
    planes = network_input(channels, seen.mask, tile, source.grid.network_shape)
    total: FloatMaps | None = None
    with predictor.lock:
        for view in predictor.each_view(planes, plan.views):
            one = _written(view, tile)
            if plan.each_view:
                yield one
            else:
                total = one.copy() if total is None else np.add(total, one, out=total)
    if total is not None:
        yield total / np.float32(len(plan.views))


def _per_cell(weights: sparse.csc_array, maps: list[FloatMaps]) -> NDArray[np.float64]:
    """Sums of each map over each cell, axes ``(cells, maps, c)``."""
    flat = [one.reshape(one.shape[0], -1).T.astype(np.float64) for one in maps]
    return np.stack([weights @ one for one in flat], axis=1)


def _written(read: AnyArray, tile: Tile) -> AnyArray:
    """The write box of an array of the read box, axes ``(..., y, x)``."""
    rows, columns = tile.write.relative_to(tile.read).slices
    return read[..., rows, columns]


def _union(a: Box, b: Box) -> Box:
    return Box(min(a.y0, b.y0), max(a.y1, b.y1), min(a.x0, b.x0), max(a.x1, b.x1))
