"""Mean intensity per cell: the same sums as the scores', without a network."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nimbus._progress import with_progress
from nimbus.core.cellsums import CellSums, ratio
from nimbus.core.heldsums import HeldSums, Totals
from nimbus.core.tiles import Tile, plan_tiles

from .byfield import each_field
from .measure import find_cells, intensity_sums, intensity_window, owned_labels, place_sums
from .run import run_ordered
from .source import FieldSource

_TILE_SIZE = 2048
"""Side of a tile in image pixels."""


@dataclass(frozen=True, slots=True)
class _Item:
    field: int
    tile: Tile


@dataclass(frozen=True, slots=True, eq=False)
class _Integrate:
    """Sums of one tile, channel group by channel group."""

    sources: tuple[FieldSource, ...]

    def __call__(self, item: _Item) -> CellSums | None:
        source = self.sources[item.field]
        box = owned_labels(source.grid, item.tile.write)
        cells = find_cells(source.read_labels(box), box)
        if cells.ids.size == 0:
            return None
        window = intensity_window(source.grid, box)
        n = cells.ids.size
        groups = [
            intensity_sums(source.read_image(group, window), cells, source.grid, window)
            for group in source.channel_groups(1)
        ] or [(np.zeros((n, 0)), np.zeros(n))]  # the image has none of the channels
        area, place = place_sums(cells)
        sums = {
            "area": area,
            "place": place,
            "intensity": np.concatenate([total for total, _ in groups], axis=1),
            "intensity_area": groups[0][1],
        }
        return CellSums(cells.ids, sums)


@dataclass(frozen=True, slots=True, eq=False)
class CellMeans:
    """Cells of one field: ids ``(n,)``, mean intensities ``(n, c)``, area, centroid (y, x)."""

    ids: NDArray[np.int64]
    intensity: NDArray[np.float32]
    area: NDArray[np.int64]
    centroid: NDArray[np.float64]


def integrate_fields(
    sources: Sequence[FieldSource], *, n_jobs: int, show_progress_bar: bool
) -> list[CellMeans]:
    """Mean intensity of each channel over each cell, field by field, in bounded memory."""
    items = list(_items(sources))
    results = with_progress(
        run_ordered(_Integrate(tuple(sources)), items, n_jobs=n_jobs),
        total=len(items),
        description="intensities",
        unit="tiles",
        show=show_progress_bar,
    )
    by_field = each_field(results, n_fields=len(sources))
    return [
        _means(held, len(source.channels)) for held, source in zip(by_field, sources, strict=True)
    ]


def _items(sources: Sequence[FieldSource]) -> Iterator[_Item]:
    for index, source in enumerate(sources):
        shape = source.grid.network_shape
        for tile in plan_tiles(shape, tile_size=_TILE_SIZE, multiple=1, halo=0):
            yield _Item(index, tile)


def _means(held: HeldSums, n_channels: int) -> CellMeans:
    if not held.parts:
        return CellMeans(
            np.zeros(0, dtype=np.int64),
            np.zeros((0, n_channels), dtype=np.float32),
            np.zeros(0, dtype=np.int64),
            np.zeros((0, 2)),
        )
    joined = held.joined()
    (intensity,) = joined.finished(("intensity", "intensity_area"), intensities)
    area, centroid = joined.finished(("area", "place"), places)
    return CellMeans(joined.ids, intensity, area, centroid)


def intensities(sums: Totals) -> tuple[NDArray[np.float32]]:
    """Mean intensity of each channel over each cell, ``(n, c)``."""
    return (ratio(sums["intensity"], sums["intensity_area"][:, None]).astype(np.float32),)


def places(sums: Totals) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Pixels ``(n,)`` and centroid (y, x) of each cell."""
    return sums["area"].astype(np.int64), ratio(sums["place"], sums["area"][:, None])
