"""A cohort of millions of cells: from label images to a table to clusters, with peak memory.

    python benchmarks/cohort.py [--fields 15] [--cells 1000000] [--markers 56]

1. `nimbus.tl.score` of `fields` label images that hold `cells` ids each, with as many channels as
   there are markers: sums, centroids, the table and its layers. Cells are squares of 2 x 2 pixels
   that touch, images are made when they are read, and the model is a callable that gives back the
   channel: what is left is the work that grows with cells.
2. The layer and `obs` are written to a Zarr store.
3. `nimbus.tl.cluster` of the layer as it lies in the store (a Dask array), with default settings.

Each part runs in a process of its own; memory is the peak that the operating system counted.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SIDE = 2
"""Pixels along a cell."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--fields", type=int, default=15)
    parser.add_argument("--cells", type=int, default=1_000_000, help="of a field")
    parser.add_argument("--markers", type=int, default=56)
    parser.add_argument("--work", type=Path, help="where the table is put")
    parser.add_argument("--part", choices=PARTS, help="one part alone, in this process")
    given = parser.parse_args()
    if given.part:
        PARTS[given.part](given)
        return
    print(f"{os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}", flush=True)
    with tempfile.TemporaryDirectory(dir=given.work) as folder:
        numbers = [f"--{name}={getattr(given, name)}" for name in ("fields", "cells", "markers")]
        for part in PARTS:
            command = [sys.executable, "-W", "ignore", __file__, f"--part={part}", *numbers]
            subprocess.run([*command, f"--work={folder}"], check=True)


def score(given: argparse.Namespace) -> None:
    """Scores of all fields, and the table in a store."""
    import zarr
    from anndata.io import write_elem

    import nimbus

    sdata = cohort(given)
    tell("before", 0.0)
    channels = [f"m{k}" for k in range(given.markers)]
    begin = time.perf_counter()
    nimbus.tl.score(
        sdata,
        model=same,
        scales=dict.fromkeys(channels, 255.0),
        tta=False,
        show_progress_bar=False,
    )
    table = sdata.tables["table"]
    require_right(table, given)
    tell(f"tl.score: {table.n_obs} cells x {table.n_vars} markers", time.perf_counter() - begin)
    begin = time.perf_counter()
    group = zarr.open_group(given.work / "table.zarr", mode="w")
    for key, own in (("obs", table.obs), ("var", table.var)):
        write_elem(group, key, own)
    write_elem(group.require_group("layers"), "nimbus", table.layers["nimbus"])
    tell("layer and obs written", time.perf_counter() - begin)


def cluster(given: argparse.Namespace) -> None:
    """Clusters of the layer in the store."""
    import anndata
    import zarr
    from anndata.experimental import read_elem_lazy
    from anndata.io import read_elem

    import nimbus

    group = zarr.open_group(given.work / "table.zarr", mode="r")
    begin = time.perf_counter()
    obs, var = read_elem(group["obs"]), read_elem(group["var"])
    layer = read_elem_lazy(group["layers/nimbus"])
    table = anndata.AnnData(obs=obs, var=var, layers={"nimbus": layer})
    tell("opened", time.perf_counter() - begin)
    begin = time.perf_counter()
    nimbus.tl.cluster(table)
    tell("tl.cluster", time.perf_counter() - begin)
    own = table.uns["nimbus_cluster"]
    named = int(table.obs["nimbus_metacluster"].notna().sum())
    print(
        f"  {named} cells in {len(own['node_counts'])} nodes, error {own['quantisation_error']:.4f}"
    )


PARTS = {"score": score, "cluster": cluster}


def same(planes: np.ndarray) -> np.ndarray:
    """A model that finds its first plane right."""
    return planes[:, :1]


def cohort(given: argparse.Namespace):
    """Fields whose pixels are made when they are read."""
    import dask.array as da

    from nimbus.data.fields import Field, build_sdata

    per_row = round(given.cells**0.5)
    side = per_row * SIDE
    sides = tuple(min(1024, side - start) for start in range(0, side, 1024))
    names = tuple(f"m{k}" for k in range(given.markers))

    def labels_of(block_info=None):
        return ids_of(block_info[None]["array-location"], per_row)

    def image_of(number, block_info=None):
        channel, *place = block_info[None]["array-location"]
        ids = ids_of(place, per_row)
        return np.stack([intensity(number, c, ids) for c in range(*channel)])

    fields = []
    for number in range(given.fields):
        labels = da.map_blocks(labels_of, chunks=(sides, sides), dtype=np.uint32)
        chunks = ((8,) * (given.markers // 8) + (given.markers % 8,) * (given.markers % 8 > 0),)
        image = da.map_blocks(image_of, number, chunks=(*chunks, sides, sides), dtype=np.uint8)
        fields.append(Field(f"fov{number:03d}", image, labels, names, 1.0))
    return build_sdata(fields)


def ids_of(place, per_row: int) -> np.ndarray:
    """Cell ids of a block, row by row from 1."""
    (y0, y1), (x0, x1) = place
    rows, columns = np.arange(y0, y1) // SIDE, np.arange(x0, x1) // SIDE
    return (rows[:, None] * per_row + columns + 1).astype(np.uint32)


def intensity(field: int, channel: int, ids: np.ndarray) -> np.ndarray:
    """0 to 255 by field, channel and cell: one of 40 types, each with its markers, and noise."""
    mixed = (ids.astype(np.uint64) + np.uint64(field << 32)) * np.uint64(0x9E3779B97F4A7C15)
    kind, noise = (mixed >> np.uint64(40)) % np.uint64(40), (mixed >> np.uint64(channel % 32))
    bright = (kind * np.uint64(channel + 7)) % np.uint64(11) < np.uint64(2)
    return (np.where(bright, 190, 10) + (noise % np.uint64(60)).astype(np.int64)).astype(np.uint8)


def require_right(table, given: argparse.Namespace) -> None:
    """Some rows against what they are made from."""
    per_row = round(given.cells**0.5)
    for row in np.random.default_rng(0).integers(0, table.n_obs, 200):
        number, cell = divmod(int(row), per_row**2)
        expected = [intensity(number, c, np.array([cell + 1]))[0] for c in range(given.markers)]
        assert table.obs["instance_id"].iloc[row] == cell + 1
        np.testing.assert_allclose(table.X[row], expected, rtol=1e-6)
        np.testing.assert_allclose(table.layers["nimbus"][row], np.array(expected) / 255, atol=1e-6)
        place = (np.array([cell % per_row, cell // per_row]) + 0.5) * SIDE
        np.testing.assert_allclose(table.obsm["spatial"][row], place)


def tell(what: str, seconds: float) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{what}: {seconds:.0f} s, peak so far {peak:.2f} GiB", flush=True)


if __name__ == "__main__":
    main()
