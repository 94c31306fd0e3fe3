"""Pages for people: merge and name metaclusters in a notebook or a browser."""

from .remap import remap

__all__ = ["remap"]
