"""Labelled tiles in two parts: to learn from, and to judge by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nimbus.core.shards import ShardFolder, Tiles, merged

from .loss import UNDECIDED
from .samples import TileSampler, read_folders

UNDECIDED_8 = np.int8(UNDECIDED)

Unit = Literal["field", "tile", "cell"]


@dataclass(frozen=True, slots=True)
class Parts:
    """Two samplers without a labelled cell in common.

    Parameters
    ----------
    learn, judge
        Samples with at least one decided cell.
    unit
        What was held out. Of cells the neighbours may be among those that are learned from, and
        the measure is a little hopeful.
    """

    learn: TileSampler
    judge: TileSampler
    unit: Unit


def labelled(folders: Sequence[ShardFolder]) -> Tiles:
    """All samples with a decided cell, in memory.

    Raises
    ------
    ValueError
        Where there is none, or tiles have several sizes.
    """
    shards = [shard for read in read_folders(folders) for shard in read]
    parts = [part for part in map(_decided, shards) if len(part)]
    if not parts:
        where = ", ".join(repr(str(folder.path)) for folder in folders)
        raise ValueError(f"no cell in {where} has a label (1 or 0); label some and cut again")
    return merged(parts)


def held_out(tiles: Tiles, *, part: float, rng: np.random.Generator) -> Parts:
    """Hold out about a `part` of the tiles; of the cells, where all are in one tile.

    Raises
    ------
    ValueError
        Where fewer than two cells are labelled.
    """
    places = np.unique(tiles.geometry)
    if len(places) >= 2:
        rows = np.isin(tiles.geometry, places[_chosen(len(places), part, rng)])
        return Parts(_sampler(_rows(tiles, ~rows)), _sampler(_rows(tiles, rows)), "tile")
    cells = np.argwhere(tiles.labels != UNDECIDED)
    if len(cells) < 2:
        raise ValueError(
            "fine-tuning needs at least two labelled cells (1 or 0): one to learn from and one to "
            f"judge by; there is {len(cells)}"
        )
    judging = np.zeros(tiles.labels.shape, dtype=bool)
    judging[tuple(cells[_chosen(len(cells), part, rng)].T)] = True
    learn, judge = (
        _sampler(_decided(replace(tiles, labels=np.where(use, tiles.labels, UNDECIDED_8))))
        for use in (~judging, judging)
    )
    return Parts(learn, judge, "cell")


def _sampler(tiles: Tiles) -> TileSampler:
    return TileSampler([tiles])


def _chosen(n: int, part: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """`part` of n, at least one, and never all."""
    chosen = np.zeros(n, dtype=bool)
    chosen[rng.permutation(n)[: min(max(round(n * part), 1), n - 1)]] = True
    return chosen


def _decided(tiles: Tiles) -> Tiles:
    return _rows(tiles, (tiles.labels != UNDECIDED).any(axis=1))


def _rows(tiles: Tiles, rows: NDArray[np.bool_]) -> Tiles:
    return replace(
        tiles,
        planes=tiles.planes[rows],
        geometry=tiles.geometry[rows],
        labels=tiles.labels[rows],
        source=tiles.source[rows],
    )
