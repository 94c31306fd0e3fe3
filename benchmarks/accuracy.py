"""Score the real sets with a model and compare with labels made by eye and by cell type.

    python benchmarks/accuracy.py --model nimbus-s --data ../shared
    python benchmarks/accuracy.py --model runs/trial/checkpoint.pt --fields 8 --no-tta

Prints AUROC and average precision of the hard pairs that two people labelled by eye (`gold.csv`),
and the mean AUROC over markers of `dcis_mibi` (cells of certain type, assignment matrix 1 or 0),
each beside integrated expression. The scorer here is untiled and small: planes and sums as in
"The score, exactly", nothing of the engine.
"""

from __future__ import annotations

import argparse
import csv
import re
import time
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
import torch

from nimbus.core.boxes import Box
from nimbus.core.grid import same_grid
from nimbus.core.masks import mask_plane
from nimbus.core.resample import area_average
from nimbus.model.unet import UNet

PIXEL_SIZE_UM = {"lymphoma_codex": 0.5, "breast_mibi_noisy": 500 / 1024, "dcis_mibi": 500 / 1024}


@dataclass(frozen=True)
class Rule:
    quantile: float
    pixels: str
    pixel_size_um: float
    aggregate: str
    tta: bool


@dataclass
class Field:
    name: str
    channels: list
    image: np.ndarray
    labels: np.ndarray


def read_field(path: Path, labels: Path) -> Field:
    if path.is_dir():
        files = sorted(p for p in path.iterdir() if p.suffix == ".tiff")
        image = np.stack([tifffile.imread(p) for p in files])
        return Field(path.name, [p.stem for p in files], image, tifffile.imread(labels))
    with tifffile.TiffFile(path) as tiff:
        channels = re.findall(r'<Channel[^>]*Name="([^"]*)"', tiff.ome_metadata or "")
        image = tiff.asarray()
    return Field(path.name.split(".")[0], channels, image, tifffile.imread(labels))


def fields_of(root: Path, name: str) -> list[tuple[Path, Path]]:
    folder = root / name
    there = sorted(p for p in (folder / "image_data").iterdir() if not p.name.startswith("."))
    return [(p, folder / "segmentation" / f"{p.name.split('.')[0]}_whole_cell.tiff") for p in there]


def scale_of(values: list, rule: Rule) -> float:
    """Quantile over the pixels of all images (integers, by histogram)."""
    counts = sum((np.bincount(v.ravel(), minlength=70000) for v in values), np.zeros(70000))
    if rule.pixels == "positive":
        counts[0] = 0
    if counts.sum() == 0:
        return 0.0
    rank = rule.quantile * (counts.sum() - 1)
    cumulative = np.cumsum(counts)
    low = np.searchsorted(cumulative, np.floor(rank), side="right")
    high = np.searchsorted(cumulative, np.ceil(rank), side="right")
    return float(low + (high - low) * (rank - np.floor(rank)))


def views(x: torch.Tensor, tta: bool):
    for k in range(4 if tta else 1):
        for mirror in (False, True) if tta else (False,):
            y = torch.rot90(x, k, (-2, -1))
            yield k, mirror, y.flip(-1) if mirror else y


@torch.inference_mode()
def probability(net, plane, mask, tta: bool) -> np.ndarray:
    multiple = 2 ** (net.depth - 1)
    h, w = plane.shape
    pad = ((0, -h % multiple), (0, -w % multiple))
    planes = np.stack([np.pad(plane, pad, mode="reflect"), np.pad(mask, pad, mode="reflect")])
    x = torch.from_numpy(planes.astype(np.float32))[None]
    total = 0
    n = 0
    for k, mirror, view in views(x, tta):
        out = net(view.contiguous(memory_format=torch.channels_last)).sigmoid()
        out = out.flip(-1) if mirror else out
        total = total + torch.rot90(out, -k, (-2, -1))
        n += 1
    return (total / n)[0, 0, :h, :w].numpy()


class Scorer:
    def __init__(self, net, rule: Rule, field: Field, pixel_um: float) -> None:
        self.net, self.rule, self.field = net, rule, field
        shape = field.labels.shape
        self.grid = same_grid(shape, rule.pixel_size_um / pixel_um)
        height, width = self.grid.network_shape
        self.box, self.whole = Box(0, height, 0, width), Box(0, shape[0], 0, shape[1])
        self.mask = mask_plane(
            field.labels.astype(np.int64), self.grid, self.box, origin=self.whole
        )
        rows = self.grid.y.network_of_labels(0, shape[0])
        columns = self.grid.x.network_of_labels(0, shape[1])
        self.where = np.ix_(rows, columns)
        self.n = int(field.labels.max())

    def mean(self, values: np.ndarray, weight: np.ndarray | None = None) -> np.ndarray:
        ids = self.field.labels.ravel()
        weight = np.ones(ids.shape) if weight is None else weight.ravel()
        count = np.bincount(ids, weights=weight, minlength=self.n + 1)
        with np.errstate(invalid="ignore"):
            return np.bincount(ids, weights=values.ravel() * weight, minlength=self.n + 1) / count

    def scores(self, channel: str, scale: float) -> np.ndarray:
        image = self.field.image[self.field.channels.index(channel)]
        plane = np.clip(image.astype(np.float32) / scale, 0, 1) if scale > 0 else image * 0.0
        plane = area_average(plane, self.grid, self.box, origin=self.whole)
        p = probability(self.net, plane, self.mask, self.rule.tta)[self.where]
        whole = self.mean(p)
        if self.rule.aggregate == "cell":
            return whole
        inner = self.mean(p, self.mask[self.where].astype(float))
        return np.where(np.isfinite(inner), inner, whole)

    def integrated(self, channel: str, scale: float) -> np.ndarray:
        image = self.field.image[self.field.channels.index(channel)]
        return self.mean(image.astype(np.float32)) / max(scale, 1e-9)


def auroc(score, truth) -> float:
    _, inverse, count = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[inverse]
    p, n = int(truth.sum()), int((truth == 0).sum())
    return float((rank[truth == 1].sum() - p * (p + 1) / 2) / (p * n)) if p and n else float("nan")


def average_precision(score, truth) -> float:
    order = np.argsort(-score, kind="stable")
    truth, score = truth[order], score[order]
    last = np.append(np.flatnonzero(np.diff(score)), len(score) - 1)
    hits = np.cumsum(truth)[last]
    precision, recall = hits / (last + 1), hits / truth.sum()
    return float(np.sum(np.diff(np.append(0, recall)) * precision))


def f1(score, truth, threshold=None):
    cuts = np.unique(score) if threshold is None else [threshold]
    best = max(

            (2 * (truth * (score >= c)).sum() / max(((score >= c).sum() + truth.sum()), 1), c)
            for c in cuts

    )
    return best


def gold(net, root: Path, rule: Rule) -> None:
    pairs = defaultdict(list)
    for row in csv.DictReader((root / "gold.csv").open()):
        pairs[row["dataset"], row["marker"]].append((int(row["instance_id"]), int(row["label"])))
    rows = []
    for dataset in sorted({d for d, _ in pairs}):
        field = read_field(*fields_of(root / "data", dataset)[0])
        scorer = Scorer(net, rule, field, PIXEL_SIZE_UM[dataset])
        for (d, marker), cells in pairs.items():
            if d != dataset:
                continue
            image = field.image[field.channels.index(marker)]
            scores = scorer.scores(marker, scale_of([image], rule))
            plain = scorer.integrated(
                marker, scale_of([image], Rule(0.999, "all", 1, "cell", False))
            )
            rows += [(dataset, marker, scores[i], plain[i], label) for i, label in cells]
    for dataset in ("pooled", *sorted({r[0] for r in rows})):
        here = [r for r in rows if dataset in ("pooled", r[0])]
        truth = np.array([r[4] for r in here])
        for name, column in (("nimbus", 2), ("integrated", 3)):
            score = np.array([r[column] for r in here])
            b, c = f1(score, truth)
            at_half = f"F1@.5 {f1(score, truth, 0.5)[0]:.3f}" if column == 2 else ""
            print(
                f"gold {dataset:18s} {name:10s} n {len(here)} AUROC {auroc(score, truth):.3f} "
                f"AP {average_precision(score, truth):.3f} best F1 {b:.3f} at {c:.2f} {at_half}"
            )


def dcis(net, root: Path, rule: Rule, n_fields: int) -> None:
    folder = root / "data" / "dcis_mibi"
    matrix = {
        r.pop("cell_type"): r for r in csv.DictReader((folder / "assignment_matrix.csv").open())
    }
    markers = list(next(iter(matrix.values())))
    types = defaultdict(dict)
    for row in csv.DictReader((folder / "cells.csv").open()):
        if row["confidence"] == "high":
            types[row["fov"]][int(row["instance_id"])] = row["cell_type"]
    every = fields_of(root / "data", "dcis_mibi")
    fields = [read_field(*paths) for paths in every]
    scales = {
        m: tuple(
            scale_of([f.image[f.channels.index(m)] for f in fields], r)
            for r in (rule, Rule(0.999, "all", 1, "cell", False))
        )
        for m in markers
    }
    chosen = [fields[int(i)] for i in np.linspace(0, len(fields) - 1, min(n_fields, len(fields)))]
    found = defaultdict(list)
    for field in chosen:
        scorer = Scorer(net, rule, field, PIXEL_SIZE_UM["dcis_mibi"])
        for marker in markers:
            scores = scorer.scores(marker, scales[marker][0])
            plain = scorer.integrated(marker, scales[marker][1])
            for cell, kind in types[field.name].items():
                label = matrix.get(kind, {}).get(marker, "")
                if label in ("0", "1", "0.0", "1.0") and cell < len(scores):
                    found[marker].append((scores[cell], plain[cell], float(label)))
    aucs = {}
    for marker, rows in found.items():
        table = np.array(rows)
        table = table[np.isfinite(table[:, 0])]
        aucs[marker] = auroc(table[:, 0], table[:, 2]), auroc(table[:, 1], table[:, 2])
        at_half = f1(table[:, 0], table[:, 2], 0.5)[0]
        print(
            f"dcis {marker:12s} n {len(table)} positive {int(table[:, 2].sum())} AUROC nimbus "
            f"{aucs[marker][0]:.3f} integrated {aucs[marker][1]:.3f} F1@.5 {at_half:.3f}"
        )
    mean = np.nanmean(np.array(list(aucs.values())), axis=0)
    print(
        f"dcis mean over markers ({len(chosen)} fields): nimbus {mean[0]:.4f} integrated {mean[1]:.4f}"
    )


def load(path: str, card: dict) -> UNet:
    if path.endswith(".pt"):
        state = torch.load(path, map_location="cpu", weights_only=True)
        net = UNet(depth=state["settings"]["depth"], root_filters=state["settings"]["root_filters"])
        net.load_state_dict(state["average"])
        return net.eval().to(memory_format=torch.channels_last)
    raise SystemExit(f"cannot load {path!r}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model", default="nimbus-s")
    parser.add_argument("--data", type=Path, default=Path("../shared"))
    parser.add_argument("--fields", type=int, default=1000, help="fields of dcis_mibi; 0: none")
    parser.add_argument("--no-tta", action="store_true")
    parser.add_argument("--no-gold", action="store_true")
    parser.add_argument("--quantile", type=float, default=0.999)
    parser.add_argument("--pixels", choices=["all", "positive"], default="all")
    parser.add_argument("--pixel-size", type=float, default=1.0)
    parser.add_argument("--aggregate", choices=["cell", "interior"], default="interior")
    given = parser.parse_args()
    rule = Rule(given.quantile, given.pixels, given.pixel_size, given.aggregate, not given.no_tta)
    net = load(given.model, {})
    print(given.model, rule)
    began = time.monotonic()
    if not given.no_gold:
        gold(net, given.data, rule)
    if given.fields:
        dcis(net, given.data, rule, given.fields)
    print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
