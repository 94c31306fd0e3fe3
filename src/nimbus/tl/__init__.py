"""Scores and what follows from them."""

from .call import call
from .score import score

__all__ = ["call", "score"]
