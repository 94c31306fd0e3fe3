"""The published tool and nimbus side by side: the same image, the same weights, the same machine.

    python benchmarks/published.py
    python benchmarks/published.py --side 512 --depth 4 --root-filters 8    (seconds; for a look)

Makes a field of synthetic tissue and a published-style checkpoint with random but calibrated
weights (batch-norm statistics from data, logits of standard deviation 2: plain random weights
hide every error). Scores it with `nimbus-inference` 0.0.5, in an environment made for it, and with
`nimbus.tl.score`; each in a process of its own, with as many threads, test-time augmentation off.

- magnification 20: the published whole-image path. Cell scores must agree within 1e-4.
- magnification 10: its tiled path. Scores differ, because its tiles of 1024 pixels shift a skip
  connection by a pixel against the trained network, and because nimbus draws the borders of cells
  at half a network pixel, which at magnification 10 is not how the published tool does it.

`nimbus_s` are seconds of the published weights in nimbus, `nimbus-s_s` those of the shipped model
on the same field in the same engine (it works at 1 um, the published network at 0.5 um).

Times are wall seconds with the weights on disk and all modules imported: reading, network, means
per cell. A row is added to a Markdown table with --table.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import tifffile
import torch
from environments import CACHE, machine, markdown, python_with

import nimbus
from nimbus.core.boxes import Box
from nimbus.core.grid import same_grid
from nimbus.core.masks import mask_plane
from nimbus.core.resample import area_average
from nimbus.model import UNet

HERE = Path(__file__).parent
REQUIREMENTS = ("torch==2.13.0", "nimbus-inference==0.0.5")
MARKERS = ("CD3", "CD20", "Ki67", "panCK", "CD68", "SMA")
LARGEST_DIFFERENCE = 1e-4


def main() -> None:
    given = arguments()
    python = python_with(REQUIREMENTS, given.cache / "published-0.0.5")
    given.work.mkdir(parents=True, exist_ok=True)
    field = make_field(given)
    rows = []
    for magnification in given.magnifications:
        n = given.channels if magnification == 20 else 1
        task = {
            "folder": str(field),
            "weights": str(field / "random.pt"),
            "channels": list(MARKERS[:n]),
            "magnification": magnification,
            "threads": given.threads,
            "depth": given.depth,
            "root_filters": given.root_filters,
        }
        published = run(python, HERE / "published_theirs.py", task, given)
        for precision in given.precisions:
            task.update(precision=precision, scales=published["scales"])
            ours = run(sys.executable, HERE / "published_ours.py", task, given)
            small = run(
                sys.executable, HERE / "published_ours.py", task | {"weights": "nimbus-s"}, given
            )
            rows.append(row_of(given, task, published, ours, small))
            print(json.dumps(rows[-1]), flush=True)
    table = pd.DataFrame(rows)
    print(f"\n{machine()}, PyTorch {torch.__version__}\n\n{markdown(table)}")
    if given.table:
        with given.table.open("a", encoding="utf-8") as file:
            file.write(f"\n{machine()}, PyTorch {torch.__version__}\n\n{markdown(table)}\n")
    exact = table[(table.magnification == 20) & (table.precision == "float32")]
    if (exact.max_difference >= LARGEST_DIFFERENCE).any():
        sys.exit(f"cell scores differ by more than {LARGEST_DIFFERENCE}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--cache", type=Path, default=CACHE, help="where environments are kept")
    parser.add_argument("--work", type=Path, default=CACHE / "field", help="where images are put")
    parser.add_argument("--side", type=int, default=2048, help="rows and columns of the field")
    parser.add_argument("--channels", type=int, default=2, help="channels at magnification 20")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--depth", type=int, default=5)
    parser.add_argument("--root-filters", type=int, default=64)
    parser.add_argument("--magnifications", type=int, nargs="+", default=[20, 10])
    parser.add_argument("--precisions", nargs="+", default=["float32"])
    parser.add_argument("--table", type=Path, help="Markdown file to add the rows to")
    return parser.parse_args()


def make_field(given: argparse.Namespace) -> Path:
    """Folder with one TIFF per channel, labels and weights; made once for each setting."""
    name = f"{given.side}-{given.depth}-{given.root_filters}"
    folder = given.work / name
    if (folder / "random.pt").exists():
        return folder
    images, masks = folder / "images" / "fov0", folder / "labels"
    images.mkdir(parents=True, exist_ok=True)
    masks.mkdir(exist_ok=True)
    sdata = nimbus.datasets.tissue(
        shape=(given.side, given.side), markers=MARKERS, pixel_size=0.5, random_state=0
    )
    image = np.asarray(sdata.images["fov0_image"].data)
    labels = np.asarray(sdata.labels["fov0_labels"].data)
    for plane, marker in zip(image, MARKERS, strict=True):
        tifffile.imwrite(images / f"{marker}.tiff", plane)
    tifffile.imwrite(masks / "fov0_whole_cell.tiff", labels.astype(np.int32))
    net = calibrated(UNet(depth=given.depth, root_filters=given.root_filters), image, labels)
    torch.save(net.state_dict(), folder / "random.pt")
    return folder


def calibrated(net: UNet, image: np.ndarray, labels: np.ndarray) -> UNet:
    """Random weights with the batch-norm statistics of `image`, and logits of sd 2."""
    torch.manual_seed(0)
    for module in net.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = None
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.normal_(module.bias, std=0.3)
    side = min(256, image.shape[1] // 2)
    planes = torch.from_numpy(np.stack([model_planes(c, labels, side) for c in image[:2]]))
    with torch.no_grad():
        net.train()(planes)
        logits = net.eval()(planes)
        net.final_conv.weight *= 2 / logits.std()
        net.final_conv.bias.copy_(-2 * logits.mean() / logits.std() + net.final_conv.bias)
    return net


def model_planes(channel: np.ndarray, labels: np.ndarray, side: int) -> np.ndarray:
    """Channel and mask of a corner, as the network sees a field of 0.5 um pixels."""
    grid, box = same_grid(channel.shape, 2.0), Box(0, side, 0, side)
    whole = Box(0, channel.shape[0], 0, channel.shape[1])
    scaled = np.clip(channel / np.quantile(channel[channel > 0], 0.999), 0, 1)
    mask = mask_plane(labels, grid, box, origin=whole)
    return np.stack([area_average(scaled, grid, box, origin=whole), mask]).astype(np.float32)


def run(python: Path | str, script: Path, task: dict, given: argparse.Namespace) -> dict:
    """What `script` returns for `task`, in a process of its own."""
    inward, outward = given.work / "task.json", given.work / "result.json"
    inward.write_text(json.dumps(task))
    outward.unlink(missing_ok=True)
    limits = {name: str(given.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    with (given.work / f"{script.stem}.log").open("w") as log:
        command = [str(python), str(script), str(inward), str(outward)]
        code = subprocess.run(
            command, env={**os.environ, **limits}, stdout=log, stderr=log, check=False
        ).returncode
    if code:
        sys.exit(f"{script.name} failed; see {given.work / script.stem}.log")
    return json.loads(outward.read_text())


def row_of(given: argparse.Namespace, task: dict, published: dict, ours: dict, small: dict) -> dict:
    if published["ids"] != ours["ids"]:
        sys.exit("the two tools found different cells")
    difference = np.abs(np.array(published["scores"]) - np.array(ours["scores"]))
    return {
        "field": f"{given.side} x {given.side}",
        "magnification": task["magnification"],
        "channels": len(task["channels"]),
        "cells": len(ours["ids"]),
        "precision": task["precision"],
        "published_s": round(published["seconds"], 1),
        "nimbus_s": round(ours["seconds"], 1),
        "ratio": round(published["seconds"] / ours["seconds"], 2),
        "nimbus-s_s": round(small["seconds"], 2),
        "nimbus-s_ratio": round(ours["seconds"] / small["seconds"], 1),
        "max_difference": float(f"{difference.max():.2g}"),
        "mean_difference": float(f"{difference.mean():.2g}"),
        "score_sd": float(f"{np.std(ours['scores']):.2g}"),
    }


if __name__ == "__main__":
    main()
