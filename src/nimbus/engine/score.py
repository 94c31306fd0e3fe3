"""Scores of all cells of some fields."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nimbus._progress import with_progress
from nimbus.core.cellsums import CellSums, added, ratio
from nimbus.core.tiles import Tile, plan_tiles

from .predict import Aggregate, ScorePlan, score_tile, tile_maps
from .predictors import PredictorSpec, predictor_for
from .resume import Journal
from .run import run_ordered
from .source import FieldSource

_MERGE_AT = 64
"""Tiles whose sums are held apart before they are added up."""


@dataclass(frozen=True, slots=True)
class TileItem:
    """One tile of one field."""

    field: int
    tile: Tile


@dataclass(frozen=True, slots=True, eq=False)
class ScoreTask:
    """Scores one tile, here or in another process; each process loads the model once."""

    sources: tuple[FieldSource, ...]
    predictor: PredictorSpec
    plan: ScorePlan

    def __call__(self, item: TileItem) -> CellSums | None:
        """Sums of the cells of a tile; ``None`` where it has none."""
        return score_tile(
            self.sources[item.field], item.tile, predictor_for(self.predictor), self.plan
        )


def map_tile(task: ScoreTask, item: TileItem) -> NDArray[np.float32]:
    """Probabilities ``(c, y, x)`` of a tile's write box, mean over the views."""
    predictor = predictor_for(task.predictor)
    return tile_maps(task.sources[item.field], item.tile, predictor, task.plan)


@dataclass(frozen=True, slots=True, eq=False)
class CellScores:
    """What was measured of the cells of one field; rows are cells.

    Parameters
    ----------
    ids
        Cell ids, ascending.
    score
        Mean probability ``(n, c)``; NaN where no pixel of the cell lies on the image.
    spread
        Standard deviation of the score over the views ``(n, c)``; ``None`` if not wanted.
    intensity
        Mean intensity ``(n, c)``.
    area
        Label pixels ``(n,)``.
    centroid
        Mean (y, x) of the pixel centres, in label pixels ``(n, 2)``.
    """

    ids: NDArray[np.int64]
    score: NDArray[np.float32]
    spread: NDArray[np.float32] | None
    intensity: NDArray[np.float32]
    area: NDArray[np.int64]
    centroid: NDArray[np.float64]


def tiles_of(source: FieldSource, plan: ScorePlan) -> tuple[Tile, ...]:
    """The tiles of one field."""
    return plan_tiles(
        source.grid.network_shape,
        tile_size=plan.tile_size,
        multiple=plan.multiple,
        halo=plan.halo,
    )


def score_fields(
    task: ScoreTask,
    *,
    aggregate: Aggregate,
    journal: Journal | None,
    n_jobs: int,
    show_progress_bar: bool,
) -> list[CellScores]:
    """Score every cell of every field of `task`.

    Parameters
    ----------
    task
        Fields, model and plan.
    aggregate
        Pixels of a cell that are averaged; with ``"interior"`` a cell without interior takes all.
    journal
        Where finished tiles are kept and found.
    n_jobs
        Threads, where no Dask cluster is active.
    show_progress_bar
        Show the tiles that are done.
    """
    items = [
        TileItem(index, tile)
        for index, source in enumerate(task.sources)
        for tile in tiles_of(source, task.plan)
    ]
    held: list[list[CellSums]] = [[] for _ in task.sources]
    results = with_progress(
        _finished(task, items, journal, n_jobs),
        total=len(items),
        description="scores",
        unit="tiles",
        show=show_progress_bar,
        cells_of=lambda done: 0 if done[1] is None else done[1].ids.size,
    )
    for item, sums in results:
        if sums is not None:
            parts = held[item.field]
            parts.append(sums)
            if len(parts) >= _MERGE_AT:
                parts[:] = [added(parts)]
    return [
        _finish(added(parts), aggregate, task.plan) if parts else _empty(source, task.plan)
        for source, parts in zip(task.sources, held, strict=True)
    ]


def _finished(
    task: ScoreTask, items: Sequence[TileItem], journal: Journal | None, n_jobs: int
) -> Iterator[tuple[TileItem, CellSums | None]]:
    """Every item in order with its sums: from the journal where it is done, else computed."""
    if journal is None:
        yield from run_ordered(task, items, n_jobs=n_jobs)
        return
    missing = [item for item in items if not journal.has(item.field, item.tile.index)]
    fresh = run_ordered(task, missing, n_jobs=n_jobs)
    for item in items:
        if journal.has(item.field, item.tile.index):
            yield item, journal.load(item.field, item.tile.index)
        else:
            _, sums = next(fresh)
            journal.save(item.field, item.tile.index, sums)
            yield item, sums


def _finish(total: CellSums, aggregate: Aggregate, plan: ScorePlan) -> CellScores:
    sums = total.sums
    score, count = sums["score"], sums["score_area"]
    if aggregate == "interior":
        has = sums["interior_area"] > 0
        score = np.where(has[:, None, None], sums["interior_score"], score)
        count = np.where(has, sums["interior_area"], count)
    views = ratio(score, count[:, None, None])
    return CellScores(
        ids=total.ids,
        score=views.mean(axis=1).astype(np.float32),
        spread=views.std(axis=1).astype(np.float32) if plan.each_view else None,
        intensity=ratio(sums["intensity"], sums["intensity_area"][:, None]).astype(np.float32),
        area=sums["area"].astype(np.int64),
        centroid=ratio(sums["place"], sums["area"][:, None]),
    )


def _empty(source: FieldSource, plan: ScorePlan) -> CellScores:
    none = np.zeros((0, len(source.channels)), dtype=np.float32)
    return CellScores(
        ids=np.zeros(0, dtype=np.int64),
        score=none,
        spread=none if plan.each_view else None,
        intensity=none,
        area=np.zeros(0, dtype=np.int64),
        centroid=np.zeros((0, 2)),
    )
