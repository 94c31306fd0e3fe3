"""Self-organising maps side by side: nimbus, MiniSom and FlowSOM, on planted cell types.

    python benchmarks/cluster.py
    python benchmarks/cluster.py --cells 20000 --quality-cells 20000 --seeds 1    (for a look)

- Speed: one million cells x 25 markers x 256 nodes, trained and assigned. MiniSom (2.3.6) makes one
  pass of `train_random`; FlowSOM (Python, 0.2.2) its batch model with ten, in an environment made
  for it (it is GPL-3; nothing here imports it). Each runs in a process of its own with as many
  threads, after a small run that is not timed.
- Quality of the same runs and of smaller ones, three seeds, 1 % and 3 % of the calls flipped:
  quantisation error (mean distance of a cell from the mean of its node), share of the cells of each
  of three rare types (0.1 %) in nodes where they are the most frequent, adjusted Rand index of
  consensus metaclusters (30, of the nodes' means, by nimbus for all solvers) and of nodes that are
  named by their most frequent type (a perfect user).
- Memory with --stream N: N cells x 50 markers in an HDF5 file, `nimbus.tl.cluster` on the backed
  table.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
from cluster_data import AT_ONCE, RARE, plant
from environments import CACHE, machine, markdown, python_with

from nimbus.cluster.consensus import consensus_metaclusters

HERE = Path(__file__).parent
REQUIREMENTS = ("flowsom==0.2.2",)
METHODS = ("nimbus", "minisom", "flowsom")


def main() -> None:
    given = arguments()
    given.work.mkdir(parents=True, exist_ok=True)
    if given.stream:
        print(json.dumps(stream(given)))
        return
    pythons = dict.fromkeys(given.methods, Path(sys.executable))
    if "flowsom" in given.methods:
        pythons["flowsom"] = python_with(REQUIREMENTS, given.cache / "flowsom-0.2.2")
    settings = [(given.cells, 0.01, 0)]
    settings += [
        (given.quality_cells, flip, s) for flip in (0.01, 0.03) for s in range(given.seeds)
    ]
    rows = []
    for n_cells, flip, seed in settings:
        values, kind = plant(n_cells, flip=flip, seed=seed)
        np.save(given.work / "values.npy", values)
        for method, python in pythons.items():
            rows.append({"cells": n_cells, "flip": flip, "seed": seed, "method": method})
            rows[-1] |= measured(run(python, method, seed, given), values, kind, given)
            print(json.dumps(rows[-1]), flush=True)
    table = pd.DataFrame(rows)
    print(f"\n{machine()}\n\n{markdown(speed(table, given.cells))}\n\n{markdown(quality(table))}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--cache", type=Path, default=CACHE, help="where environments are kept")
    parser.add_argument("--work", type=Path, default=CACHE / "cluster", help="where cells are put")
    parser.add_argument("--cells", type=int, default=1_000_000, help="of the timed run")
    parser.add_argument("--quality-cells", type=int, default=100_000)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--grid", type=int, nargs=2, default=(16, 16))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=METHODS)
    parser.add_argument("--stream", type=int, default=0, help="cells of the memory test")
    return parser.parse_args()


def run(python: Path, method: str, seed: int, given: argparse.Namespace) -> dict:
    """Nodes and times of one method, in a process of its own."""
    inward, outward = given.work / "task.json", given.work / "result.npz"
    task = {
        "method": method,
        "values": str(given.work / "values.npy"),
        "grid": list(given.grid),
        "threads": given.threads,
        "seed": seed,
    }
    inward.write_text(json.dumps(task))
    outward.unlink(missing_ok=True)
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    limits = {name: str(given.threads) for name in names}
    command = [str(python), str(HERE / "cluster_run.py"), str(inward), str(outward)]
    subprocess.run(command, env={**os.environ, **limits}, check=True)
    with np.load(outward) as found:
        return dict(found)


def measured(found: dict, values, kind, given: argparse.Namespace) -> dict:
    """Times, errors and agreement with the truth."""
    node, n_nodes = found["node"], int(np.prod(given.grid))
    count = np.bincount(node, minlength=n_nodes)
    sums = [np.bincount(node, weights=own, minlength=n_nodes) for own in values.T]
    means = np.stack(sums, axis=1) / np.maximum(count, 1)[:, None]
    label = consensus_metaclusters(means, count, n_metaclusters=30).labels
    table = contingency(node, kind)
    owner = table.argmax(axis=1)
    row = {name: round(float(found[name]), 3) for name in found if name != "node"}
    row["total_s"] = round(row["train_s"] + row["assign_s"], 3)
    row["quantisation_error"] = round(mean_distance(values, means, node), 4)
    row["empty"] = int((count == 0).sum())
    for rare, name in RARE.items():
        row[f"recall {name}"] = round(float((owner[node[kind == rare]] == rare).mean()), 3)
    row["ARI 30"] = round(rand_index(contingency(label[node], kind)), 4)
    row["ARI named"] = round(rand_index(contingency(owner[node], kind)), 4)
    return row


def mean_distance(values, means, node) -> float:
    total = 0.0
    for start in range(0, len(values), AT_ONCE):
        own = slice(start, start + AT_ONCE)
        total += float(np.linalg.norm(values[own] - means[node[own]], axis=1).sum())
    return total / len(values)


def contingency(one, two):
    table = np.zeros((one.max() + 1, two.max() + 1))
    np.add.at(table, (one, two), 1)
    return table


def rand_index(table) -> float:
    """Adjusted Rand index of two groupings from their contingency table."""
    pairs = [(n * (n - 1) / 2).sum() for n in (table, table.sum(1), table.sum(0), table.sum())]
    both, one, two, every = pairs
    expected = one * two / every
    return float((both - expected) / ((one + two) / 2 - expected))


def speed(table: pd.DataFrame, n_cells: int) -> pd.DataFrame:
    """Times of the large run, and how many times faster nimbus is."""
    own = table[(table.cells == n_cells) & (table.flip == 0.01)].drop_duplicates("method")
    ours = own.loc[own.method == "nimbus", "total_s"]
    columns = ["method", "cells", "train_s", "assign_s", "total_s", "cpu_s", "extra_gb"]
    out = own[[*columns, "quantisation_error"]].copy()
    out["nimbus_times_faster"] = (out.total_s / ours.iloc[0]).round(1) if len(ours) else np.nan
    return out


def quality(table: pd.DataFrame) -> pd.DataFrame:
    """Means over the seeds."""
    shown = ["quantisation_error", *(c for c in table if c.startswith(("recall", "ARI")))]
    table = table.drop_duplicates(["cells", "flip", "seed", "method"])
    return (
        table.groupby(["cells", "flip", "method"], sort=False)[shown].mean().round(3).reset_index()
    )


def stream(given: argparse.Namespace) -> dict:
    """Time and memory of `nimbus.tl.cluster` on a table on disk."""
    import anndata as ad

    import nimbus

    path = given.work / "stream.h5ad"
    write_backed(path, given.stream)
    table = ad.read_h5ad(path, backed="r")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.perf_counter()
    nimbus.tl.cluster(table, layer=None, n_jobs=given.threads)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    error = table.uns["nimbus_cluster"]["quantisation_error"]
    path.unlink()
    return {
        "cells": given.stream,
        "seconds": round(seconds, 1),
        "peak_gb": round(peak / 2**20, 2),
        "peak_before_gb": round(before / 2**20, 2),
        "quantisation_error": round(error, 4),
    }


def write_backed(path: Path, n_cells: int) -> None:
    """A table of 50 markers, written in parts."""
    import anndata as ad
    import h5py

    part, _ = plant(min(AT_ONCE, n_cells), flip=0.01, seed=0, n_markers=50)
    obs = pd.DataFrame(index=pd.RangeIndex(n_cells).astype(str))
    ad.AnnData(obs=obs, var=pd.DataFrame(index=[f"M{k}" for k in range(50)])).write_h5ad(path)
    rng = np.random.default_rng(0)
    with h5py.File(path, "a") as file:
        if "X" in file:
            del file["X"]
        data = file.create_dataset("X", (n_cells, 50), dtype="f4", chunks=(8192, 50))
        data.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
        for start in range(0, n_cells, len(part)):
            n = min(len(part), n_cells - start)
            noise = rng.normal(0, 0.005, (n, 50)).astype("f4")
            data[start : start + n] = np.clip(part[:n] + noise, 0, 1)


if __name__ == "__main__":
    main()
