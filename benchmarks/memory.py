"""Peak memory of scoring a large slide from its store, and what it grows with.

    python benchmarks/memory.py [--side 16384] [--channels 4] [--model nimbus-s] [--tta]

Makes a store of `side` x `side` x `channels` uint16 pixels at 0.5 um with cells all over, scores
it in a process of its own, and prints that process's peak resident memory as the operating system
counted it.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CELL = 24  # pixels from cell to cell: 12 um

SCORE = """
import resource, sys, time
import spatialdata, nimbus
path, model, tta = sys.argv[1], sys.argv[2], sys.argv[3] == "True"
sdata = spatialdata.read_zarr(path)
begin = time.perf_counter()
nimbus.tl.score(sdata, model=model, tta=tta, show_progress_bar=False)
seconds = time.perf_counter() - begin
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
print(f"{sdata.tables['table'].n_obs} cells in {seconds:.0f} s, peak memory {peak:.2f} GB")
"""


def make_store(path: Path, side: int, n_channels: int) -> None:
    """Discs on a lattice, bright in some channels, written chunk by chunk."""
    import dask.array as da
    import numpy as np

    from nimbus.data.fields import Field, build_sdata

    per_row = side // CELL

    def labels_of(block_info=None):
        (y0, y1), (x0, x1) = block_info[None]["array-location"]
        y, x = np.mgrid[y0:y1, x0:x1]
        inside = (y % CELL - CELL / 2) ** 2 + (x % CELL - CELL / 2) ** 2 < (CELL * 0.46) ** 2
        return np.where(inside, 1 + (y // CELL) * (per_row + 1) + x // CELL, 0).astype(np.uint32)

    def image_of(block_info=None):
        (c, _), (y0, y1), (x0, x1) = block_info[None]["array-location"]
        rng = np.random.default_rng([c, y0, x0])
        y, x = np.mgrid[y0:y1, x0:x1]
        bright = ((y // CELL) * 7 + (x // CELL) * 3) % (c + 2) == 0
        return rng.poisson(np.where(bright, 300, 12))[None].astype(np.uint16)

    tile = min(1024, side)
    sides = tuple(min(tile, side - start) for start in range(0, side, tile))
    labels = da.map_blocks(labels_of, chunks=(sides, sides), dtype=np.uint32)
    image = da.map_blocks(image_of, chunks=((1,) * n_channels, sides, sides), dtype=np.uint16)
    names = tuple(f"m{k}" for k in range(n_channels))
    build_sdata([Field("slide", image, labels, names, 0.5)]).write(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--side", type=int, default=16384)
    parser.add_argument("--channels", type=int, default=4)
    parser.add_argument("--model", default="nimbus-s")
    parser.add_argument("--tta", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "slide.zarr"
        begin = time.perf_counter()
        make_store(path, options.side, options.channels)
        print(f"store made in {time.perf_counter() - begin:.0f} s on {platform.processor()}")
        arguments = [str(path), options.model, str(options.tta)]
        subprocess.run([sys.executable, "-W", "ignore", "-c", SCORE, *arguments], check=True)


if __name__ == "__main__":
    main()
