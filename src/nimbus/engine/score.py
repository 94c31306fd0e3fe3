"""Scores of all cells of some fields."""

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
from .integrate import intensities, places
from .predict import Aggregate, ScorePlan, score_tile, tile_maps
from .predictors import PredictorSpec, predictor_for
from .resume import Journal
from .run import run_ordered
from .source import FieldSource

_SCORES = ("score", "area")

_INTERIOR: dict[Aggregate, tuple[str, ...]] = {
    "cell": (),
    "interior": ("interior_score", "interior_area"),
}


@dataclass(frozen=True, slots=True)
class TileItem:
    """One tile of one field, whose labels have that name."""

    field: int
    tile: Tile
    name: str

    def __str__(self) -> str:
        box = self.tile.write
        return (
            f"tile {self.tile.index} of {self.name!r} "
            f"(rows {box.y0}:{box.y1}, columns {box.x0}:{box.x1} of the network's grid)"
        )


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
        TileItem(index, tile, source.labels_name)
        for index, source in enumerate(task.sources)
        for tile in tiles_of(source, task.plan)
    ]
    results = with_progress(
        _finished(task, items, journal, n_jobs),
        total=len(items),
        description="scores",
        unit="tiles",
        show=show_progress_bar,
        cells_of=lambda done: 0 if done[1] is None else done[1].ids.size,
    )
    lean = ((item, _needed(sums, aggregate)) for item, sums in results)
    by_field = each_field(lean, n_fields=len(task.sources))
    return [
        _finish(held, aggregate, task.plan) if held.parts else _empty(source, task.plan)
        for source, held in zip(task.sources, by_field, strict=True)
    ]


def _needed(sums: CellSums | None, aggregate: Aggregate) -> CellSums | None:
    """What becomes scores: without those over interiors, where they are not wanted, a third less.

    A resume folder may hold more: all aggregates, and what older versions kept.
    """
    if sums is None:
        return None
    names = (*_SCORES, *_INTERIOR[aggregate], "place", "intensity", "intensity_area")
    return CellSums(sums.ids, {name: sums.sums[name] for name in names})


def _finished(
    task: ScoreTask, items: Sequence[TileItem], journal: Journal | None, n_jobs: int
) -> Iterator[tuple[TileItem, CellSums | None]]:
    """Every item in order with its sums: from the journal where it is done, else computed."""
    if journal is None:
        yield from run_ordered(task, items, n_jobs=n_jobs, files=task.predictor.files)
        return
    missing = [item for item in items if not journal.has(item.field, item.tile.index)]
    fresh = run_ordered(task, missing, n_jobs=n_jobs, files=task.predictor.files)
    for item in items:
        if journal.has(item.field, item.tile.index):
            yield item, journal.load(item.field, item.tile.index)
        else:
            _, sums = next(fresh)
            journal.save(item.field, item.tile.index, sums)
            yield item, sums


def _finish(held: HeldSums, aggregate: Aggregate, plan: ScorePlan) -> CellScores:
    def scores(sums: Totals) -> tuple[NDArray[np.float32], ...]:
        views = _views(sums, aggregate)
        score = views.mean(axis=1).astype(np.float32)
        return (score, views.std(axis=1).astype(np.float32)) if plan.each_view else (score,)

    joined = held.joined()
    score, *spread = joined.finished((*_SCORES, *_INTERIOR[aggregate]), scores, again=("area",))
    (intensity,) = joined.finished(("intensity", "intensity_area"), intensities)
    area, centroid = joined.finished(("area", "place"), places)
    return CellScores(joined.ids, score, spread[0] if spread else None, intensity, area, centroid)


def _views(sums: Totals, aggregate: Aggregate) -> NDArray[np.float64]:
    """Score of each cell in each view, ``(n, views, c)``."""
    score, count = sums["score"], sums["area"]
    if aggregate == "interior":
        interior = sums["interior_area"]
        has = interior > 0
        score = np.where(has[:, None, None], sums["interior_score"], score)
        count = np.where(has, interior, count)
    return ratio(score, count[:, None, None])


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
