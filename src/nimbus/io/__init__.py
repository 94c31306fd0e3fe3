"""Reading image folders into SpatialData."""

from __future__ import annotations

from .cohort import read_fovs
from .errors import ReadError

__all__ = ["ReadError", "read_fovs"]
