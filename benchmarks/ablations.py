"""What each choice of the training is worth: small networks, three seeds, one table.

    python benchmarks/silver.py runs/silver --tile-size 128 --pixel-size 0.5
    python benchmarks/ablations.py runs/ablations --silver runs/silver/train --teacher WEIGHTS
    python benchmarks/ablations.py runs/ablations --only base "no haze" --seeds 0
    python benchmarks/ablations.py runs/ablations --report          (the table of what is finished)

Hours on one core; resumable. Each variant changes one thing against `base`, which is nimbus-s but
for a short training without a teacher: tissue without an effect, the range of pixel sizes,
augmentation, the pixels that the loss counts, the size of the network, the square root of the
channel, real silver labels of `dcis_mibi` (a training set of benchmarks/silver.py) with and without
noise-robust training, in the training or in one that goes on from the shipped nimbus-s, a teacher;
and, with the weights of `base`, the rule of the scale, the pixels that a score averages, the pixel
size of scoring, the calibration. All are short (`FIT` and `TILES`): they tell the direction, not
the size, of what a long training would show.

Measured on held-out simulated tissue with all effects (AUROC, average precision, AUROC at equal
intensity: the mean over ten bins of mean intensity, where intensity alone has about 0.5) and
on the pairs of `gold.csv`, if `--data` has them (one view).
"""

from __future__ import annotations

import argparse
import json
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import accuracy  # beside this file
import numpy as np
import pandas as pd
import torch

import nimbus
from nimbus.core.scalerule import ScaleRule
from nimbus.core.shards import INDEX, open_shards
from nimbus.datasets import TileSettings, write_training_tiles
from nimbus.metrics.positivity import auroc, average_precision, f1_at
from nimbus.model import ModelCard, load_checkpoint, load_model, save_checkpoint
from nimbus.model.card import architecture
from nimbus.train import (
    AugmentSettings,
    FitSettings,
    RobustSettings,
    TeacherSettings,
    calibrate,
    fit,
    folded,
    loop,
)
from nimbus.train.loss import cell_means
from nimbus.train.measure import score_cells
from nimbus.train.samples import split

TILES = TileSettings(n_fields=60, n_channels=10, pixel_size_um=0.5, zoom=(0.5, 1.9),
                     fields_per_shard=20)  # fmt: skip
JUDGE = replace(TILES, n_fields=40, n_channels=6)
FIT = FitSettings(depth=5, root_filters=8, patch=2, n_steps=1000, batch_size=16, warmup_steps=100,
                  average_decay=0.99, measure_every=100_000, precision="float32")  # fmt: skip
AUGMENT = AugmentSettings(
    log_gain=(0.3, 2.2), noise=(0.0, 0.1), blur_px=(0.4, 2.0), blurred=0.35, gamma=(0.5, 1.5),
    bent=0.3, shift_px=(1.0, 3.0), lift=(0.03, 1.5), lifted=0.4, counts=(2.0, 100.0), counted=0.25,
)  # fmt: skip
"""As in configs/nimbus-s.toml."""
NO_CHANGE = AugmentSettings(
    log_gain=(1.0, 1.0), offset=(0.0, 0.0), noise=(0.0, 0.0), blurred=0.0, contrasted=0.0,
    deformed=0.0,
)  # fmt: skip
ROBUST = RobustSettings(after_step=300, trusted_datasets=("simulated*",))
FURTHER = {"n_steps": 500, "warmup_steps": 50, "learning_rate": 5e-4, "exponent": 0.5}
FROM_THE_START = {**FURTHER, "robust": replace(ROBUST, after_step=0)}
"""The network that goes on knows enough to judge labels at once."""
SCALE = ScaleRule(quantile=0.99, pixels="positive", pool="dataset")
N_BINS = 10


@dataclass(frozen=True)
class Variant:
    """One change against the base.

    Parameters
    ----------
    tiles, fit, augment
        Settings that differ.
    taught
        With the scores of a teacher.
    silver
        Part of the samples that are real, with silver labels.
    further
        Go on from the shipped nimbus-s, at a small rate, not from untrained weights.
    weights
        Variant whose weights are taken instead of training; empty: its own.
    scale, aggregate
        How the real images are scored.
    pixel_size_um
        The same; the tiles have 0.5.
    calibrated
        On held-out tiles as they are, on tiles changed as in training, or not at all.
    """

    tiles: dict[str, Any] = field(default_factory=dict)
    fit: dict[str, Any] = field(default_factory=dict)
    augment: AugmentSettings = AUGMENT
    taught: bool = False
    silver: float = 0.0
    further: bool = False
    weights: str = ""
    scale: ScaleRule = SCALE
    aggregate: Literal["cell", "interior"] = "interior"
    pixel_size_um: float = 0.5
    calibrated: Literal["plain", "changed", "no"] = "changed"


GROUPS = {
    "haze": ("haze", "nuclear_haze", "cell_haze"),
    "light of neighbours": ("spillover", "out_of_plane", "blur"),
    "crosstalk": ("bleed",),
    "artefacts": ("autofluorescence", "debris", "aggregates", "lines", "hot_pixels", "seams"),
    "camera": ("camera", "speckle", "coarse_values", "saturation", "illumination"),
    "denoising": ("denoising",),
    "processes and fibres": ("processes", "fibres"),
    "membrane polarity": ("polarity", "patchiness", "ruffles"),
    "dim cells": ("dim_cells",),
    "compartments": ("giants", "follicles", "glands", "vessels"),
    "segmentation errors": ("wrong_outlines", "missed_cells", "merges", "splits", "shifts"),
}

EFFECTS = [effect for group in GROUPS.values() for effect in group]
ROOT = "square root, augmented as light"
ONE_BY_ONE = {
    f"root, no {effect}": Variant(tiles={"without": (effect,)}, fit={"exponent": 0.5})
    for effect in EFFECTS
}
"""Each effect alone, with the input that nimbus-s has: to be compared with `ROOT`."""

VARIANTS = {
    "base": Variant(),
    **{f"no {name}": Variant(tiles={"without": effects}) for name, effects in GROUPS.items()},
    "one pixel size": Variant(tiles={"zoom": (1.0, 1.0)}),
    "no augmentation": Variant(augment=NO_CHANGE),
    "no background added": Variant(augment=replace(AUGMENT, lifted=0.0)),
    "no blur added": Variant(augment=replace(AUGMENT, blurred=0.0)),
    "no noise added": Variant(augment=replace(AUGMENT, noise=(0.0, 0.0), counted=0.0)),
    "depth 3": Variant(fit={"depth": 3}),
    "depth 4": Variant(fit={"depth": 4}),
    "4 root filters": Variant(fit={"root_filters": 4}),
    "twice the steps": Variant(fit={"n_steps": 2000}),
    "a teacher": Variant(taught=True),
    "silver 20%": Variant(silver=0.2),
    "silver 20%, robust": Variant(silver=0.2, fit={"robust": ROBUST}),
    "silver 50%": Variant(silver=0.5),
    "silver 50%, robust": Variant(silver=0.5, fit={"robust": ROBUST}),
    "nimbus-s goes on": Variant(further=True, fit=FURTHER, pixel_size_um=0.4),
    "nimbus-s goes on, silver 20%": Variant(
        further=True, fit=FURTHER, pixel_size_um=0.4, silver=0.2
    ),
    "nimbus-s goes on, silver 20%, robust": Variant(
        further=True, fit=FROM_THE_START, pixel_size_um=0.4, silver=0.2
    ),
    "square root of the channel": Variant(
        fit={"exponent": 0.5}, augment=replace(AUGMENT, exponent=0.5)
    ),
    ROOT: Variant(fit={"exponent": 0.5}),
    **ONE_BY_ONE,
    "whole cells in the loss": Variant(fit={"border_weight": 1.0}, aggregate="cell"),
    "scored over whole cells": Variant(weights="base", aggregate="cell"),
    "99.9% of all pixels as scale": Variant(weights="base", scale=ScaleRule(0.999)),
    "99.9% of positive pixels as scale": Variant(
        weights="base", scale=replace(SCALE, quantile=0.999)
    ),
    "not calibrated": Variant(weights="base", calibrated="no"),
    "calibrated on tiles as they are": Variant(weights="base", calibrated="plain"),
    "scored at 0.4 um": Variant(weights="base", pixel_size_um=0.4),
    "scored at 0.65 um": Variant(weights="base", pixel_size_um=0.65),
}

ALONE = "nimbus-s goes on"
AGAINST = {
    **{name: ALONE for name in VARIANTS if name.startswith(ALONE)},
    **dict.fromkeys(ONE_BY_ONE, ROOT),
}
"""What a variant is compared with, where that is not `base`."""

COMPARED = ("AP", "gold AUROC", "gold AP")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", nargs="+", choices=list(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--jobs", type=int, default=1, help="processes that simulate")
    parser.add_argument("--data", type=Path, default=Path("../shared"))
    parser.add_argument("--silver", type=Path, help="training set of benchmarks/silver.py")
    parser.add_argument("--teacher", type=Path, help=".safetensors of a trained model")
    parser.add_argument("--report", action="store_true", help="print the table alone")
    given = parser.parse_args()
    for seed in [] if given.report else given.seeds:
        for name in given.only:
            variant = VARIANTS[name]
            result = given.out / f"{name}-{seed}.json"
            lacking = (variant.silver and not given.silver) or (
                variant.taught and not given.teacher
            )
            if result.is_file() or lacking:
                continue
            result.write_text(json.dumps(run(name, variant, seed, given)))
            print(name, seed, json.loads(result.read_text()), flush=True)
    print(report(given.out))


def run(name: str, variant: Variant, seed: int, given: argparse.Namespace) -> dict[str, float]:
    """Train one variant with one seed, and measure it."""
    tiles = replace(TILES, **variant.tiles)
    of_tiles = given.out / "tiles"
    make = partial(written, jobs=given.jobs)
    folders = [make(of_tiles / (name if variant.tiles else "base"), tiles, seed=0)]
    judge = make(of_tiles / "judge", JUDGE, seed=9000)
    shares = [1.0]
    if variant.silver:
        folders.append(given.silver)
        shares = [1 - variant.silver, variant.silver]
    taught = TeacherSettings() if variant.taught else None
    settings = replace(FIT, seed=seed, taught=taught, **variant.fit)
    weights = given.out / f"{variant.weights or name}-{seed}"
    net = fit(
        folders,
        weights,
        settings=settings,
        augment=variant.augment,
        shares=shares,
        start=load_model("nimbus-s").net if variant.further else None,
        teacher=load_checkpoint(given.teacher)[0] if taught else None,
        resume=(weights / loop.CHECKPOINT).exists(),
        show_progress_bar=False,
    )
    _, held_out = split([open_shards(folders[0])], held_out=1)
    if variant.calibrated != "no":
        changes = variant.augment if variant.calibrated == "changed" else None
        net = folded(net, calibrate(net, held_out, every=2, augment=changes))
    measures = simulated(net, judge)
    path = given.out / f"{name}-{seed}" / "model.safetensors"
    card = ModelCard(name="ablation", **architecture(settings), scale=variant.scale,
                     pixel_size_um=variant.pixel_size_um, aggregate=variant.aggregate)  # fmt: skip
    path.parent.mkdir(exist_ok=True)
    save_checkpoint(path, net, card)
    return {**measures, **of_gold(path, given.data)}


def written(folder: Path, settings: TileSettings, *, seed: int, jobs: int) -> Path:
    if not (folder / INDEX).is_file():
        write_training_tiles(
            folder, settings=settings, random_state=seed, n_jobs=jobs, show_progress_bar=False
        )
    return folder


def simulated(net: torch.nn.Module, judge: Path) -> dict[str, float]:
    """Measures on held-out tiles with all effects."""
    sampler = split([open_shards(judge)], held_out=0)[0]
    cells = score_cells(net, sampler)
    parts = []
    for batch in sampler.in_order(size=16):
        n_columns = batch.labels.shape[1]
        mean = cell_means(batch.planes.double(), batch.masks.double(), batch.ids, n_columns)
        parts.append(mean[(batch.labels != -1) & torch.isfinite(mean)].numpy())
    intensity = np.concatenate(parts)
    edges = np.quantile(intensity, np.linspace(0, 1, N_BINS + 1)[1:-1])
    bins = np.searchsorted(edges, intensity)
    equal = [auroc(cells.score[bins == b], cells.truth[bins == b]) for b in range(N_BINS)]
    return {
        "AUROC": auroc(cells.score, cells.truth),
        "AP": average_precision(cells.score, cells.truth),
        "F1": f1_at(cells.score, cells.truth),
        "AUROC at equal intensity": float(np.nanmean(equal)),
    }


def of_gold(model: Path, data: Path) -> dict[str, float]:
    """Measures on the hard pairs of real images."""
    if not (data / "gold.csv").is_file():
        return {}
    given = SimpleNamespace(model=str(model), data=data, quantile=None, no_tta=True, aggregate=None)
    pooled = accuracy.gold(given).loc[("pooled", "score")]
    names = {"AUROC": "gold AUROC", "AP": "gold AP", "best F1": "gold best F1",
             "F1 at 0.5": "gold F1"}  # fmt: skip
    return {new: float(pooled[old]) for old, new in names.items()}


def report(out: Path) -> str:
    """Markdown table: means over the seeds, and what a variant has more than `base`.

    Differences are those of the same seeds, which had the same batches; with the standard
    deviation over the seeds. A variant that went on is compared with nimbus-s that went on alone.
    """
    rows = {}
    for path in out.glob("*.json"):
        name, seed = path.stem.rsplit("-", 1)
        rows[name, int(seed)] = json.loads(path.read_text())
    if not rows:
        return "nothing is finished"
    every = pd.DataFrame.from_dict(rows, orient="index")
    head = ["variant", "seeds", *every.columns, *(f"{name}, more" for name in COMPARED)]
    lines = [head, ["---"] * len(head)]
    for name in [name for name in VARIANTS if name in every.index.unique(0)]:
        own = every.loc[name]
        lines.append([name, str(len(own)), *(f"{value:.3f}" for value in own.mean())])
        against = AGAINST.get(name, "base")
        if against not in every.index.unique(0):
            lines[-1] += [""] * len(COMPARED)
        elif against != name:
            more = (own - every.loc[against])[list(COMPARED)].dropna()
            pairs = zip(more.mean(), more.std(), strict=True)
            lines[-1] += [f"{mean:+.3f} ± {std:.3f}" for mean, std in pairs]
        else:
            lines[-1] += [f"± {std:.3f}" for std in own[list(COMPARED)].std()]
    header = f"nimbus {nimbus.__version__}, PyTorch {torch.__version__}\n\n"
    return header + "\n".join(f"| {' | '.join(line)} |" for line in lines)


if __name__ == "__main__":
    main()
