"""How good labels are before anything is trained on them.

python benchmarks/labels.py ../shared/data/dcis_mibi     (silver report of eight fields; a minute)
python benchmarks/labels.py --simulated                  (mixture labels against the truth)
"""

from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

import nimbus

PLATFORMS = ("codex", "mibi", "imc", "vectra")


def real(folder: Path, *, n_fovs: int) -> pd.DataFrame:
    """Agreement of silver labels with the mean intensities, for each marker."""
    matrix = nimbus.pp.AssignmentMatrix.from_csv(folder / "assignment_matrix.csv")
    fovs = sorted(pd.read_csv(folder / "fovs.csv")["fov"])[:n_fovs]
    sdata = nimbus.io.read_fovs(
        folder / "image_data", folder / "segmentation", fovs=fovs, channels=matrix.markers
    )
    nimbus.pp.integrate(sdata, show_progress_bar=False)
    cells = pd.read_csv(folder / "cells.csv")
    sure = cells[(cells["confidence"] == "high") & cells["fov"].isin(fovs)]
    nimbus.pp.silver_labels(sdata, matrix, cells=sure)
    return nimbus.pp.silver_report(sdata)


def simulated() -> pd.DataFrame:
    """Mixture labels of simulated tissue against its truth, over all markers that got any."""
    rows = []
    for platform in PLATFORMS:
        sdata = nimbus.datasets.tissue(
            shape=(384, 384), platform=platform, n_fovs=2, random_state=3
        )
        table = sdata.tables["table"]
        table.layers["integrated"] = table.X
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # markers without labels are counted below
            nimbus.pp.mixture_labels(table)
        silver, truth = table.layers["silver"], table.layers["truth"]
        given = (silver >= 0).any(axis=0)
        right = {label: float((truth[silver == label] == label).mean()) for label in (1, 0)}
        undefined = float((silver[:, given] < 0).mean())
        rows.append((platform, int(given.sum()), given.size, right[1], right[0], undefined))
    columns = ["platform", "n_labelled", "n_markers", "positives_right", "negatives_right"]
    return pd.DataFrame(rows, columns=[*columns, "undefined"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=Path, nargs="?", help="folder laid out as dcis_mibi")
    parser.add_argument("--fovs", type=int, default=8, help="number of fields")
    parser.add_argument("--simulated", action="store_true")
    given = parser.parse_args()
    report = simulated() if given.simulated else real(given.folder, n_fovs=given.fovs)
    print(report.replace({np.nan: None}).round(3).to_string(index=False))


if __name__ == "__main__":
    main()
