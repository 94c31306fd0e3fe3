"""Stains that every cell has: the share of cells that are called, which should be nearly 1.

    python benchmarks/everywhere.py --data ../shared
    python benchmarks/everywhere.py --model runs/nimbus-s/nimbus-s.safetensors --fields 3

Nuclear stains of the real sets. No label is needed, and nothing is chosen by it: it shows whether
the model knows a stain that has no negative cells. Some labels are no cells, or lie out of focus.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

import nimbus

PIXEL_SIZE_UM = {
    "lymphoma_codex": 0.5,
    "breast_mibi_noisy": 500 / 1024,
    "dcis_mibi": 500 / 1024,
    "bcell_vectra": 0.5,
    "pancreas_imc": 1.0,
}
STAINS = {
    "lymphoma_codex": "DAPI",
    "breast_mibi_noisy": "HH3",
    "dcis_mibi": "HH3",
    "bcell_vectra": "DAPI",
    "pancreas_imc": "H3",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="nimbus-s", help="name or path")
    parser.add_argument("--data", type=Path, default=Path("../shared"))
    parser.add_argument("--fields", type=int, default=3, help="fields of dcis_mibi")
    given = parser.parse_args()
    pd.set_option("display.width", 160, "display.precision", 3)
    print(called(given.model, given.data, given.fields).to_string())


def called(model: str, data: Path, n_fields: int) -> pd.DataFrame:
    """One row for each set: cells, share called at 0.5, median score."""
    rows = {}
    for dataset, stain in STAINS.items():
        folder = data / "data" / dataset
        sdata = nimbus.io.read_fovs(
            folder / "image_data",
            folder / "segmentation",
            pixel_size=PIXEL_SIZE_UM[dataset],
            channels=[stain],
        )
        keys = sorted(sdata.labels)
        n = min(n_fields, len(keys))
        chosen = [keys[int(i)] for i in np.linspace(0, len(keys) - 1, n)]
        nimbus.tl.score(sdata, labels_key=chosen, model=model, tta=False, show_progress_bar=False)
        score = sdata.tables["table"].layers["nimbus"][:, 0]
        score = score[np.isfinite(score)]
        rows[f"{dataset} {stain}"] = {
            "cells": len(score),
            "called": float((score > 0.5).mean()),
            "median": float(np.median(score)),
        }
    return pd.DataFrame(rows).T


if __name__ == "__main__":
    main()
