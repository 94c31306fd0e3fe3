"""How an image, its labels and the grid of the network lie on each other."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from spatialdata import SpatialData
from spatialdata.transformations import get_transformation
from xarray import DataArray, DataTree

from nimbus._check import listed
from nimbus.core.grid import Axis, Grid

from .elements import affine_to, element_array
from .levels import image_level, level_shrink
from .pixelsize import pixel_size_um

_TOLERANCE = 1e-3
"""Scales and shifts are whole numbers up to this."""

_DRIFT_PX = 0.5
"""How far a turn may move the last labels of a row or column, in image pixels."""


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """One field: where its image and labels lie.

    Parameters
    ----------
    grid
        How image, labels and network lie on each other.
    scale
        The level of the image that is read; ``None`` for an image of one resolution.
    pixel_size_um
        Side of a pixel of the finest image, in micrometres.
    labels_to_world
        Affine ``(3, 3)`` from label pixels (x, y) to the coordinate system.
    coordinate_system
        Its name.
    """

    grid: Grid
    scale: str | None
    pixel_size_um: float
    labels_to_world: NDArray[np.float64]
    coordinate_system: str


def place_field(
    sdata: SpatialData,
    *,
    image_key: str,
    labels_key: str,
    coordinate_system: str | None,
    scale: str | None,
    pixel_size: float | None,
    model_pixel_size_um: float,
) -> Placement:
    """Find how one image, its labels and the network's grid lie on each other.

    Raises
    ------
    ValueError
        No common coordinate system, an unknown pixel size, different extents, or a relation that
        is not a whole scale and shift.
    """
    image, labels = sdata.images[image_key], sdata.labels[labels_key]
    system = common_system(image, labels, coordinate_system, names=(image_key, labels_key))
    size_um = pixel_size_um(sdata, image_key, system, pixel_size)
    level, shrink = image_level(image, scale, size_um, model_pixel_size_um)
    extents = element_array(image).shape[1:], element_array(labels).shape
    between = _labels_to_image(image, labels, system)
    relation = _whole_relation(between, extents[1], names=(image_key, labels_key))
    _check_extents(extents, relation, names=(image_key, labels_key))
    read = element_array(image, level).shape[1:]
    factor = model_pixel_size_um / (size_um * shrink)
    whole = round(factor)
    if whole >= 1 and math.isclose(factor, whole, rel_tol=1e-6):
        factor = float(whole)
    axes = [
        Axis(
            n_image=read[k],
            n_labels=extents[1][k],
            factor=factor,
            label_size=relation[k][0] / shrink,
            label_start=relation[k][1] / shrink,
            rest=extents[0][k] / shrink - read[k],
        )
        for k in (0, 1)
    ]
    return Placement(Grid(*axes), level, size_um, affine_to(labels, system), system)


def common_system(
    image: DataArray | DataTree,
    labels: DataArray | DataTree,
    wanted: str | None,
    *,
    names: tuple[str, str],
) -> str:
    """Coordinate system of both elements: the wanted one, else ``"global"``, else the first."""
    of_image = set(get_transformation(image, get_all=True))
    of_labels = set(get_transformation(labels, get_all=True))
    both = sorted(of_image & of_labels)
    if wanted is not None and wanted not in both:
        raise ValueError(
            f"coordinate system {wanted!r} is not one of both image {names[0]!r} and labels "
            f"{names[1]!r}; they share {listed(both)}"
        )
    if not both:
        raise ValueError(
            f"image {names[0]!r} and labels {names[1]!r} share no coordinate system: "
            f"{listed(sorted(of_image))} against {listed(sorted(of_labels))}; set a transformation "
            "with spatialdata.transformations.set_transformation"
        )
    return wanted or ("global" if "global" in both else both[0])


def network_to_world(image: DataArray | DataTree, placement: Placement) -> NDArray[np.float64]:
    """Affine ``(3, 3)`` from network pixels (x, y) to the coordinate system."""
    shrink = level_shrink(image, placement.scale)
    side = np.array([placement.grid.x.factor, placement.grid.y.factor, 1 / shrink]) * shrink
    return affine_to(image, placement.coordinate_system) @ np.diag(side)


def _labels_to_image(
    image: DataArray | DataTree, labels: DataArray | DataTree, system: str
) -> NDArray[np.float64]:
    matrix = np.linalg.solve(affine_to(image, system), affine_to(labels, system))
    return matrix.astype(np.float64)


def _whole_relation(
    matrix: NDArray[np.float64], shape: tuple[int, ...], *, names: tuple[str, str]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """Size and start of label pixels in image pixels, for y and x; whole numbers or one over."""
    relation = []
    for k in (1, 0):  # the matrix has x first
        size, start = matrix[k, k], matrix[k, 2]
        whole = round(size) if size >= 1 else 1 / max(1, round(1 / size)) if size > 0 else 0
        shift = round(start / min(whole, 1)) * min(whole, 1) if whole else 0
        turn = abs(matrix[k, 1 - k])
        if (
            turn > _TOLERANCE
            or turn * shape[k] > _DRIFT_PX
            or abs(size - whole) > _TOLERANCE * size
            or (abs(start - shift) > _TOLERANCE * max(1, abs(start)) or not whole)
        ):
            raise ValueError(
                f"labels {names[1]!r} and image {names[0]!r} do not lie pixel on pixel: the affine "
                f"from label to image pixels is {matrix.round(6).tolist()}; nimbus takes a whole "
                "scale and a shift by whole pixels: resample the labels (nearest neighbour) first"
            )
        relation.append((float(whole), float(shift)))
    return relation[0], relation[1]


def _check_extents(
    extents: tuple[tuple[int, ...], tuple[int, ...]],
    relation: tuple[tuple[float, float], tuple[float, float]],
    *,
    names: tuple[str, str],
) -> None:
    """Labels that begin where the image does must also end there; shifted ones must touch it."""
    shifted = any(start for _, start in relation)
    for n_image, n_labels, (size, start) in zip(*extents, relation, strict=True):
        stop = start + n_labels * size
        same = abs(stop - n_image) < max(size, 1)
        touches = start < n_image and stop > 0
        if not (touches if shifted else same):
            spans = [
                f"{int(s)}:{s + n * z:g}" for n, (z, s) in zip(extents[1], relation, strict=True)
            ]
            raise ValueError(
                f"image {names[0]!r} and labels {names[1]!r} have different extents: the image "
                f"spans (y, x) 0:{extents[0][0]}, 0:{extents[0][1]} and the labels "
                f"{', '.join(spans)}, in image pixels; crop one, or set the transformation that "
                "says where the labels lie"
            )
        if start < 0 or stop - n_image >= max(size, 1):
            warnings.warn(
                f"labels {names[1]!r} reach beyond image {names[0]!r}; cells off the image are "
                "left out",
                stacklevel=4,
            )
