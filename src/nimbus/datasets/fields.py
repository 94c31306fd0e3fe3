"""One simulated field: cells, images, labels and truth as plain arrays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nimbus._types import FloatArray, IntArray

from .effects import Effects, Recorded, record
from .expression import draw_expression
from .layout import Layout
from .markers import Marker
from .pattern_settings import PatternSettings
from .patterns import signal


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel of one field.

    Parameters
    ----------
    recorded
        Counts, and the part of them that is the marker's own.
    positive
        Truth of each cell of the layout, ``(n,)``.
    clean
        Signal before any effect, float32 ``(y, x)``: what bleeds into other channels.
    """

    recorded: Recorded
    positive: NDArray[np.bool_]
    clean: NDArray[np.float32]


def simulate_channel(
    layout: Layout,
    marker: Marker,
    patterns: PatternSettings,
    effects: Effects,
    rng: np.random.Generator,
    *,
    other: FloatArray | None = None,
) -> Channel:
    """Draw one channel of a field; `other` is the clean signal of one that bleeds into it.

    Examples
    --------
    >>> from nimbus.datasets.layout import LayoutSettings, simulate_layout
    >>> rng = np.random.default_rng(0)
    >>> layout = simulate_layout((60, 60), 0.5, LayoutSettings(lumen=0.0), rng)
    >>> marker = Marker("all", "nuclear", tuple((t, 0.5) for t in set(layout.cell_type)))
    >>> channel = simulate_channel(layout, marker, PatternSettings(), Effects(), rng)
    >>> channel.recorded.image.shape, len(channel.positive) == layout.n_cells
    ((60, 60), True)
    """
    levels, shapes, light = rng.spawn(3)
    expression = draw_expression(layout.cell_type, marker, levels)
    clean = signal(layout, marker, expression, patterns, shapes)
    recorded = record(clean, layout, effects, light, other=other)
    return Channel(recorded, expression.positive, clean.total)


def cell_means(
    values: Sequence[NDArray[np.float32]], labels: IntArray, n: int
) -> NDArray[np.float64]:
    """Mean of each image over each cell 1 to `n`, ``(image, n)``; NaN for cells without pixels."""
    ids = labels.ravel()
    count = np.bincount(ids, minlength=n + 1)[1:].astype(float)
    count[count == 0] = np.nan
    sums = [np.bincount(ids, weights=v.ravel(), minlength=n + 1)[1:] for v in values]
    return np.asarray(np.stack(sums) / count)
