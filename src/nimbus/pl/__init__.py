"""Figures."""

from .densities import densities
from .overlay import overlay

__all__ = ["densities", "overlay"]
