"""All that decides the sums of a tile, for the resume folder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nimbus.data.sources import OpenField
from nimbus.engine.content import content_hash
from nimbus.engine.predict import ScorePlan
from nimbus.engine.predictors import PredictorSpec


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
            "content": content_hash(source.image) + content_hash(source.labels),
        }
    return entries
