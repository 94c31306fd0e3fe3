"""Tissue of robust.py: tiles of which some labels are wrong, and the same tiles with true ones."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2

from nimbus.core.boxes import Box
from nimbus.core.grid import same_grid
from nimbus.core.masks import cell_plane, mask_plane
from nimbus.core.resample import area_average
from nimbus.core.shards import Tiles, write_index, write_shard
from nimbus.datasets.cohort import CohortSettings, SimulatedField, simulate_cohort
from nimbus.datasets.training_tiles import cut
from nimbus.train.loss import UNDECIDED

MARKERS = (
    "CD45", "CD3", "CD4", "CD8", "CD20", "FOXP3", "CD68", "PANCK", "SMA", "HLADR", "CD31", "KI67",
)  # fmt: skip
KINDS = ("flipped", "silver", "trusted")
WRONG = 0.15
N_CLUSTERS = 15
TILE = 64
SIDE_PX = 256
PIXEL_UM, MODEL_PIXEL_UM = 0.5, 1.0
N_LEARN, N_JUDGE = 1, 8
SCALE_QUANTILE = 0.995

Labels = NDArray[np.int8]


def write_tissue(out: Path, seed: int) -> None:
    """Tiles for each kind of labels: its folder's noisy, true (of the same cells) and judge."""
    cohort = CohortSettings(
        shape=(SIDE_PX, SIDE_PX), markers=MARKERS, n_fields=2 * N_LEARN + N_JUDGE,
        platform="codex", pixel_size_um=PIXEL_UM,
    )  # fmt: skip
    fields = simulate_cohort(cohort, random_state=1000 + seed)
    learn, judge, beside = fields[:N_LEARN], fields[2 * N_LEARN :], fields[N_LEARN : 2 * N_LEARN]
    scales = [
        max(float(np.quantile(np.stack([f.image[c] for f in learn]), SCALE_QUANTILE)), 1e-6)
        for c in range(len(MARKERS))
    ]
    for kind in KINDS:
        make = flipped if kind == "flipped" else silver
        noisy = make(learn, np.random.default_rng([seed, int(kind != "flipped")]))
        for name, some, labels in (
            ("noisy", learn, noisy),
            ("true", learn, [f.truth for f in learn]),
            ("judge", judge, [f.truth for f in judge]),
            ("beside", beside, [f.truth for f in beside]),
        ):
            folder = out / f"{kind}-{seed}" / name
            tiles = [tiles_of(f, y, scales) for f, y in zip(some, labels, strict=True)]
            sums = [write_shard(folder, k, t) for k, t in enumerate(tiles)]
            dataset = "trusted" if name == "beside" else "simulated"
            sources = [{"dataset": dataset, "marker": m} for m in MARKERS]
            write_index(folder, sums, {"sources": sources})


def flipped(fields: list[SimulatedField], rng: np.random.Generator) -> list[Labels]:
    turned = [rng.random(f.truth.shape) < WRONG for f in fields]
    return [np.where(t, 1 - f.truth, f.truth) for f, t in zip(fields, turned, strict=True)]


def silver(fields: list[SimulatedField], rng: np.random.Generator) -> list[Labels]:
    mean = np.concatenate([f.mean for f in fields]).astype(np.float64)
    truth = np.concatenate([f.truth for f in fields])
    kind = np.concatenate([f.cell_type for f in fields])
    scaled = np.arcsinh(5 * np.clip(mean / np.quantile(mean, 0.99, axis=0), 0, 1.5))
    _, cluster = kmeans2(scaled, N_CLUSTERS, minit="++", seed=rng, iter=50)
    types, number = np.unique(kind, return_inverse=True)
    carried = np.stack([truth[number == t].mean(axis=0) > 0.5 for t in range(len(types))])
    votes = np.zeros((N_CLUSTERS, len(types)))
    np.add.at(votes, (cluster, number), 1)
    labels = carried[votes.argmax(axis=1)[cluster]].astype(np.int8)
    return np.split(labels, np.cumsum([len(f.mean) for f in fields])[:-1])


def tiles_of(field: SimulatedField, labels: Labels, scales: list[float]) -> Tiles:
    grid = same_grid(field.labels.shape, MODEL_PIXEL_UM / PIXEL_UM)
    side = int(SIDE_PX * PIXEL_UM / MODEL_PIXEL_UM)
    box, origin = Box(0, side, 0, side), Box(0, SIDE_PX, 0, SIDE_PX)
    planes = [
        area_average(np.clip(p.astype(np.float32) / np.float32(s), 0, 1), grid, box, origin=origin)
        for p, s in zip(field.image, scales, strict=True)
    ]
    by_id = np.full((len(MARKERS), int(field.labels.max())), UNDECIDED, dtype=np.int8)
    by_id[:, field.instance_id - 1] = labels.T
    tiles = cut(
        np.stack(planes), mask_plane(field.labels, grid, box, origin=origin),
        cell_plane(field.labels, grid, box, origin=origin), by_id, TILE,
    )  # fmt: skip
    marker = np.arange(len(tiles), dtype=np.int32) % len(MARKERS)
    return dataclasses.replace(tiles, source=marker)
