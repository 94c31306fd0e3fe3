"""All that decides the sums of a tile, for the resume folder."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

import dask.array as da

from nimbus.data.sources import OpenField
from nimbus.engine.content import content_hash
from nimbus.engine.predict import ScorePlan
from nimbus.engine.predictors import PredictorSpec


def fingerprint(
    fields: Sequence[OpenField], spec: PredictorSpec, plan: ScorePlan
) -> dict[str, Any]:
    """Settings, weights, scales and a sample of the input, as JSON values."""
    entries: dict[str, Any] = {
        "nimbus": version("nimbus-spatial"),
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
            "image": source.image_name,
            "nan": source.nan,
            **_layout("image", source.image),
            **_layout("labels", source.labels),
            "channels": list(source.channels),
            "scales": source.scales.tolist(),
            "grid": repr(source.grid),
            "content of the image": content_hash(source.image, name=source.image_name),
            "content of the labels": content_hash(source.labels, name=source.labels_name),
        }
    return entries


def _layout(what: str, array: da.Array) -> dict[str, Any]:
    """Shape, dtype and chunks; of the chunks the largest, for they are regular on disk."""
    return {
        f"{what} shape": list(array.shape),
        f"{what} dtype": str(array.dtype),
        f"{what} chunks": list(array.chunksize),
    }
