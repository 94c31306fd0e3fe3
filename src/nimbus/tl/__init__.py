"""Scores and what follows from them."""

from .annotate import annotate
from .annotation_evidence import annotation_evidence
from .calibrate import calibrate
from .call import call
from .cluster import cluster
from .combine_clusters import combine_clusters
from .confounders import confounders
from .covariates import covariates
from .evaluate import evaluate
from .metacluster import metacluster
from .remap import remap
from .score import score

__all__ = [
    "annotate",
    "annotation_evidence",
    "calibrate",
    "call",
    "cluster",
    "combine_clusters",
    "confounders",
    "covariates",
    "evaluate",
    "metacluster",
    "remap",
    "score",
]
