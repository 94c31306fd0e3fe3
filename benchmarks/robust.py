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

import numpy as np
import torch
from robust_data import KINDS, write_tissue
from robust_report import drawn_again, drawn_curves, macro, report
from torch import Tensor

from nimbus.core.shards import open_shards
from nimbus.model import UNet
from nimbus.train import AugmentSettings, FitSettings, RobustSettings, fit
from nimbus.train.bootstrap import doubted
from nimbus.train.checkpoint import load_state
from nimbus.train.loss import UNDECIDED
from nimbus.train.robust import Judgement, judged
from nimbus.train.samples import Batch, TileSampler, split
from nimbus.train.selection import LossHistory, kept_cells, thresholds
from nimbus.train.targets import between

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
    score = doubted(judgement.score, batch, trusted)
    target = between(batch.labels, score, label_weight=robust.label_weight)
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
        drawn_curves(given.out, given.report, given.seeds, warm_up=given.warm_up)
    print(report(given.out, given.seeds, list(METHODS)))


if __name__ == "__main__":
    main()
