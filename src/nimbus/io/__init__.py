"""Reading image folders into SpatialData, and writing what was touched."""

from __future__ import annotations

from nimbus.data.store import write_table

from .cohort import read_fovs
from .errors import ReadError

__all__ = ["ReadError", "read_fovs", "write_table"]
