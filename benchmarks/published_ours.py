"""Runs `nimbus.tl.score` on the field of published.py, which starts it."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import torch

import nimbus
import nimbus.tl


def main(task: dict, out: Path) -> None:
    torch.set_num_threads(task["threads"])
    folder = Path(task["folder"])
    sdata = nimbus.io.read_fovs(
        folder / "images",
        folder / "labels",
        channels=task["channels"],
        pixel_size=10 / task["magnification"],
    )
    if task.get("warm_up"):
        score(nimbus.datasets.tissue(shape=(256, 256), markers=task["channels"]), task)
    start = time.perf_counter()
    score(sdata, task)
    seconds = time.perf_counter() - start
    table = sdata.tables["table"]
    table = table[table.obs["instance_id"].to_numpy().argsort(), task["channels"]]
    out.write_text(
        json.dumps(
            {
                "seconds": seconds,
                "ids": table.obs["instance_id"].tolist(),
                "scores": table.layers["nimbus"].tolist(),
            }
        )
    )


def score(sdata, task: dict) -> None:
    nimbus.tl.score(
        sdata,
        model=task["weights"],
        scales=task["scales"],
        tta=task.get("tta", False),
        precision=task["precision"],
        show_progress_bar=False,
    )


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text()), Path(sys.argv[2]))
