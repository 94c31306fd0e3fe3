"""Pages for people: merge and name metaclusters, and label cells by eye."""

from .remap import remap
from .review import review

__all__ = ["remap", "review"]
