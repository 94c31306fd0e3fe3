"""Simulated tissue with known truth, and training tiles of it and of real tissue."""

from .cut_settings import CutSettings
from .tile_settings import TileSettings
from .tissue import tissue
from .training_set import write_training_set
from .training_tiles import write_training_tiles

__all__ = [
    "CutSettings",
    "TileSettings",
    "tissue",
    "write_training_set",
    "write_training_tiles",
]
