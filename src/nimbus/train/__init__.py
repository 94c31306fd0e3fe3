"""Training of networks; PyTorch and NumPy alone."""

from .augment import AugmentSettings
from .calibrate import Calibration, calibrate, centred, folded
from .loop import FitSettings, fit

__all__ = ["AugmentSettings", "Calibration", "FitSettings", "calibrate", "centred", "fit", "folded"]
