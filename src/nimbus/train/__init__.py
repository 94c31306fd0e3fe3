"""Training of networks; PyTorch and NumPy alone."""

from .augment import AugmentSettings
from .calibrate import Calibration, calibrate, folded
from .finetune import Finetuned, FinetuneSettings, finetune
from .loop import fit
from .robust import RobustSettings
from .settings import FitSettings

__all__ = [
    "AugmentSettings",
    "Calibration",
    "FinetuneSettings",
    "Finetuned",
    "FitSettings",
    "RobustSettings",
    "calibrate",
    "finetune",
    "fit",
    "folded",
]
