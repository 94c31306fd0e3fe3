"""Tests and docstring examples where PyTorch is not installed: what needs it is left out."""

from __future__ import annotations

import doctest
import importlib
from collections.abc import Generator
from importlib.util import find_spec
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "src"

collect_ignore = ["tests/support"]  # helpers of tests, no tests

HAS_TORCH = find_spec("torch") is not None


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out the examples of modules that import PyTorch at their top."""
    if HAS_TORCH or collection_path.suffix != ".py" or SOURCE not in collection_path.parents:
        return None
    parts = collection_path.relative_to(SOURCE).with_suffix("").parts
    name = ".".join(parts).removesuffix(".__init__")
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        return True if _is_torch(error) else None
    return None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    """Skip an example that reaches PyTorch on its way."""
    try:
        return (yield)
    except doctest.UnexpectedException as failure:
        if not HAS_TORCH and _is_torch(failure.exc_info[1]):
            pytest.skip("this example needs PyTorch")
        raise


def _is_torch(error: BaseException | None) -> bool:
    return isinstance(error, ModuleNotFoundError) and (error.name or "").split(".")[0] == "torch"
