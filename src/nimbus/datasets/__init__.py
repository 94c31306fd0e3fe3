"""Simulated tissue with known truth."""

from .training_tiles import TileSettings, write_training_tiles

__all__ = ["TileSettings", "write_training_tiles"]
