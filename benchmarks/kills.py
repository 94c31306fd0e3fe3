"""Runs that are killed at random moments and resumed: are the tables bit-identical?

    python benchmarks/kills.py                        (20 killed runs, 20 with a killed worker)
    python benchmarks/kills.py --what main --runs 2   (as the tests do)
    python benchmarks/kills.py --what scheduler       (a scheduler that is killed and started anew)
    python benchmarks/kills.py --records 1000000      (size and opening time of a resume folder)

`main`: `nimbus score` on a store runs in a process of its own and is killed with SIGKILL at a
moment drawn between its begin and the time that the whole run takes; then the store is read, and
the command is given again. `worker`: `nimbus.tl.score` runs on a Dask cluster of two processes, one
of which is killed at a drawn moment. Moments after the end kill nothing: others are drawn, until
`--runs` were killed. In the end the table must have the sha256 of that of an uninterrupted run,
over all its arrays.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import itertools
import logging
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

import nimbus
import nimbus.cli._measure  # what a child needs is imported before it is forked
import nimbus.datasets
import nimbus.tl
from nimbus.core.cellsums import CellSums

OPTIONS = ["--no-tta", "--tile-size", "32", "--precision", "float32", "--device", "cpu"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--what", choices=("all", "main", "worker", "scheduler"), default="all")
    parser.add_argument("--side", type=int, default=320)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--records", type=int)
    given = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    if given.records:
        many_records(given.records)
        return
    chance = random.Random(given.seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        in_child(lambda: make_store(folder / "clean.zarr", given.side))
        if given.what in ("all", "main"):
            kill_main(folder, given.runs, chance)
        if given.what in ("all", "worker"):
            kill_workers(folder, given.runs, chance)
        if given.what == "scheduler":
            kill_scheduler(folder)


def make_store(path: Path, side: int) -> None:
    shape = (side, side)
    nimbus.datasets.tissue(
        shape=shape, n_cells=side * side // 180, markers=["CD3", "CD8"], random_state=0
    ).write(path)
    sdata = nimbus.datasets.tissue(
        shape=shape, n_cells=side * side // 180, markers=["CD3", "CD8"], random_state=0
    )
    del sdata.tables["table"]
    shutil.rmtree(path)
    sdata.write(path)


# -- the main process ------------------------------------------------------------------------------


def kill_main(folder: Path, runs: int, chance: random.Random) -> None:
    """Kill `nimbus score` at a drawn moment, read the store, go on; compare with the whole run."""
    torch.set_num_threads(1)
    whole = shutil.copytree(folder / "clean.zarr", folder / "whole.zarr")
    begin = time.perf_counter()
    if in_child(lambda: score(whole)) != 0:
        raise SystemExit("the uninterrupted run failed")
    seconds = time.perf_counter() - begin
    expected = in_child(lambda: digest(whole))
    tally = {"unreadable": 0, "different": 0}
    phases: dict[str, int] = {}
    for run in itertools.count():
        if sum(phases.values()) - phases.get("had ended", 0) == runs:
            break
        store = shutil.copytree(folder / "clean.zarr", folder / f"run {run} Gewebe µ.zarr")
        phase = killed(lambda store=store: score(store), chance.uniform(0, seconds), store)
        phases[phase] = phases.get(phase, 0) + 1
        tally["unreadable"] += in_child(lambda store=store: readable(store)) is not True
        if in_child(lambda store=store: score(store)) != 0:
            raise SystemExit(f"run {run} could not be resumed")
        tally["different"] += in_child(lambda store=store: digest(store)) != expected
        shutil.rmtree(store)
    print(f"main process: {runs} runs of {seconds:.1f} s, killed by SIGKILL and resumed")
    print("  " + ", ".join(f"{n} {what}" for what, n in tally.items()))
    print("  when killed: " + ", ".join(f"{what} {n}" for what, n in sorted(phases.items())))
    if tally["unreadable"] or tally["different"]:
        raise SystemExit(1)


def score(store: Path) -> int:
    """Exit code of ``nimbus score``."""
    from nimbus.cli import app

    with contextlib.redirect_stdout(open(os.devnull, "w")):
        try:
            app(["score", str(store), *OPTIONS], prog_name="nimbus", standalone_mode=False)
        except SystemExit as ended:
            return int(ended.code or 0)
    return 0


def killed(work: Callable[[], Any], after: float, store: Path) -> str:
    """Do `work` in a child that is killed `after` seconds; what it was doing."""
    child = os.fork()
    if child == 0:
        work()
        os._exit(0)
    time.sleep(after)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        return "had ended"
    journal = store.with_name(store.name + ".nimbus-resume")
    if list(store.glob(".nimbus-write-*")):
        return "writing the table"
    if (store / "tables" / "table").exists():
        return "after the table"
    return "scoring tiles" if list(journal.glob("0*")) else "before the first tile"


# -- a worker of a cluster -------------------------------------------------------------------------


def kill_workers(folder: Path, runs: int, chance: random.Random) -> None:
    """Kill one of two workers at a drawn moment; compare with the run on this process."""
    import distributed

    whole = shutil.copytree(folder / "clean.zarr", folder / "here.zarr")
    expected = in_child(lambda: score_here(whole))
    different = killed_early = late = 0
    seconds = 0.0
    while killed_early < runs:  # each on new workers; in the first nobody is killed
        with (
            distributed.LocalCluster(n_workers=0, dashboard_address=None) as cluster,
            two_workers(cluster.scheduler_address),
            distributed.Client(cluster) as client,
        ):
            client.wait_for_workers(2)
            victim = chance.choice(list(client.run(os.getpid).values()))
            wait = chance.uniform(0, seconds) if seconds else 1e6
            timer = threading.Timer(wait, os.kill, [victim, signal.SIGKILL])
            timer.daemon = True
            timer.start()
            begin = time.perf_counter()
            different += score_here(whole) != expected
            killed_early += not timer.is_alive()
            late += timer.is_alive() and seconds > 0
            seconds = seconds or time.perf_counter() - begin
            timer.cancel()
            print(f"  {killed_early} killed, {late} late, {different} different", file=sys.stderr)
    print(
        f"a worker of two: {killed_early} runs of {seconds:.1f} s with a worker killed by SIGKILL "
        f"before the end, {different} different from one process; {late} more moments came too late"
    )
    if different:
        raise SystemExit(1)


@contextlib.contextmanager
def two_workers(address: str) -> Iterator[None]:
    """Two worker processes, each with a nanny that starts it again; gone in the end."""
    started = subprocess.Popen(
        [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nworkers", "2",
         "--nthreads", "1", "--no-dashboard"],
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        yield
    finally:
        os.killpg(started.pid, signal.SIGKILL)
        started.wait()


def kill_scheduler(folder: Path) -> None:
    """Kill scheduler and worker while tiles run, and start both anew at the same address."""
    import distributed

    expected = in_child(lambda: score_here(folder / "clean.zarr"))
    port = random.randint(20000, 40000)

    def start() -> list[subprocess.Popen[bytes]]:
        quiet = {"stderr": subprocess.DEVNULL}
        scheduler = subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_scheduler", "--port", str(port),
             "--no-dashboard"], **quiet
        )  # fmt: skip
        worker = subprocess.Popen(
            [sys.executable, "-m", "distributed.cli.dask_worker", f"tcp://127.0.0.1:{port}",
             "--nthreads", "1", "--no-nanny", "--no-dashboard"], **quiet
        )  # fmt: skip
        return [scheduler, worker]

    processes = start()
    with distributed.Client(f"tcp://127.0.0.1:{port}", timeout=120) as client:
        client.wait_for_workers(1, timeout=120)

        def restart() -> None:
            for process in processes:
                process.kill()
                process.wait()
            processes[:] = start()

        timer = threading.Timer(2.0, restart)
        timer.start()
        same = score_here(folder / "clean.zarr") == expected
        early = not timer.is_alive()
        timer.join()
    for process in processes:
        process.kill()
        process.wait()
    print(f"scheduler killed before the end: {early}; same table: {same}")
    if not same:
        raise SystemExit(1)


def score_here(store: Path) -> str:
    """Digest of the table that ``nimbus.tl.score`` makes in memory."""
    import spatialdata

    sdata = spatialdata.read_zarr(store)
    nimbus.tl.score(
        sdata, tta=False, tile_size=32, precision="float32", device="cpu", show_progress_bar=False
    )
    return digest_of(sdata.tables["table"])


# -- tables and processes --------------------------------------------------------------------------


def readable(store: Path) -> bool:
    """Whether the store can be read, each chunk of its tables included."""
    import spatialdata

    return "clean_image" not in spatialdata.read_zarr(store).images


def digest(store: Path) -> str:
    """Of the table of a store."""
    import spatialdata

    return digest_of(spatialdata.read_zarr(store).tables["table"])


def digest_of(table: Any) -> str:
    """sha256 over all arrays of a table."""
    sha = hashlib.sha256()
    parts = [table.X, table.layers["nimbus"], table.layers["integrated"], table.obsm["spatial"]]
    parts += [table.obs["instance_id"], table.obs["area"], table.var["nimbus_scale"]]
    for part in parts:
        sha.update(np.ascontiguousarray(part).tobytes())
    sha.update("".join([*table.obs_names, *table.var_names]).encode())
    return sha.hexdigest()


def in_child(work: Callable[[], Any]) -> Any:
    """Result of `work` in a forked child, so that this process starts no threads of its own."""
    out, into = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(out)
        with os.fdopen(into, "wb") as file:
            pickle.dump(work(), file)
        os._exit(0)
    os.close(into)
    with os.fdopen(out, "rb") as file:
        data = file.read()
    _, status = os.waitpid(child, 0)
    return pickle.loads(data) if status == 0 else None


# -- many records ----------------------------------------------------------------------------------


def many_records(n: int) -> None:
    """Size of a resume folder of `n` tiles, and the time it takes to open it."""
    from nimbus.engine.resume import open_journal

    cells = {"area": np.ones(20), "score": np.ones((20, 1, 2)), "place": np.ones((20, 2))}
    for what, sums in (("no cell", None), ("20 cells", CellSums(np.arange(20), cells))):
        with tempfile.TemporaryDirectory() as folder:
            begin = time.perf_counter()
            with open_journal(folder, {}) as journal:
                for tile in range(n):
                    journal.save(0, tile, sums)
            written = time.perf_counter()
            with open_journal(folder, {}) as journal:
                opened = time.perf_counter() - written
                if not (journal.has(0, 0) and journal.has(0, n - 1)):
                    raise SystemExit("tiles are missing")
            files = list(Path(folder).iterdir())
            size = sum(path.stat().st_size for path in files) / 1e6
            print(
                f"{n} tiles with {what}: {size:.0f} MB in {len(files)} files, "
                f"written in {written - begin:.1f} s, opened in {opened:.1f} s"
            )


if __name__ == "__main__":
    main()
