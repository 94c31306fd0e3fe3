"""Before the scores: scales and mean intensities; and labels to learn from."""

from nimbus.core.assignment import AssignmentMatrix

from .cell_types import cell_types
from .gated_labels import gated_labels
from .gold_labels import gold_agreement, gold_labels
from .integrate import integrate
from .mixture_labels import mixture_labels
from .normalize import normalize
from .silver_labels import silver_labels, silver_table
from .silver_report import silver_report
from .threshold_labels import threshold_labels

__all__ = [
    "AssignmentMatrix",
    "cell_types",
    "gated_labels",
    "gold_agreement",
    "gold_labels",
    "integrate",
    "mixture_labels",
    "normalize",
    "silver_labels",
    "silver_report",
    "silver_table",
    "threshold_labels",
]
