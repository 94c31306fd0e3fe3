"""Score real sets with a model, and compare with labels made by eye and by cell type.

    python benchmarks/accuracy.py --model nimbus-s --data ../shared
    python benchmarks/accuracy.py --model runs/nimbus-s/nimbus-s.safetensors --fields 8 --no-tta

Prints AUROC and average precision of the hard pairs that two people labelled by eye (`gold.csv`),
pooled and for each set, and the mean AUROC over markers of `dcis_mibi` (cells of certain type,
assignment matrix 1 or 0); each beside integrated expression (mean over the 99.9th percentile).
Nothing here is trained on; `gold.csv` is opened rarely and never to choose a checkpoint.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from spatialdata import SpatialData

import nimbus
from nimbus.metrics.positivity import auroc, average_precision, best_f1, f1_at

# Micrometres; breast and DCIS: fields of 500 um (1024 pixels).
PIXEL_SIZE_UM = {
    "lymphoma_codex": 0.5,
    "breast_mibi_noisy": 500 / 1024,
    "dcis_mibi": 500 / 1024,
}

Given = argparse.Namespace


def read(data: Path, dataset: str, channels: list[str]) -> SpatialData:
    folder = data / "data" / dataset
    return nimbus.io.read_fovs(
        folder / "image_data",
        folder / "segmentation",
        pixel_size=PIXEL_SIZE_UM[dataset],
        channels=channels,
    )


def unscored(planes: np.ndarray) -> np.ndarray:
    return planes[:, :1]


def scores(sdata: SpatialData, given: Given, labels_key: list[str] | None) -> pd.DataFrame:
    """Long table: labels_key, instance_id, marker, score, integrated."""
    options = {} if given.quantile is None else {"quantile": given.quantile}
    nimbus.pp.normalize(sdata, model=given.model, show_progress_bar=False, **options)
    nimbus.tl.score(
        sdata,
        labels_key=labels_key,
        model=given.model,
        tta=not given.no_tta,
        aggregate=given.aggregate,
        show_progress_bar=False,
    )
    table = sdata.tables["table"]
    plain = nimbus.pp.normalize(
        sdata, model=unscored, quantile=0.999, show_progress_bar=False
    )  # of all pixels: the rule of a callable
    parts = [
        pd.DataFrame(
            {
                "labels_key": table.obs["region"].astype(str).to_numpy(),
                "instance_id": table.obs["instance_id"].to_numpy(),
                "marker": marker,
                "score": table.layers["nimbus"][:, column],
                "integrated": table.layers["integrated"][:, column] / max(plain[marker], 1e-9),
            }
        )
        for column, marker in enumerate(table.var_names)
    ]
    return pd.concat(parts)


def measures(truth: np.ndarray, score: np.ndarray) -> dict[str, float]:
    best = best_f1(score, truth)
    return {
        "n": len(truth),
        "positive": int(truth.sum()),
        "AUROC": auroc(score, truth),
        "AP": average_precision(score, truth),
        "best F1": best.f1,
        "at": best.threshold,
        "F1 at 0.5": f1_at(score, truth),
    }


def gold(given: Given, change: Callable[[SpatialData], None] | None = None) -> pd.DataFrame:
    """Measures of the pairs; `change` may alter each set before it is scored."""
    pairs = pd.read_csv(given.data / "gold.csv")
    found = []
    for dataset, group in pairs.groupby("dataset"):
        sdata = read(given.data, dataset, sorted(group["marker"].unique()))
        if change is not None:
            change(sdata)
        scored = scores(sdata, given, None).assign(dataset=dataset)
        found.append(group.merge(scored, on=["instance_id", "marker"], suffixes=("", "_")))
    every = pd.concat(found)
    rows = {}
    for name in ("pooled", *every["dataset"].unique()):
        here = every if name == "pooled" else every[every["dataset"] == name]
        for column in ("score", "integrated"):
            rows[name, column] = measures(here["label"].to_numpy(), here[column].to_numpy())
    return pd.DataFrame(rows).T


def dcis(given: Given) -> pd.DataFrame:
    folder = given.data / "data" / "dcis_mibi"
    matrix = pd.read_csv(folder / "assignment_matrix.csv", index_col="cell_type")
    cells = pd.read_csv(folder / "cells.csv").query("confidence == 'high'")
    sdata = read(given.data, "dcis_mibi", list(matrix.columns))
    every = sorted(sdata.labels)
    chosen = [every[int(i)] for i in np.linspace(0, len(every) - 1, min(given.fields, len(every)))]
    found = scores(sdata, given, chosen)
    cells = cells.assign(labels_key=cells["fov"] + "_labels")
    labels = matrix.reset_index().melt("cell_type", var_name="marker", value_name="label")
    found = found.merge(cells, on=["labels_key", "instance_id"])
    found = found.merge(labels.dropna(), on=["cell_type", "marker"]).dropna(subset=["score"])
    rows = {}
    for marker, here in found.groupby("marker"):
        if here["label"].nunique() == 2:
            truth = here["label"].to_numpy().astype(int)
            ours = measures(truth, here["score"].to_numpy())
            plain = auroc(here["integrated"].to_numpy(), truth)
            rows[marker] = {**ours, "AUROC integrated": plain}
    return pd.DataFrame(rows).T


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="nimbus-s", help="name or path")
    parser.add_argument("--data", type=Path, default=Path("../shared"))
    parser.add_argument("--fields", type=int, default=55, help="fields of dcis_mibi; 0: none")
    parser.add_argument("--no-gold", action="store_true")
    parser.add_argument("--no-tta", action="store_true")
    parser.add_argument("--quantile", type=float, help="instead of the one of the model's card")
    parser.add_argument("--aggregate", choices=["cell", "interior"], help="instead of the card's")
    given = parser.parse_args()
    began = time.monotonic()
    pd.set_option("display.width", 160, "display.max_columns", 20, "display.precision", 3)
    print(f"nimbus {nimbus.__version__}, {vars(given)}")
    if not given.no_gold:
        print(gold(given))
    if given.fields:
        table = dcis(given)
        print(table)
        mean = table[["AUROC", "AUROC integrated"]].mean()
        print(f"dcis_mibi, mean AUROC over {len(table)} markers, {given.fields} fields at most: ")
        print(f"  nimbus {mean['AUROC']:.4f}, integrated {mean['AUROC integrated']:.4f}")
    print(f"{time.monotonic() - began:.0f} s")


if __name__ == "__main__":
    main()
