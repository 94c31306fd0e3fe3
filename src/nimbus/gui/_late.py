"""What pages need, imported when one is made: Panel is an extra."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from nimbus._optional import required_module

if TYPE_CHECKING:
    from . import page, server

__all__ = ["page", "server"]


def __getattr__(name: str) -> Any:
    """Import one of the modules on first use (PEP 562)."""
    if name in __all__:
        for library in ("panel", "bokeh"):
            required_module(library, extra="gui")
        return importlib.import_module(f".{name}", __package__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
