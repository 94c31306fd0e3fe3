"""What pages need, imported when one is made: Panel is an extra."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from nimbus._optional import required_module

if TYPE_CHECKING:
    from . import page, server
    from .labelling import page as reviewing

__all__ = ["page", "reviewing", "server"]

_MODULES = {"page": ".page", "reviewing": ".labelling.page", "server": ".server"}


def __getattr__(name: str) -> Any:
    """Import one of the modules on first use (PEP 562)."""
    if name in _MODULES:
        for library in ("panel", "bokeh"):
            required_module(library, extra="gui")
        return importlib.import_module(_MODULES[name], __package__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
