"""What benchmarks beside other tools have in common: their environments, the machine, tables."""

from __future__ import annotations

import os
import platform
import subprocess
import venv
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "nimbus-benchmarks"


def python_with(requirements: Sequence[str], folder: Path) -> Path:
    """Python of an environment with `requirements`, made in `folder` on first use."""
    python = folder / "bin" / "python"
    if not (folder / "complete").exists():
        print(f"making {folder}; this takes minutes", flush=True)
        venv.create(folder, with_pip=True, clear=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *requirements], check=True)
        (folder / "complete").touch()
    return python


def machine() -> str:
    """Processor, cores and how busy they are."""
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = lines[0].split(":")[1].strip() if lines else model
    load = f", load average {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""
    return f"{model}, {os.cpu_count()} cores{load}"


def markdown(table: pd.DataFrame) -> str:
    """A table of Markdown."""
    lines = [list(table.columns), ["---"] * table.shape[1], *table.astype(str).to_numpy().tolist()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
