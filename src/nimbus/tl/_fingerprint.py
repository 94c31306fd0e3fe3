"""All that decides the sums of a tile, for the resume folder."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import dask.array as da

from nimbus.core.boxes import Box
from nimbus.data.sources import OpenField
from nimbus.engine.predict import ScorePlan
from nimbus.engine.predictors import PredictorSpec
from nimbus.engine.source import read_box

_SAMPLE = 64
"""Side of the squares whose content enters the fingerprint."""


def fingerprint(
    fields: Sequence[OpenField], spec: PredictorSpec, plan: ScorePlan
) -> dict[str, Any]:
    """Settings, weights, scales and a sample of the input, as JSON values.

    Raises
    ------
    ValueError
        The model is a callable: nothing tells two of them apart.
    """
    if callable(spec.model):
        raise ValueError("resume= needs a model with weights; a callable cannot be told apart")
    entries: dict[str, Any] = {
        "weights": spec.sha256,
        "precision": spec.precision,
        "views": [view.name for view in plan.views],
        "each_view": plan.each_view,
        "tile_size": plan.tile_size,
        "clip": plan.clip,
        "fields": [field.source.labels_name for field in fields],
    }
    for field in fields:
        source = field.source
        entries[f"input of {source.labels_name!r}"] = {
            "image": [source.image_name, list(source.image.shape), str(source.image.dtype)],
            "labels": [list(source.labels.shape), str(source.labels.dtype)],
            "channels": list(source.channels),
            "scales": source.scales.tolist(),
            "grid": repr(source.grid),
            "content": _content(source.image) + _content(source.labels),
        }
    return entries


def _content(array: da.Array) -> str:
    """Hash of a square at the upper left, the middle and the lower right."""
    digest = hashlib.sha256()
    height, width = array.shape[-2:]
    for y, x in ((0, 0), (height // 2, width // 2), (height - _SAMPLE, width - _SAMPLE)):
        box = Box(y, y + _SAMPLE, x, x + _SAMPLE).clipped((height, width))
        group = slice(0, 1) if array.ndim == 3 else None
        digest.update(read_box(array, box, name="input", group=group).tobytes())
    return digest.hexdigest()
