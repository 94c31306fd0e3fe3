"""Simulated tissue with known truth."""

from .tissue import tissue
from .training_tiles import TileSettings, write_training_tiles

__all__ = ["TileSettings", "tissue", "write_training_tiles"]
