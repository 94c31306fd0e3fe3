"""Which cells are positive for a marker and how much of it each has."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .markers import Marker


@dataclass(frozen=True, slots=True)
class Expression:
    """One marker in the cells of one field.

    Parameters
    ----------
    positive
        Truth of each cell, ``(n,)`` bool.
    level
        How much of the marker each cell has; a typical positive has 1.
    """

    positive: NDArray[np.bool_]
    level: NDArray[np.float32]


DIM_RANGE = (0.06, 0.35)
"""Expression of dim positives, relative to the others."""

NEGATIVE_LEVEL = 0.008
"""Typical expression of negatives."""


def draw_expression(
    cell_type: NDArray[np.str_], marker: Marker, rng: np.random.Generator
) -> Expression:
    """Draw truth and level of each cell.

    Levels are log-normal; a part of the positives is dim, and negatives are not quite empty.

    Examples
    --------
    >>> types = np.repeat(["b_cell", "plasma"], 200)
    >>> marker = Marker("CD20", "membrane", positive=(("b_cell", 0.9),))
    >>> drawn = draw_expression(types, marker, np.random.default_rng(0))
    >>> bool(0.8 < drawn.positive[:200].mean() < 1), bool(drawn.positive[200:].any())
    (True, False)
    """
    n = len(cell_type)
    share = np.zeros(n)
    for name, probability in marker.positive:
        share[cell_type == name] = probability
    positive = rng.random(n) < share
    level = rng.lognormal(0.0, marker.spread, n)
    is_dim = rng.random(n) < marker.dim
    low, high = np.log(DIM_RANGE)
    level = np.where(is_dim, level * np.exp(rng.uniform(low, high, n)), level)
    empty = NEGATIVE_LEVEL * rng.lognormal(0.0, 0.8, n)
    return Expression(positive, np.where(positive, level, empty).astype(np.float32))
