"""Figures."""

from .calibration import calibration
from .confounders import confounders
from .densities import densities
from .metrics import metrics
from .overlay import overlay

__all__ = ["calibration", "confounders", "densities", "metrics", "overlay"]
