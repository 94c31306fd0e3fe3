"""Figures."""

from .calibration import calibration
from .celltypes import celltypes
from .confounders import confounders
from .densities import densities
from .metaclusters import metaclusters
from .metrics import metrics
from .overlay import overlay
from .som import som
from .stability import stability

__all__ = [
    "calibration",
    "celltypes",
    "confounders",
    "densities",
    "metaclusters",
    "metrics",
    "overlay",
    "som",
    "stability",
]
