"""Training of networks; PyTorch and NumPy alone."""

from .augment import AugmentSettings
from .calibrate import Calibration, calibrate, folded
from .finetune import Finetuned, finetune
from .loop import fit
from .robust import RobustSettings
from .settings import FitSettings
from .teacher import TeacherSettings
from .tuning import FinetuneSettings

__all__ = [
    "AugmentSettings",
    "Calibration",
    "FinetuneSettings",
    "Finetuned",
    "FitSettings",
    "RobustSettings",
    "TeacherSettings",
    "calibrate",
    "finetune",
    "fit",
    "folded",
]
