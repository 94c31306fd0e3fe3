"""Damaged copies of every kind of file that nimbus reads: nothing but named errors may come.

    nice -n 15 python benchmarks/fuzz.py [--n 10000] [--seed 1] [--readers tiff,labels] [--keep DIR]

Each reader gets `--n` changed copies of small good files (tests/support/corpora.py); what is
changed follows from reader, seed and number of the copy alone, so that one can be made again
(`--readers tiff --first 4711 --n 1`). A child process reads them, with a limit of memory and of
CPU seconds for each; it is started again after a crash or a hang. Exit code 1 where anything but
success and a named error came.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import resource
import select
import signal
import subprocess
import sys
import tempfile
import time
import zlib
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.corpora import damaged, keep, outcome, readers

MEMORY = 2**30
"""Bytes of data that reading one damaged file may add."""

CPU_SECONDS = 10.0
"""Of one damaged file."""

SILENCE = 600.0
"""Seconds without a sign of life after which a child is taken as hung; on a busy machine the start
alone takes minutes."""


class TooLongError(Exception):
    """Raised in the child by its alarm."""


def child(name: str, seed: int, first: int, stop: int, kept: str) -> None:
    """Read copies `first` to `stop`; one JSON line for each."""
    logging.disable(logging.CRITICAL)
    reader = readers()[name]
    with tempfile.TemporaryDirectory(prefix="nimbus-fuzz-") as folder:
        cases = reader.cases(Path(folder))
        for case in cases:
            told = outcome(reader, case.path)
            if told[0] != "read":
                sys.exit(f"the good file {case.path.name} of {name} is not read: {told[1]}")
        _limit_memory()
        signal.signal(signal.SIGPROF, _too_long)
        good: dict[Path, bytes] = {}
        for index in range(first, stop):
            rng = np.random.default_rng([seed, zlib.crc32(name.encode()), index])
            case = cases[index % len(cases)]
            victim = damaged(case, good, rng)
            line = {"index": index, **_tried(reader, case.path)}
            if kept and line["outcome"] not in ("read", "named"):
                keep(victim, Path(kept) / name / f"{index}-{victim.name}")
            victim.write_bytes(good[victim])
            print(json.dumps(line), flush=True)


def _tried(reader: object, path: Path) -> dict[str, object]:
    begin = time.process_time()
    signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS)
    try:
        told = outcome(reader, path)
    except TooLongError:
        told = ("slow", f"more than {CPU_SECONDS:g} s")
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    if told[0] == "unnamed" and told[1].startswith(("MemoryError", "ArrayMemoryError")):
        told = ("memory", told[1])
    elif told[0] == "unnamed" and told[1].startswith("TooLongError"):
        told = ("slow", told[1])
    seconds = time.process_time() - begin
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    return {"outcome": told[0], "told": told[1][:600], "seconds": seconds, "peak_mb": peak}


def _too_long(*_: object) -> None:
    raise TooLongError


def _limit_memory() -> None:
    """Private writable memory: what is there now and `MEMORY` more."""
    status = Path("/proc/self/status").read_text(encoding="utf-8")
    now = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmData"))
    resource.setrlimit(resource.RLIMIT_DATA, (now * 1024 + MEMORY, now * 1024 + MEMORY))


def lines_of(name: str, args: argparse.Namespace) -> list[dict[str, object]]:
    """One line for each copy; a crash or a hang is a line too."""
    done: list[dict[str, object]] = []
    at, stop = args.first, args.first + args.n
    while at < stop:
        command = [sys.executable, __file__, "--child", name, "--seed", str(args.seed)]
        command += ["--first", str(at), "--n", str(stop - at), "--keep", args.keep]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        hung = _follow(process, done)
        error = process.stderr.read().decode(errors="replace") if process.stderr else ""
        code = process.wait()
        before = at
        at = int(done[-1]["index"]) + 1 if done else at
        if code == 0:
            break
        if before == at and "is not read" in error:
            sys.exit(error.strip())
        told = f"exit {code}: {error.strip().splitlines()[-1:]}"
        kind = "hang" if hung else "crash"
        done.append({"index": at, "outcome": kind, "told": told, "seconds": 0.0, "peak_mb": 0})
        at += 1
    return done


def _follow(process: subprocess.Popen[bytes], done: list[dict[str, object]]) -> bool:
    """Take the child's lines; kills it, and gives True, where it falls silent."""
    left, out = b"", process.stdout
    if out is None:
        raise RuntimeError("the child has no standard output")
    while True:
        ready, _, _ = select.select([out], [], [], SILENCE)
        if not ready:
            process.kill()
            return True
        data = os.read(out.fileno(), 65536)
        if not data:
            return False
        *whole, left = (left + data).split(b"\n")
        done += [json.loads(line) for line in whole]


def main() -> None:
    """Try all readers that were asked for; a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--readers", default=",".join(readers()))
    parser.add_argument("--keep", default="", help="folder for copies that were not refused")
    parser.add_argument("--child", default="", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args.child, args.seed, args.first, args.first + args.n, args.keep)
        return
    failed = False
    print("| reader | copies | read | named errors | anything else | slowest (CPU s) | peak (MB) |")
    print("|---|---|---|---|---|---|---|", flush=True)
    for name in args.readers.split(","):
        done = lines_of(name, args)
        count = Counter(str(line["outcome"]) for line in done)
        others = [line for line in done if line["outcome"] not in ("read", "named")]
        failed = failed or bool(others)
        print(
            f"| {name} | {len(done)} | {count['read']} | {count['named']} | {len(others)} | "
            f"{max(float(line['seconds']) for line in done):.2f} | "
            f"{max(int(line['peak_mb']) for line in done)} |",
            flush=True,
        )
        seen: set[str] = set()
        for line in others:  # one of each kind
            kind = str(line["told"])[:60]
            if kind not in seen:
                seen.add(kind)
                print(f"  {line['index']}: {line['outcome']}: {line['told']}", file=sys.stderr)
    sys.exit(failed)


if __name__ == "__main__":
    main()
