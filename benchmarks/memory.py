"""Peak memory of scoring a large slide from its store, and what it grows with.

    python benchmarks/memory.py [--side 16384] [--channels 4] [--model nimbus-s] [--tta]
    python benchmarks/memory.py --curve [--channels 4] [--tiles 1 49 100] [--model nimbus-s]
        [--jobs 1]
    python benchmarks/memory.py --slide

The first makes a store of `side` x `side` x `channels` uint16 pixels at 0.5 um with cells all over,
and scores it. With --curve and --slide the store is that of a slide of 54490 x 45477 pixels, but
only the first tiles have chunks on disk; the model, if none is named, is a callable that gives back
the channel, so that what is measured is the engine, not the network.

- --curve: 1 to 100 tiles of 2048 x 2048 pixels with cells. All runs look at all tiles of the
  slide, so time per tile is that above the run with one tile.
- --slide: 35 channels and one tile with cells: what planning takes, and which tiles are read.

Each run is a process of its own, whose threads share a heap as those of `nimbus score` do; its peak
resident memory is what the operating system counted.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from memory_store import make_slide, make_store

SLIDE = (54490, 45477)

TILES = (1, 9, 25, 49, 100)

SCORE = """
import json, resource, sys, time
import spatialdata, nimbus
from nimbus.engine import source, spare
spare.share_a_heap()
path, sparse, asked = sys.argv[1], sys.argv[2] == "True", json.loads(sys.argv[3])
read = {}
plain = source.read_box
def counted(array, box, *, name, group=None):
    read.setdefault(name, set()).add(box)
    return plain(array, box, name=name, group=group)
source.read_box = counted
sdata = spatialdata.read_zarr(path)
scales = size = None
if sparse:  # a scale of mostly empty chunks would say nothing
    scales = {str(c): 300.0 for c in sdata["slide_image"].coords["c"].values}
    size = 2048  # a tile of the network is one of the slide
if asked["model"] == "same":
    asked["model"], size = lambda planes: planes[:, :1], 1024
begin, own = time.perf_counter(), time.process_time()
nimbus.tl.score(sdata, scales=scales, tile_size=size, show_progress_bar=False, **asked)
seconds, own = time.perf_counter() - begin, time.process_time() - own
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
boxes = ", ".join(f"{len(there)} of {name}" for name, there in read.items())
print(sdata.tables["table"].n_obs, round(seconds, 1), round(own, 1), round(peak, 3), boxes, sep="|")
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=16384)
    parser.add_argument("--channels", type=int, default=4)
    parser.add_argument("--model", help="default: nimbus-s, or the callable")
    parser.add_argument("--tta", action="store_true")
    parser.add_argument("--jobs", type=int, help="n_jobs of tl.score; default: all cores")
    parser.add_argument("--curve", action="store_true", help="from 1 to 100 tiles of a slide")
    parser.add_argument("--tiles", type=int, nargs="+", default=TILES, help="of the curve")
    parser.add_argument("--slide", action="store_true", help="one tile of 35 x 54490 x 45477")
    given = parser.parse_args()
    default = "same" if given.curve or given.slide else "nimbus-s"
    asked = {"model": given.model or default, "tta": given.tta, "n_jobs": given.jobs}
    print(f"{platform.machine()}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}")
    if given.curve:
        curve(given.channels, given.tiles, asked)
    elif given.slide:
        make = partial(make_slide, shape=(35, *SLIDE), n_tiles=1)
        tell(measured(make, asked, sparse=True))
    else:
        make = partial(make_store, side=given.side, n_channels=given.channels)
        tell(measured(make, asked, sparse=False))


def curve(n_channels: int, tiles: Sequence[int], asked: dict) -> None:
    """Peak memory and time of more and more tiles, as a table; the first is what others exceed."""
    print("| tiles | cells | s | CPU s | s per tile | CPU s per tile | peak GB |")
    print("|---|---|---|---|---|---|---|")
    first = None
    for n_tiles in tiles:
        make = partial(make_slide, shape=(n_channels, *SLIDE), n_tiles=n_tiles)
        found = measured(make, asked, sparse=True)
        first = first or found
        more = [
            f"{(found[k] - first[k]) / (n_tiles - tiles[0]):.2f}" if n_tiles > tiles[0] else ""
            for k in ("seconds", "cpu")
        ]
        print(
            f"| {n_tiles} | {found['cells']} | {found['seconds']} | {found['cpu']} | {more[0]} "
            f"| {more[1]} | {found['peak']} |",
            flush=True,
        )


def measured(make: Callable[[Path], None], asked: dict, *, sparse: bool) -> dict:
    """Cells, times and peak of one run, with arguments of `tl.score`, on a store made for it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "slide.zarr"
        begin = time.perf_counter()
        make(path)
        made = time.perf_counter() - begin
        given = [str(path), str(sparse), json.dumps(asked)]
        command = [sys.executable, "-W", "ignore", "-c", SCORE, *given]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    cells, seconds, cpu, peak, boxes = out.splitlines()[-1].split("|")
    return {
        "made": made,
        "cells": int(cells),
        "seconds": float(seconds),
        "cpu": float(cpu),
        "peak": float(peak),
        "boxes": boxes,
    }


def tell(found: dict) -> None:
    print(
        f"store made in {found['made']:.0f} s; {found['cells']} cells in {found['seconds']} s "
        f"({found['cpu']} s of processor), peak memory {found['peak']:.2f} GB; boxes read: "
        f"{found['boxes']}"
    )


if __name__ == "__main__":
    main()
