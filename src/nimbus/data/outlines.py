"""Outlines of the cells of a labels element, in pixels of its image."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from spatialdata import SpatialData
from spatialdata.transformations import get_transformation

from nimbus._types import FloatArray, IntArray
from nimbus.core.outlines import outlines

from .elements import check_labels, element_array, pair_elements
from .geometry import common_system

Polygon = tuple[FloatArray | IntArray, ...]
"""A rim and its holes: corners (x, y), shape ``(n, 2)``, the first not repeated at the end."""

_STRIP_PIXELS = 2**24
"""Label pixels that are read at a time."""

_WHOLE = 1e-6
"""Corners are whole pixels up to this."""


def cell_outlines(
    sdata: SpatialData, labels_key: str, *, image_key: str | None = None
) -> dict[int, tuple[Polygon, ...]]:
    """Outline of each cell along the sides of its pixels, by cell id.

    Parameters
    ----------
    sdata
        Where the elements are.
    labels_key
        The labels; read in strips of rows, so that a whole slide is never in memory.
    image_key
        Image whose pixels the corners are in, counted from its upper left corner; ``None`` takes
        the only one or that of the same stem, and without any image the labels' own pixels.

    Returns
    -------
    Polygons, one for each piece of a cell; integers where the corners lie on pixel corners.

    Raises
    ------
    ValueError
        Elements that do not exist, or share no coordinate system.
    TypeError
        Labels that are not integers.

    Examples
    --------
    >>> import nimbus
    >>> sdata = nimbus.datasets.tissue(shape=(64, 64), n_cells=9, markers=["CD3"], random_state=0)
    >>> sorted(cell_outlines(sdata, "fov0_labels"))[:3]
    [1, 2, 3]
    """
    array = element_array(sdata.labels[labels_key])
    check_labels(array, labels_key=labels_key)
    matrix = _to_image(sdata, labels_key, image_key)
    rows = max(1, _STRIP_PIXELS // max(array.shape[1], 1))

    def strips() -> Iterator[IntArray]:
        for top in range(0, array.shape[0], rows):
            yield np.asarray(array[top : top + rows].compute())

    return {
        cell: tuple(tuple(_moved(ring, matrix) for ring in piece) for piece in pieces)
        for cell, pieces in outlines(strips()).items()
    }


def _to_image(sdata: SpatialData, labels_key: str, image_key: str | None) -> NDArray[np.float64]:
    """Affine ``(3, 3)`` from label pixels (x, y) to those of the image."""
    if image_key is None and not len(sdata.images):
        return np.eye(3)
    pairs = pair_elements(sdata, image_key=image_key, labels_key=labels_key)
    name = pairs[labels_key]
    image, labels = sdata.images[name], sdata.labels[labels_key]
    system = common_system(image, labels, None, names=(name, labels_key))
    of_image, of_labels = (
        get_transformation(one, to_coordinate_system=system).to_affine_matrix(
            ("x", "y"), ("x", "y")
        )
        for one in (image, labels)
    )
    return np.linalg.solve(of_image, of_labels).astype(np.float64)


def _moved(ring: IntArray, matrix: NDArray[np.float64]) -> FloatArray | IntArray:
    if np.array_equal(matrix, np.eye(3)):
        return ring
    moved = ring @ matrix[:2, :2].T + matrix[:2, 2]
    whole = np.round(moved)
    if np.abs(moved - whole).max() < _WHOLE:
        return whole.astype(np.int64)
    rounded: FloatArray = np.round(moved, 4)
    return rounded
