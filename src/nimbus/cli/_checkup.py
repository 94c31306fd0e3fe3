"""What an installation is made of, and whether it scores as it should."""

from __future__ import annotations

import os
import platform
import re
import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any

from nimbus import model as models  # lazy: what needs PyTorch is imported on use
from nimbus._optional import optional_module
from nimbus.engine.predictors import describe_model
from nimbus.engine.run import default_jobs
from nimbus.model.download import CACHE_VARIABLE, cache_dir
from nimbus.model.registry import list_models

from ._selftest import TOLERANCE, SelfTest, judged, kept_numbers, scored

DISTRIBUTION = "nimbus-spatial"

_REQUIREMENT = re.compile(r"^([\w.-]+)[^;]*(?:;.*extra\s*==\s*['\"]([\w-]+)['\"])?")


def versions() -> dict[str, str]:
    """Version of Python, of nimbus and of each package that it needs; ``"missing"`` if absent."""
    needed = [name for name, extra in _requirements() if extra is None]
    return {
        "python": platform.python_version(),
        "platform": platform.platform(),
        **{name: _version(name) for name in [DISTRIBUTION, *sorted(needed, key=str.lower)]},
    }


def extras() -> dict[str, dict[str, str]]:
    """For each extra its packages and their versions."""
    found: dict[str, dict[str, str]] = {}
    for name, extra in _requirements():
        if extra is not None and extra not in ("docs", "test"):
            found.setdefault(extra, {})[name] = _version(name)
    return found


def machine() -> dict[str, Any]:
    """Processors, memory, threads and devices."""
    torch = optional_module("torch")
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "processors": os.cpu_count(),
        "usable processors": usable,
        "memory_gb": _memory_gb(),
        "threads of PyTorch": None if torch is None else torch.get_num_threads(),
        "threads that read ahead": default_jobs(None),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", ""),
        "devices": _devices(torch),
    }


def caches() -> dict[str, Any]:
    """Where downloaded weights are kept, and what models there are."""
    folder = cache_dir()
    kept = [path for path in folder.rglob("*") if path.is_file()] if folder.is_dir() else []
    return {
        "folder": str(folder),
        "named by": CACHE_VARIABLE if CACHE_VARIABLE in os.environ else "the platform",
        "writable": os.access(_first_there(folder), os.W_OK),
        "files": len(kept),
        "megabytes": round(sum(path.stat().st_size for path in kept) / 1e6, 1),
        "models": {row.name: row.available for row in list_models()},
    }


def self_tests(model: str, device: str | None) -> list[SelfTest]:
    """The self-test in float32, and in the number format that is taken by default.

    Raises
    ------
    ValueError, OSError
        Weights or a device that are refused.
    """
    if optional_module("torch") is None:
        told = "PyTorch is not installed: a model can only be a function of yours"
        return [SelfTest(model, "", "float32", "failed", None, told)]
    described = describe_model(model)
    weights = Path(str(described.source))
    kept = kept_numbers(weights, described.sha256)
    tests = []
    for precision, tolerance in _precisions(device).items():
        scores = scored(
            model,
            pixel_size_um=described.card.pixel_size_um,
            device=device,
            precision=precision,
        )
        verdict = judged(scores, kept, name=described.card.name, tolerance=tolerance)
        tests.append(SelfTest(described.card.name, described.sha256, precision, *verdict))
    return tests


def problems(report: Mapping[str, Any]) -> list[str]:
    """What keeps nimbus from working here; empty where nothing does."""
    found = [f"{name} is missing" for name, v in report["versions"].items() if v == "missing"]
    found += [
        f"self-test in {test['precision']}: {test['told']}"
        for test in report["self-test"]
        if test["verdict"] == "failed"
    ]
    return found


def _precisions(device: str | None) -> dict[str, float]:
    """Number formats to test, each with its tolerance."""
    taken = str(models.choose_dtype("auto", models.choose_device(device))).removeprefix("torch.")
    return {name: TOLERANCE[name] for name in dict.fromkeys(("float32", taken))}


def _requirements() -> list[tuple[str, str | None]]:
    """Name of each package that nimbus asks for, and the extra that asks for it."""
    found = [_REQUIREMENT.match(line) for line in requires(DISTRIBUTION) or []]
    return [(one[1], one[2]) for one in found if one is not None]


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"


def _memory_gb() -> float | None:
    """Physical memory; ``None`` where the system does not say."""
    if sys.platform == "win32" or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 1e9, 1)


def _devices(torch: Any) -> dict[str, str]:
    """Name of each device, best first."""
    if torch is None:
        return {}
    return {
        name: torch.cuda.get_device_name(name) if name.startswith("cuda") else _other(name)
        for name in models.available_devices()
    }


def _other(name: str) -> str:
    return (platform.processor() or platform.machine()) if name == "cpu" else "Apple Metal"


def _first_there(folder: Path) -> Path:
    """The folder, or the first above it that exists."""
    return next(one for one in (folder, *folder.absolute().parents) if one.exists())
