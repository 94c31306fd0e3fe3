"""Reading image folders into SpatialData, writing what was touched, and labels in and out."""

from __future__ import annotations

from nimbus.data.store import write_table

from .cohort import read_fovs
from .errors import ReadError
from .from_mantis import read_mantis, read_mantis_types
from .from_qupath import read_qupath
from .gold import read_gold, write_gold
from .pan_layout import PanLayout
from .pan_multiplex import read_pan_multiplex
from .qupath_types import read_qupath_types, write_qupath_types
from .remote_store import read_store
from .to_mantis import write_mantis
from .to_qupath import write_qupath

__all__ = [
    "PanLayout",
    "ReadError",
    "read_fovs",
    "read_gold",
    "read_mantis",
    "read_mantis_types",
    "read_pan_multiplex",
    "read_qupath",
    "read_qupath_types",
    "read_store",
    "write_gold",
    "write_mantis",
    "write_qupath",
    "write_qupath_types",
    "write_table",
]
