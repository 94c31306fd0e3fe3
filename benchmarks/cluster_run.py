"""Trains one map and assigns all cells; started by cluster.py, perhaps in another environment.

python benchmarks/cluster_run.py TASK.json RESULT.npz
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np

WARM_UP = 2000  # cells for a first run that is not timed: imports, compilation


def main() -> None:
    task = json.loads(Path(sys.argv[1]).read_text())
    values = np.load(task["values"])
    run = METHODS[task["method"]]
    run(values[:WARM_UP], task)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, own = time.perf_counter(), time.process_time()
    node, trained = run(values, task)
    done = time.perf_counter()
    np.savez(
        sys.argv[2],
        node=np.asarray(node),
        train_s=trained - start,
        assign_s=done - trained,
        cpu_s=time.process_time() - own,
        extra_gb=(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 2**20,
    )


def nimbus_batch(values, task):
    from nimbus.cluster.assign import assign_nodes
    from nimbus.cluster.grid import Grid
    from nimbus.cluster.rows import ArrayRows
    from nimbus.cluster.som import train_som

    rows, grid = ArrayRows(values, n_jobs=task["threads"]), Grid(*task["grid"])
    som = train_som(rows, grid)
    trained = time.perf_counter()
    return assign_nodes(rows, som.codebook, grid).node, trained


def minisom(values, task):
    """One pass of random cells; assigned by its vectorised distances, faster than `winner`."""
    import minisom

    som = minisom.MiniSom(*task["grid"], values.shape[1], random_seed=task["seed"])
    som.random_weights_init(values)
    som.train_random(values, len(values))
    trained = time.perf_counter()
    parts = np.array_split(values, max(1, len(values) // 50_000))
    return np.concatenate([som._distance_from_weights(p).argmin(axis=1) for p in parts]), trained


def flowsom(values, task):
    """FlowSOM's batch model; its `fit` ends with the assignment, so the two are not told apart."""
    from flowsom.models.batch import BatchSOMEstimator

    rows, columns = task["grid"]
    model = BatchSOMEstimator(xdim=rows, ydim=columns, seed=task["seed"])
    model.fit(values)
    return np.asarray(model.labels_).astype(int), time.perf_counter()


METHODS = {"nimbus": nimbus_batch, "minisom": minisom, "flowsom": flowsom}

if __name__ == "__main__":
    main()
