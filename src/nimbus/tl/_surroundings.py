"""Covariates: what of a cell and its surroundings may make calls wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nimbus._types import BoolArray, FloatArray, IntArray
from nimbus.core.neighbours import sums_within
from nimbus.metrics.confusion import ratio

from ._judged import JudgedTable

RADIUS_PX = 120.0
"""Of the circle around a cell in which density and sparsity are measured, in pixels of the labels;
from the paper, whose analysis took a square of that half side."""

OF_FIELDS = frozenset({"heterogeneity", "rarity"})
"""Covariates that all cells of a field share for a marker."""

OF_PAIRS = frozenset({"sparsity"})
"""Covariates that differ between the markers of a cell."""


@dataclass(frozen=True, slots=True, eq=False)
class Surroundings:
    """What the covariates are measured on; NaN where something is unknown.

    Parameters
    ----------
    judged
        Truth and fields.
    area
        Pixels of each cell, ``(cells,)``.
    intensity
        Mean intensities, ``(cells, markers)``.
    places
        Centroids in pixels of the labels, ``(cells, 2)``.
    radius
        Of the circle, in those pixels.
    image
        Number of the image each cell lies in, from 0, ``(cells,)``: others are not near it.
    """

    judged: JudgedTable
    area: FloatArray
    intensity: FloatArray
    places: FloatArray
    radius: float
    image: IntArray


def cell_size(around: Surroundings) -> NDArray[np.float64]:
    """Pixels of the cell."""
    return _for_each_marker(around, around.area)


def heterogeneity(around: Surroundings) -> NDArray[np.float64]:
    """Coefficient of variation of the mean intensity over the positive cells of the field.

    NaN where a field has fewer than two.
    """
    counted = (around.judged.truth == 1) & np.isfinite(around.intensity)
    n = _field_sums(around.judged, counted)
    mean = ratio(_field_sums(around.judged, np.where(counted, around.intensity, 0.0)), n)
    distance = around.intensity - mean[around.judged.field]
    squares = _field_sums(around.judged, np.where(counted, distance**2, 0.0))
    deviation = np.sqrt(ratio(squares, np.where(n > 1, n - 1, 0)))
    return ratio(deviation, mean)[around.judged.field]


def rarity(around: Surroundings) -> NDArray[np.float64]:
    """Part of the cells of the field that is negative, of those whose truth is known."""
    negative, known = (_field_sums(around.judged, own) for own in _negative_and_known(around))
    return ratio(negative, known)[around.judged.field]


def sparsity(around: Surroundings) -> NDArray[np.float64]:
    """Part of the other cells within the circle that is negative, of those of known truth.

    NaN where there is none.
    """
    negative, known = (_near(around, own) for own in _negative_and_known(around))
    return ratio(negative, known)


def density(around: Surroundings) -> NDArray[np.float64]:
    """Other cells of the field within the circle."""
    every = np.ones((around.judged.field.size, 1), dtype=bool)
    return _for_each_marker(around, _near(around, every)[:, 0])


MEASURES: Mapping[str, Callable[[Surroundings], NDArray[np.float64]]] = {
    "cell_size": cell_size,
    "heterogeneity": heterogeneity,
    "rarity": rarity,
    "sparsity": sparsity,
    "density": density,
}
"""Covariates by name; each gives ``(cells, markers)``, NaN where it is not defined."""


def _negative_and_known(around: Surroundings) -> tuple[BoolArray, BoolArray]:
    return around.judged.truth == 0, around.judged.truth >= 0


def _for_each_marker(around: Surroundings, values: FloatArray) -> NDArray[np.float64]:
    column = np.asarray(values, dtype=np.float64)[:, None]
    return np.broadcast_to(column, around.judged.truth.shape)


def _field_sums(judged: JudgedTable, values: FloatArray | BoolArray) -> NDArray[np.float64]:
    """Sums over the cells of each field, ``(fields, markers)``."""
    sums = [
        np.bincount(judged.field, weights=column, minlength=judged.n_fields) for column in values.T
    ]
    return np.stack(sums, axis=1)


def _near(around: Surroundings, counted: BoolArray) -> NDArray[np.float64]:
    """Other cells of field and image within the circle that are counted, ``(cells, columns)``."""
    out = np.full(counted.shape, np.nan)
    for number in np.unique(around.image):
        rows = np.flatnonzero(around.image == number)
        out[rows] = sums_within(
            around.places[rows], counted[rows].astype(np.float64), radius=around.radius
        )
    return out
