"""Training of networks; PyTorch and NumPy alone."""

from .augment import AugmentSettings
from .loop import FitSettings, fit

__all__ = ["AugmentSettings", "FitSettings", "fit"]
