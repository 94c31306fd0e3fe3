"""Bytes for each cell that scoring holds beside the tiles under way: their sums, and the table.

    python benchmarks/memory_cells.py [--channels 4] [--views 1] [--tiles 9 100]

Tiles of 7396 cells, some of them cut by the tile's edge, have made-up sums; the engine joins them
and the table is made, as `tl.score` does. There is no image and no network, and what is counted are
the bytes that were asked for (tracemalloc): the same in each run, whatever else the machine does.
The last line is what each cell more takes, from the first number of tiles to the last.
"""

from __future__ import annotations

import argparse
import tracemalloc
from types import SimpleNamespace

import numpy as np

from nimbus.core.cellsums import CellSums
from nimbus.engine import score as engine
from nimbus.tl import _record

CELLS, CUT, SIDE = 7396, 172, 1024


class MadeUp:
    """A task: sums of whole numbers where those of images of whole numbers are such."""

    predictor = SimpleNamespace(files=())

    def __init__(self, n_tiles: int, n_channels: int, n_views: int) -> None:
        grid = SimpleNamespace(network_shape=(SIDE, SIDE * n_tiles))
        channels = tuple(f"m{k}" for k in range(n_channels))
        self.sources = (SimpleNamespace(grid=grid, labels_name="labels", channels=channels),)
        self.plan = SimpleNamespace(tile_size=SIDE, multiple=1, halo=0, each_view=n_views > 1)
        self.shape = n_views, n_channels

    def __call__(self, item: engine.TileItem) -> CellSums:
        rng = np.random.default_rng(item.tile.index)
        area = rng.integers(1, 600, CELLS).astype(np.float64)
        inside = np.floor(area / 2)
        sums = {
            "area": area,
            "place": area[:, None] * rng.random((CELLS, 2)) * SIDE,
            "score": area[:, None, None] * rng.random((CELLS, *self.shape)),
            "interior_score": inside[:, None, None] * rng.random((CELLS, *self.shape)),
            "interior_area": inside,
            "intensity": np.floor(area[:, None] * rng.random((CELLS, self.shape[1])) * 300),
            "intensity_area": area.copy(),
        }
        first = 1 + item.tile.index * (CELLS - CUT)
        return CellSums(np.arange(first, first + CELLS), sums)


def measured(n_tiles: int, n_channels: int, n_views: int) -> tuple[int, ...]:
    """Cells; bytes held when the last tile is done, and at most while sums, then table are made."""
    task = MadeUp(n_tiles, n_channels, n_views)
    finish, held = engine._finish, []

    def noted(*given):
        held.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.reset_peak()
        return finish(*given)

    engine._finish = noted
    tracemalloc.start()
    scores = engine.score_fields(
        task, aggregate="cell", journal=None, n_jobs=1, show_progress_bar=False
    )
    joined = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    field = SimpleNamespace(source=task.sources[0], placement=None)
    scored = _record.Scored({"labels": field}, {"labels": scores.pop()})
    table = _record.make_table(scored)
    table.layers["nimbus"] = _record.aligned(table, scored.taken("score"))
    made = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    engine._finish = finish
    return table.n_obs, held[0], joined, made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--channels", type=int, default=4)
    parser.add_argument("--views", type=int, default=1)
    parser.add_argument("--tiles", type=int, nargs="+", default=(9, 100))
    given = parser.parse_args()
    _record.to_world = lambda _, centroid: centroid[:, ::-1].copy()
    measured(1, given.channels, given.views)  # what is imported and kept once
    print("| tiles | cells | held MB | joining, at most MB | table, at most MB |")
    print("|---|---|---|---|---|")
    rows = [measured(n, given.channels, given.views) for n in given.tiles]
    for n_tiles, (cells, *sizes) in zip(given.tiles, rows, strict=True):
        print(f"| {n_tiles} | {cells} |", " | ".join(f"{size / 1e6:.1f}" for size in sizes), "|")
    cells, *more = (last - first for first, last in zip(rows[0], rows[-1], strict=True))
    print("| bytes for a cell | |", " | ".join(f"{size / cells:.0f}" for size in more), "|")


if __name__ == "__main__":
    main()
