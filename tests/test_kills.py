"""Killed runs are resumed to the identical table; the benchmark does this twenty times."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process")
def test_two_killed_runs_are_resumed_to_the_identical_table():
    pytest.importorskip("torch")
    ran = subprocess.run(
        [sys.executable, "benchmarks/kills.py", "--what", "main", "--runs", "2", "--side", "128"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "src"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "main process: 2 runs" in ran.stdout
    assert "0 unreadable, 0 different" in ran.stdout
