"""Training tiles of real tissue with silver labels: `dcis_mibi`, split by patient.

    python benchmarks/silver.py runs/silver --data ../shared

Cell types (those of high confidence) and the assignment matrix give the labels
(`nimbus.pp.silver_labels`); `runs/silver/train` is what a configuration of `nimbus train` names as
a folder, `runs/silver/test` holds the patients that nothing is trained on. Prints how well silver
labels and integrated expression agree for each marker.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd
from spatialdata import SpatialData

import nimbus
from nimbus.datasets import CutSettings

PIXEL_SIZE_UM = 500 / 1024  # fields of 500 um, 1024 pixels
SPLIT = {"train": 0.8, "test": 0.2}


def labelled(folder: Path) -> SpatialData:
    """The set with the layer of silver labels, and the patient of each cell."""
    matrix = pd.read_csv(folder / "assignment_matrix.csv", index_col="cell_type")
    sdata = nimbus.io.read_fovs(
        folder / "image_data",
        folder / "segmentation",
        pixel_size=PIXEL_SIZE_UM,
        channels=list(matrix.columns),
    )
    nimbus.pp.integrate(sdata, show_progress_bar=False)
    table = sdata.tables["table"]
    fov = table.obs["region"].astype(str).str.removesuffix("_labels")
    cells = pd.read_csv(folder / "cells.csv").query("confidence == 'high'")
    types = cells.set_index(["fov", "instance_id"])["cell_type"]
    keys = pd.MultiIndex.from_arrays([fov, table.obs["instance_id"]])
    table.obs["cell_type"] = pd.Categorical(types.reindex(keys).to_numpy())
    patients = pd.read_csv(folder / "fovs.csv").set_index("fov")["patient"].astype(str)
    table.obs["patient"] = pd.Categorical(patients.reindex(fov).to_numpy())
    nimbus.pp.silver_labels(sdata, folder / "assignment_matrix.csv", cell_type_key="cell_type")
    return sdata


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, default=Path("../shared"))
    parser.add_argument("--tile-size", type=int, default=128, help="pixels of the network")
    parser.add_argument("--pixel-size", type=float, default=1.0, help="um, of the tiles")
    given = parser.parse_args()
    cut = CutSettings(tile_size=given.tile_size, pixel_size_um=given.pixel_size)
    sdata = labelled(given.data / "data" / "dcis_mibi")
    print(nimbus.pp.silver_report(sdata).to_string())
    parts = nimbus.datasets.write_training_set(
        {"dcis_mibi": sdata}, given.out, split=SPLIT, split_by="patient", settings=cut
    )
    print(parts)


if __name__ == "__main__":
    main()
