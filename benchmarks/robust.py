"""Noise-robust against noise-naive training, on simulated tissue whose labels are partly wrong.

    OMP_NUM_THREADS=1 python benchmarks/robust.py runs/robust
    python benchmarks/robust.py runs/robust --report docs/_static/robust_selection.png

Three kinds of labels, each of one field:

- ``flipped``: 15% of the labels, drawn at random, are turned round;
- ``silver``: made as silver labels are. Cells are clustered by their mean intensities (k-means),
  each cluster is named by the majority of its cells' true types, as a person would name it, and a
  cell gets the label that the assignment matrix (does most of this type carry the marker?) says;
- ``trusted``: the field with silver labels, and beside it as many tiles of another field, whose
  labels are true and known to be.

For each kind and seed a network is trained without selection. From there it goes on twice: naive,
and robust. Both see the same tiles in the same order. Measured on clean labels of other fields of
the tissue: average precision, mean over markers. The selection curve is the share of wrong labels
among the cells that are kept. Each finished training leaves a JSON file; what is there is not run
again.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.cluster.vq import kmeans2
from torch import Tensor

from nimbus.core.boxes import Box
from nimbus.core.grid import same_grid
from nimbus.core.masks import cell_plane, mask_plane
from nimbus.core.resample import area_average
from nimbus.core.shards import Tiles, open_shards, write_index, write_shard
from nimbus.datasets.cohort import CohortSettings, SimulatedField, simulate_cohort
from nimbus.datasets.training_tiles import cut
from nimbus.metrics.positivity import average_precision
from nimbus.model import UNet
from nimbus.train import AugmentSettings, FitSettings, RobustSettings, fit
from nimbus.train.bootstrap import blended
from nimbus.train.checkpoint import load_state
from nimbus.train.loss import UNDECIDED
from nimbus.train.robust import Judgement, judged
from nimbus.train.samples import Batch, TileSampler, split
from nimbus.train.selection import LossHistory, kept_cells, thresholds

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

NAIVE = FitSettings(
    depth=4, root_filters=8, n_steps=300, batch_size=8, warmup_steps=30, average_decay=0.99,
    held_out=0, log_every=50, checkpoint_minutes=60.0,
)  # fmt: skip
METHODS = {
    "naive": None,
    "robust": RobustSettings(after_step=0, rule="bootstrap"),
    "select": RobustSettings(after_step=0, rule="select"),
    "clean": None,
}
"""``robust``: bootstrapping with the average of the weights. ``select``: the thresholds of the
paper. ``clean``: naive on true labels."""
PLAIN = AugmentSettings(
    log_gain=(1, 1), offset=(0, 0), noise=(0, 0), blurred=0, contrasted=0, deformed=0
)
"""Turned and mirrored, else as they are."""
PARTS = 4
"""The second stage is measured after each of so many parts."""
N_DRAWS = 200
"""Draws of fields for the intervals."""

Labels = NDArray[np.int8]


# --- Tissue and its labels -----------------------------------------------------------------------


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


# --- Training ------------------------------------------------------------------------------------


def trained(folder: Path, kind: str, seed: int, given: argparse.Namespace) -> None:
    """All trainings of one kind and seed; each leaves ``result-METHOD.json``."""
    if not (folder / "judge" / "index.json").is_file():
        write_tissue(given.out, seed)
    first = dataclasses.replace(NAIVE, n_steps=given.warm_up, seed=seed)
    start = fit(
        tiles_for(folder, "noisy"), folder / "first", settings=first, augment=PLAIN, resume=True,
        show_progress_bar=False,
    )  # fmt: skip
    for method in given.methods:
        if (folder / f"result-{method}.json").is_file():
            continue
        robust = METHODS[method]
        if robust is not None and kind == "trusted":
            robust = dataclasses.replace(robust, trusted_datasets=("trusted",))
        # Seeds of batches are the same for all methods, and not those of the first part.
        second = dataclasses.replace(NAIVE, n_steps=given.steps, seed=seed + 500, robust=robust)
        result = gone_on(folder, method, start, second)
        (folder / f"result-{method}.json").write_text(json.dumps(result, indent=1) + "\n")
        print(
            kind,
            seed,
            method,
            f"{result['curve'][-1]['map']:.4f}",
            f"{result['seconds']:.0f} s",
            flush=True,
        )


def tiles_for(folder: Path, labels: str) -> list[Path]:
    """Tiles of the kind's field, and of the trusted one where it has one."""
    return [folder / labels] + [folder / "beside"] * folder.name.startswith("trusted")


def gone_on(folder: Path, method: str, start: UNet, settings: FitSettings) -> dict[str, object]:
    """Train the second stage in parts; the selection curve, and scores of clean cells."""
    tiles = tiles_for(folder, "true" if method == "clean" else "noisy")
    out = folder / method
    began, curve = time.monotonic(), []
    for part in range(1, PARTS + 1):
        stop = settings.n_steps * part // PARTS
        net = fit(
            tiles, out, settings=settings, augment=PLAIN, start=start, resume=True,
            stop_after=stop, show_progress_bar=False,
        )  # fmt: skip
        seconds = time.monotonic() - began
        shares = selection(folder, out, net, settings.robust)
        cells = scored(folder, net)
        curve.append({"step": stop, "map": macro(cells), **shares})
    return {
        "method": method, "seconds": seconds, "curve": curve, "draws": drawn_again(cells),
        "settings": dataclasses.asdict(settings),
    }  # fmt: skip


def selection(
    folder: Path, out: Path, net: UNet, robust: RobustSettings | None
) -> dict[str, float]:
    """Share of wrong labels among all cells and among the kept; share that is kept."""
    noisy, _ = split([open_shards(folder / "noisy")], held_out=0)
    true, _ = split([open_shards(folder / "true")], held_out=0)
    history = load_state(out / "checkpoint.pt").losses
    counts = np.zeros(4)  # cells, wrong, kept, kept and wrong
    for batch, clean in zip(noisy.in_order(size=32), true.in_order(size=32), strict=True):
        decided = batch.labels != UNDECIDED
        wrong = decided & (batch.labels != clean.labels)
        kept = decided
        if robust is not None:
            trusted = torch.zeros(len(noisy.sources), dtype=torch.bool)
            limits = thresholds(LossHistory(history), robust)
            kept = followed(judged(net, batch), batch, limits, trusted, robust)
        counts += [int(x.sum()) for x in (decided, wrong, kept, kept & wrong)]
    return {
        "wrong": counts[1] / counts[0],
        "kept": counts[2] / counts[0],
        "wrong_of_kept": counts[3] / counts[2],
    }


def followed(
    judgement: Judgement, batch: Batch, limits: Tensor, trusted: Tensor, robust: RobustSettings
) -> Tensor:
    """Cells that are kept; of bootstrapping, those whose target is on the side of their label."""
    if robust.rule == "select":
        return kept_cells(judgement, batch, limits, trusted, robust)
    target = blended(judgement.score, batch, trusted, robust.label_weight)
    return ((target > 0.5) == (batch.labels == 1)) & (batch.labels != UNDECIDED)


def scored(folder: Path, net: UNet) -> dict[str, list[float]]:
    """Clean cells: field, marker, truth and score, as columns."""
    both, _ = split([open_shards(folder / "judge")], held_out=0)
    columns: dict[str, list[float]] = {"field": [], "marker": [], "truth": [], "score": []}
    for number, shard in enumerate(both.shards):
        for batch in TileSampler([shard], both.sources).in_order(size=32):
            score = judged(net, batch).score
            used = (batch.labels != UNDECIDED) & torch.isfinite(score)
            marker = batch.source[:, None].expand_as(batch.labels)
            columns["field"] += [number] * int(used.sum())
            columns["marker"] += marker[used].tolist()
            columns["truth"] += batch.labels[used].tolist()
            columns["score"] += [round(s, 5) for s in score[used].tolist()]
    return columns


# --- Report --------------------------------------------------------------------------------------


def macro(cells: dict[str, list[float]], fields: NDArray[np.int64] | None = None) -> float:
    """Mean over the markers of the average precision; of drawn fields, if given."""
    field, marker, truth, score = (
        np.asarray(cells[k]) for k in ("field", "marker", "truth", "score")
    )
    if fields is not None:
        rows = np.concatenate([np.flatnonzero(field == f) for f in fields])
        marker, truth, score = marker[rows], truth[rows], score[rows]
    every = [average_precision(score[marker == m], truth[marker == m]) for m in range(len(MARKERS))]
    return float(np.nanmean(every))


def drawn_again(cells: dict[str, list[float]]) -> list[float]:
    """:func:`macro` of fields drawn with replacement; the same draws for every method."""
    rng = np.random.default_rng(0)
    return [round(macro(cells, rng.integers(0, N_JUDGE, N_JUDGE)), 5) for _ in range(N_DRAWS)]


def result_of(folder: Path, method: str) -> dict[str, Any]:
    """A finished training."""
    found: dict[str, Any] = json.loads((folder / f"result-{method}.json").read_text())
    return found


def compared(folders: list[Path], method: str, other: str) -> tuple[float, float, float]:
    """Mean over seeds of AP of `method` minus `other`, and its 95% interval by fields."""
    rng = np.random.default_rng(0)
    pairs = [[result_of(f, m) for m in (method, other)] for f in folders]
    difference = np.mean([a["curve"][-1]["map"] - b["curve"][-1]["map"] for a, b in pairs])
    each = np.array([np.subtract(a["draws"], b["draws"]) for a, b in pairs])
    seeds = rng.integers(0, len(pairs), (2000, len(pairs)))
    draws = each[seeds, rng.integers(0, N_DRAWS, seeds.shape)].mean(axis=1)
    return float(difference), *(float(q) for q in np.quantile(draws, [0.025, 0.975]))


def report(out: Path, given: argparse.Namespace) -> str:
    """Markdown table of all that is finished."""
    columns = ("labels", "wrong", "method", "AP, each seed", "mean", "at the best step",
               "minus naive (95%)", "wrong of those followed")  # fmt: skip
    rows = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for kind in KINDS:
        for method in METHODS:
            folders = [out / f"{kind}-{s}" for s in given.seeds]
            folders = [f for f in folders if (f / f"result-{method}.json").is_file()]
            if not folders:
                continue
            results = [result_of(f, method) for f in folders]
            ends = [r["curve"][-1] for r in results]
            aps = [e["map"] for e in ends]
            best = np.mean([max(c["map"] for c in r["curve"]) for r in results])
            change, purity = "", f"{np.mean([e['wrong_of_kept'] for e in ends]):.3f}"
            if method != "naive":
                mean, low, high = compared(folders, method, "naive")
                change = f"{mean:+.3f} ({low:+.3f} to {high:+.3f})"
            rows.append(
                f"| {kind} | {np.mean([e['wrong'] for e in ends]):.3f} | {method} "
                f"| {', '.join(f'{a:.3f}' for a in aps)} | {np.mean(aps):.3f} "
                f"| {best:.3f} | {change} "
                f"| {'' if method == 'clean' else purity} |"
            )  # fmt: skip
    return "\n".join(rows)


def drawn_curves(out: Path, path: Path, given: argparse.Namespace) -> None:
    """Share of wrong labels among those kept, and average precision, over the steps."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, len(KINDS), figsize=(10, 5), sharex=True, squeeze=False)
    for column, kind in enumerate(KINDS):
        for method, color in (("naive", "0.5"), ("robust", "C0")):
            for seed in given.seeds:
                file = out / f"{kind}-{seed}" / f"result-{method}.json"
                if not file.is_file():
                    continue
                curve = result_of(file.parent, method)["curve"]
                steps = [given.warm_up + c["step"] for c in curve]
                label = {"naive": "all", "robust": "followed by robust"}[method]
                label = label if seed == given.seeds[0] else None
                axes[0, column].plot(
                    steps, [100 * c["wrong_of_kept"] for c in curve], color=color, label=label
                )
                label = method if seed == given.seeds[0] else None
                axes[1, column].plot(steps, [c["map"] for c in curve], color=color, label=label)
        axes[0, column].set(title=f"{kind} labels", ylabel="wrong labels (%)")
        axes[0, column].set_ylim(bottom=0)
        axes[1, column].set(xlabel="step", ylabel="average precision")
        if axes[0, column].lines:
            axes[0, column].legend(frameon=False)
            axes[1, column].legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("out", type=Path)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--methods", nargs="+", default=["naive", "robust"],
                        choices=list(METHODS))  # fmt: skip
    parser.add_argument("--warm-up", type=int, default=NAIVE.n_steps)
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--report", type=Path, help="only draw and print what is finished")
    given = parser.parse_args()
    if given.report is None:
        torch.set_num_threads(1)
        for seed in given.seeds:
            for kind in given.kinds:
                trained(given.out / f"{kind}-{seed}", kind, seed, given)
    else:
        drawn_curves(given.out, given.report, given)
    print(report(given.out, given))


if __name__ == "__main__":
    main()
