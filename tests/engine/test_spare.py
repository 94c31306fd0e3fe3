"""Heaps of threads: `nimbus score` has one, a notebook those it had."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

import nimbus

HEAPS = """
import ctypes, sys, threading
from nimbus.engine.spare import share_a_heap
if sys.argv[1] == "shared":
    share_a_heap()
barrier = threading.Barrier(5)
def hold():
    kept = bytes(100_000)  # above the small ones that Python keeps itself, below those of mmap
    barrier.wait()
    barrier.wait()
threads = [threading.Thread(target=hold) for _ in range(4)]
for one in threads:
    one.start()
barrier.wait()
libc = ctypes.CDLL(None)
libc.fopen.restype = ctypes.c_void_p
file = ctypes.c_void_p(libc.fopen(sys.argv[2].encode(), b"w"))
libc.malloc_info(0, file)
libc.fclose(file)
barrier.wait()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="heaps are those of GNU's C library")
@pytest.mark.parametrize(
    ("how", "limit", "n_heaps"),
    [
        pytest.param("shared", None, 1, id="one for all threads"),
        pytest.param("shared", "3", 3, id="as many as the user says"),
        pytest.param("apart", None, 5, id="without it one for each"),
    ],
)
def test_threads_share_a_heap_unless_the_user_says_otherwise(tmp_path, how, limit, n_heaps):
    env = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    env |= {"PYTHONPATH": str(Path(nimbus.__file__).parents[1])}
    env |= {} if limit is None else {"MALLOC_ARENA_MAX": limit}
    subprocess.run([sys.executable, "-c", HEAPS, how, str(tmp_path / "heaps")], check=True, env=env)
    assert (tmp_path / "heaps").read_text().count("<heap nr=") == n_heaps
