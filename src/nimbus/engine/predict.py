"""From a tile to its probabilities and its sums per cell: a pure function of what it reads."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
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
    TileCells,
    find_cells,
    intensity_sums,
    intensity_window,
    on_mask,
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

    Sums over cells are taken beside, while the network sees the next channels. Of an image that has
    none of the channels places alone are taken: no network is run, the other sums have no width.

    Returns
    -------
    Sums named ``area``, ``place`` (y, x), ``score`` and ``interior_score`` (cells, views, c),
    ``interior_area``, ``intensity`` (cells, c) and ``intensity_area``.
    """
    box = owned_labels(source.grid, tile.write)
    cells = find_cells(source.read_labels(box), box)
    if cells.ids.size == 0:
        return None
    if not source.channels:
        return CellSums(cells.ids, _sums_without_channels(cells))
    seen = _Seen(source, tile, plan, tile_mask(source, tile))
    origin = seen.window.joined(intensity_window(source.grid, box))
    with ThreadPoolExecutor(1, thread_name_prefix="nimbus-cells") as beside:
        weighing = beside.submit(_weighed, cells, seen)
        placing = beside.submit(place_sums, cells)
        groups: list[Future[_GroupSums]] = []
        for group in source.channel_groups(_group_size(tile, predictor, plan)):
            raw = source.read_image(group, origin)
            measuring = beside.submit(intensity_sums, raw, cells, source.grid, origin)
            maps = list(_maps(raw, group, origin, seen, predictor))
            if groups:  # maps of one group wait at most
                groups[-1].result()
            groups.append(beside.submit(_group_sums, weighing, measuring, maps))
        done = [group.result() for group in groups]
    area, place = placing.result()
    sums = {
        "area": area,
        "place": place,
        "score": np.concatenate([group.score for group in done], axis=2),
        "interior_score": np.concatenate([group.interior_score for group in done], axis=2),
        "interior_area": weighing.result().interior.sum(axis=1),
        "intensity": np.concatenate([group.intensity for group in done], axis=1),
        "intensity_area": done[0].intensity_area,
    }
    return CellSums(cells.ids, sums)


def _sums_without_channels(cells: TileCells) -> dict[str, NDArray[np.float64]]:
    """What :func:`score_tile` sums, of no channel."""
    area, place = place_sums(cells)
    n = cells.ids.size
    return {
        "area": area,
        "place": place,
        **dict.fromkeys(("score", "interior_score"), np.zeros((n, 1, 0))),
        **dict.fromkeys(("interior_area", "intensity_area"), np.zeros(n)),
        "intensity": np.zeros((n, 0)),
    }


def tile_maps(source: FieldSource, tile: Tile, predictor: Predictor, plan: ScorePlan) -> FloatMaps:
    """Probabilities of the tile's write box, mean over the views, axes ``(c, y, x)``.

    The field has at least one channel.
    """
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


@dataclass(frozen=True, slots=True, eq=False)
class _Weighed:
    """How much of each cell lies on each network pixel of the write box, and on the mask."""

    weights: sparse.csc_array
    interior: sparse.csc_array


@dataclass(frozen=True, slots=True, eq=False)
class _GroupSums:
    """Sums of the cells of a tile in some channels."""

    score: NDArray[np.float64]
    interior_score: NDArray[np.float64]
    intensity: NDArray[np.float64]
    intensity_area: NDArray[np.float64]


def _weighed(cells: TileCells, seen: _Seen) -> _Weighed:
    weights = score_weights(cells, seen.source.grid, seen.tile)
    return _Weighed(weights, on_mask(weights, _written(seen.mask, seen.tile)))


def _group_sums(
    weighing: Future[_Weighed],
    measuring: Future[tuple[NDArray[np.float64], NDArray[np.float64]]],
    maps: list[FloatMaps],
) -> _GroupSums:
    weighed = weighing.result()
    on_cells, on_interior = (_per_cell(w, maps) for w in (weighed.weights, weighed.interior))
    return _GroupSums(on_cells, on_interior, *measuring.result())


def _maps(
    raw: AnyArray, group: slice, origin: Box, seen: _Seen, predictor: Predictor
) -> Iterator[FloatMaps]:
    """Probabilities of the write box ``(c, y, x)``: their mean over the views, or of each view."""
    source, tile, plan = seen.source, seen.tile, seen.plan
    planes = network_input(
        channel_planes(
            raw, source.scales[group], source.grid, seen.inside, origin=origin, clip=plan.clip
        ),
        seen.mask,
        tile,
        source.grid.network_shape,
    )
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
    sums = [weights @ one.reshape(one.shape[0], -1).T.astype(np.float64) for one in maps]
    return np.stack(sums, axis=1)


def _written(read: AnyArray, tile: Tile) -> AnyArray:
    """The write box of an array of the read box, axes ``(..., y, x)``."""
    rows, columns = tile.write.relative_to(tile.read).slices
    return read[..., rows, columns]
