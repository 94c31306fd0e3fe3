"""What commands do, imported when it is done: the libraries below take seconds to load."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import _checkup as checkup
    from . import _demonstrate as demonstrate
    from . import _exporting as exporting
    from . import _grouping as grouping
    from . import _judge as judge
    from . import _measure as measure
    from . import _serving as serving
    from . import _tuning as tuning

__all__ = [
    "checkup",
    "demonstrate",
    "exporting",
    "grouping",
    "judge",
    "measure",
    "serving",
    "tuning",
]


def __getattr__(name: str) -> Any:
    """Import one of the modules on first use (PEP 562)."""
    if name in __all__:
        return importlib.import_module(f"._{name}", __package__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
