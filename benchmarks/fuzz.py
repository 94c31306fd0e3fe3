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
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from support.corpora import Reader, damaged, keep, outcome, readers

Line: TypeAlias = dict[str, Any]

MEMORY = 2**30
"""Bytes of data that reading one damaged file may add."""

CPU_SECONDS = 10.0
"""Of one damaged file."""

SILENCE = 600.0
"""Seconds without a sign of life after which a child is taken as hung; on a busy machine the start
alone takes minutes."""


class TooLongError(Exception):
    """Raised in the child by its alarm."""


def child(args: argparse.Namespace) -> None:
    """Read copies of one reader after the other; one JSON line for each."""
    logging.disable(logging.CRITICAL)
    every = readers()
    for number, name in enumerate(args.readers.split(",")):
        first = args.resume_at if number == 0 else args.first
        with tempfile.TemporaryDirectory(prefix="nimbus-fuzz-", dir=args.folder or None) as folder:
            _copies(every[name], Path(folder), range(first, args.first + args.n), args)


def _copies(reader: Reader, folder: Path, numbers: range, args: argparse.Namespace) -> None:
    cases = reader.cases(folder)
    for case in cases:
        told = outcome(reader, case.path)
        if told[0] != "read":
            sys.exit(f"the good file {case.path.name} of {reader.name} is not read: {told[1]}")
    _limit_memory()
    signal.signal(signal.SIGPROF, _too_long)
    good: dict[Path, bytes] = {}
    for number in numbers:
        rng = np.random.default_rng([args.seed, zlib.crc32(reader.name.encode()), number])
        case = cases[number % len(cases)]
        victim = damaged(case, good, rng)
        line = {"reader": reader.name, "number": number, **_tried(reader, case.path)}
        if args.keep and line["outcome"] not in ("read", "named"):
            keep(victim, Path(args.keep) / reader.name / f"{number}-{victim.name}")
        victim.write_bytes(good[victim])
        print(json.dumps(line), flush=True)


def _tried(reader: Reader, path: Path) -> dict[str, object]:
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
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (now * 1024 + MEMORY, hard))


def lines_of(names: list[str], args: argparse.Namespace) -> Iterator[Line]:
    """One line for each copy; a crash or a hang is a line too."""
    at = args.first
    while names:
        command = [sys.executable, __file__, "--child", "--readers", ",".join(names)]
        for option in ("seed", "first", "n", "keep", "folder"):
            command += [f"--{option}", str(getattr(args, option))]
        command += ["--resume-at", str(at)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        hung = False
        for line in _followed(process):
            if line is None:
                hung = True
                break
            names = names[names.index(str(line["reader"])) :]
            at = int(line["number"]) + 1
            yield line
        code, error = process.wait(), process.stderr.read() if process.stderr else b""
        if code == 0:
            return
        told = error.decode(errors="replace").strip().splitlines()[-1:]
        if told and "is not read" in told[0]:
            sys.exit(told[0])
        if at == args.first + args.n:
            names, at = names[1:], args.first
        kind = "hang" if hung else "crash"
        rest = {"outcome": kind, "told": f"exit {code}: {told}", "seconds": 0.0, "peak_mb": 0}
        yield {"reader": names[0], "number": at, **rest}
        at += 1


def _followed(process: subprocess.Popen[bytes]) -> Iterator[Line | None]:
    """The child's lines; kills it, and gives ``None``, where it falls silent."""
    left, out = b"", process.stdout
    if out is None:
        raise RuntimeError("the child has no standard output")
    while True:
        ready, _, _ = select.select([out], [], [], SILENCE)
        if not ready:
            process.kill()
            yield None
            return
        data = os.read(out.fileno(), 65536)
        if not data:
            return
        *whole, left = (left + data).split(b"\n")
        yield from (json.loads(line) for line in whole)


def row(name: str, done: list[Line]) -> str:
    """One reader's line of the table."""
    count = Counter(str(line["outcome"]) for line in done)
    others = len(done) - count["read"] - count["named"]
    slowest = max(float(line["seconds"]) for line in done)
    peak = max(int(line["peak_mb"]) for line in done)
    return (
        f"| {name} | {len(done)} | {count['read']} | {count['named']} | {others} | {slowest:.2f} | "
        f"{peak} |"
    )


def main() -> None:
    """Try all readers that were asked for; a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--readers", default=",".join(readers()))
    parser.add_argument("--keep", default="", help="folder for copies that were not refused")
    parser.add_argument("--folder", default="", help="where the files lie; memory is quick")
    parser.add_argument("--resume-at", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        child(args)
        return
    print("| reader | copies | read | named errors | anything else | slowest (CPU s) | peak (MB) |")
    print("|---|---|---|---|---|---|---|", flush=True)
    failed, told = False, set[str]()
    for name, lines in groupby(lines_of(args.readers.split(","), args), lambda one: one["reader"]):
        done = []
        for line in lines:
            done.append(line)
            kind = str(line["told"])[:60]
            if line["outcome"] not in ("read", "named"):
                failed = True
                if kind not in told:  # one of each kind
                    told.add(kind)
                    print(json.dumps(line), file=sys.stderr, flush=True)
        print(row(str(name), done), flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
