"""What a run found, in a few lines."""

from __future__ import annotations

import numpy as np
from anndata import AnnData

from nimbus._keys import Suffix
from nimbus._types import FloatArray

from ._columns import columns, number

THRESHOLD = 0.5
"""Score from which a cell is called positive."""


def summary(table: AnnData, *, layer: str) -> str:
    """Number of cells, and for each scored marker its scale, positive cells and mean score."""
    scores = np.asarray(table.layers[layer], dtype=np.float64)
    scored = np.isfinite(scores)
    scales = table.var.get(layer + Suffix.SCALE)
    rows = [
        [
            str(name),
            "varies" if scales is None or np.isnan(scales.iloc[k]) else f"{scales.iloc[k]:.4g}",
            *_of_marker(scores[scored[:, k], k]),
        ]
        for k, name in enumerate(table.var_names)
        if scored[:, k].any()
    ]
    n_cells = int(scored.any(axis=1).sum())
    head = f"{n_cells} cells, {len(rows)} markers scored"
    if not rows:
        return head
    return head + "\n\n" + columns(["marker", "scale", "cells", "positive", "mean score"], rows)


def _of_marker(scores: FloatArray) -> list[str]:
    return [
        str(scores.size),
        f"{100 * float((scores >= THRESHOLD).mean()):.1f}%",
        number(float(scores.mean())),
    ]
