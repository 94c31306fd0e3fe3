"""Figures."""

from .calibration import calibration
from .confounders import confounders
from .densities import densities
from .metaclusters import metaclusters
from .metrics import metrics
from .overlay import overlay
from .stability import stability

__all__ = [
    "calibration",
    "confounders",
    "densities",
    "metaclusters",
    "metrics",
    "overlay",
    "stability",
]
