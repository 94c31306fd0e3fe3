"""Other processes that stand in the way."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_HOLD = """
import sys
from nimbus._claim import claimed
with claimed(sys.argv[1]):
    print("mine", flush=True)
    sys.stdin.read()  # until the test is over
"""


@contextmanager
def held_by_another(folder: Path) -> Iterator[int]:
    """Another process claims `folder`; gives its id, and kills it at the end."""
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout.readline() == "mine\n"
        yield holder.pid
    finally:
        holder.kill()
        holder.communicate()


def draws_a_lot(folder: Path, n_lots: int) -> bool:
    """Whether this process takes one of `n_lots` that lie in `folder`: no two take the same."""
    for lot in range(n_lots):
        try:
            (folder / str(lot)).touch(exist_ok=False)
        except FileExistsError:
            continue
        return True
    return False
