"""Marker positivity scores for every cell of multiplexed tissue images.

Namespaces are loaded on first use, so that ``import nimbus`` is quick and
imports neither PyTorch nor squidpy nor matplotlib.

Examples
--------
>>> import nimbus
>>> sdata = nimbus.datasets.tissue(shape=(128, 128), n_cells=40, random_state=0)
>>> sorted(sdata.images)
['fov0_image']
"""

from __future__ import annotations

import importlib
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import datasets, gui, io, pl, pp, tl, train

__version__ = version("nimbus-spatial")

__all__ = ["datasets", "gui", "io", "pl", "pp", "tl", "train"]


def __getattr__(name: str) -> Any:
    """Import the namespace `name` on first use (PEP 562)."""
    if name in __all__:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module 'nimbus' has no attribute {name!r}; it has {', '.join(__all__)}")


def __dir__() -> list[str]:
    return sorted([*__all__, "__version__"])
