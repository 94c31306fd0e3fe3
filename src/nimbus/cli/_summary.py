"""What a run found, in a few lines."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from anndata import AnnData

from nimbus._keys import Suffix
from nimbus._types import BoolArray, FloatArray
from nimbus.data.tables import region_rows

from ._columns import columns, number

THRESHOLD = 0.5
"""Score from which a cell is called positive."""


def scored_by_run(
    table: AnnData,
    *,
    layer: str,
    channels: Sequence[str] | None = None,
    labels: Sequence[str] | None = None,
) -> BoolArray:
    """Whether a run gave a cell a score for a marker, shape ``(cell, marker)``.

    Parameters
    ----------
    table
        As it is after the run.
    layer
        Its scores.
    channels, labels
        Those of the run; ``None`` is all.
    """
    there = np.isfinite(np.asarray(table.layers[layer]))
    scored: BoolArray = there & _of_run(table, channels, labels)
    return scored


def summary(table: AnnData, scored: BoolArray, *, layer: str) -> str:
    """Number of cells, and for each scored marker its scale, positive cells and mean score.

    Parameters
    ----------
    table
        As it is after the run.
    scored
        As of :func:`scored_by_run`; what the layer has of others is told in a line.
    layer
        Its scores.
    """
    scores = np.asarray(table.layers[layer], dtype=np.float64)
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
    parts = [f"{int(scored.any(axis=1).sum())} cells, {len(rows)} markers scored"]
    if rows:
        parts.append(columns(["marker", "scale", "cells", "positive", "mean score"], rows))
    n_kept = int(np.isfinite(scores).sum() - scored.sum())
    if n_kept:
        parts.append(f"{n_kept} earlier scores of other cells or markers stay in the layer.")
    return "\n\n".join(parts)


def _of_run(
    table: AnnData, channels: Sequence[str] | None, labels: Sequence[str] | None
) -> BoolArray:
    """Whether a run was to score a cell for a marker, shape ``(cell, marker)``."""
    cells = np.ones(table.n_obs, dtype=bool)
    if labels is not None:
        cells[:] = False
        for region, (rows, _) in region_rows(table).items():
            cells[rows] = region in labels
    markers = np.ones(table.n_vars, dtype=bool)
    if channels is not None:
        markers = table.var_names.astype(str).isin(channels)
    wanted: BoolArray = cells[:, None] & markers
    return wanted


def _of_marker(scores: FloatArray) -> list[str]:
    return [
        str(scores.size),
        f"{100 * float((scores >= THRESHOLD).mean()):.1f}%",
        number(float(scores.mean())),
    ]
