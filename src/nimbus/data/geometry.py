"""How an image and its labels lie on each other, and how large their pixels are."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from spatialdata import SpatialData
from spatialdata.transformations import get_transformation
from xarray import DataArray, DataTree

from nimbus._check import listed
from nimbus._keys import MICROMETER, Attrs
from nimbus.core.grid import Axis, Grid

from .elements import element_array
from .levels import image_level, level_shrink

_TOLERANCE = 1e-3
"""Scales and shifts are whole numbers up to this."""

_DRIFT_PX = 0.5
"""How far a turn may move the last labels of a row or column, in image pixels."""

_USUAL_UM = (0.1, 4.0)
"""Pixel sizes outside this range are probably a mistake of unit."""

_POSSIBLE_UM = (0.001, 100.0)
"""Pixels outside this range show no cells: the image would be blown up, or vanish."""

_MICROMETER_NAMES = frozenset(
    {
        "um",
        "µm",
        "μm",
        "micron",
        "microns",
        "micrometer",
        "micrometers",
        "micrometre",
        "micrometres",
    }
)
"""Names of coordinate systems that say their unit."""


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
    return Placement(Grid(*axes), level, size_um, _affine(labels, system), system)


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


def pixel_size_um(sdata: SpatialData, image_key: str, system: str, given: float | None) -> float:
    """Side of a pixel of an image in micrometres: as given, else from its transformations.

    The unit of a coordinate system is known if its name is one (``"um"``, ``"microns"``, ...) or
    ``sdata.attrs["nimbus_units"]`` says so, as :func:`nimbus.io.read_fovs` writes it. Where that of
    `system` is not, other systems of the image tell the size.

    Raises
    ------
    ValueError
        It is unknown, not between 0.001 and 100, or differs between x and y or between systems.
    """
    size = known_pixel_size_um(sdata, image_key, system) if given is None else float(given)
    if size is None:
        raise ValueError(_unknown_size(sdata, image_key, system))
    if not (math.isfinite(size) and size > 0):
        raise ValueError(f"pixel_size must be a number above 0 (micrometres), not {size}")
    if not _POSSIBLE_UM[0] <= size <= _POSSIBLE_UM[1]:
        raise ValueError(
            f"image {image_key!r} would have pixels of {size:g} micrometres, which show no cells; "
            "pixel_size= is in micrometres per pixel: 0.5, not 500 (nanometres) or 0.0005 "
            "(millimetres)"
        )
    if not _USUAL_UM[0] <= size <= _USUAL_UM[1]:
        warnings.warn(
            f"image {image_key!r} has pixels of {size:g} micrometres, outside the usual range "
            f"{_USUAL_UM[0]}-{_USUAL_UM[1]}; is the unit right? Scores are not tested there",
            stacklevel=3,
        )
    return size


def network_to_world(image: DataArray | DataTree, placement: Placement) -> NDArray[np.float64]:
    """Affine ``(3, 3)`` from network pixels (x, y) to the coordinate system."""
    shrink = level_shrink(image, placement.scale)
    side = np.array([placement.grid.x.factor, placement.grid.y.factor, 1 / shrink]) * shrink
    return _affine(image, placement.coordinate_system) @ np.diag(side)


def known_pixel_size_um(sdata: SpatialData, image_key: str, system: str) -> float | None:
    """Side of a pixel of an image from its transformations.

    ``None`` where no unit is known, or where systems other than `system` tell different sizes.
    """
    sizes = list(_known_sizes_um(sdata, image_key, system).values())
    if not sizes or max(sizes) > min(sizes) * (1 + _TOLERANCE):
        return None
    return sizes[0]


def _known_sizes_um(sdata: SpatialData, image_key: str, system: str) -> dict[str, float]:
    """By system of known unit; of `system` alone where its unit is known."""
    units = sdata.attrs.get(Attrs.UNITS, {})
    image = sdata.images[image_key]
    known = [
        name
        for name in sorted(get_transformation(image, get_all=True))
        if name.lower() in _MICROMETER_NAMES
        or (isinstance(units, Mapping) and units.get(name) in _MICROMETER_NAMES)
    ]
    asked = [system] if system in known else known
    return {name: _square_side(_affine(image, name), image_key) for name in asked}


def _square_side(affine: NDArray[np.float64], image_key: str) -> float:
    sides = np.sqrt((affine[:2, :2] ** 2).sum(axis=0))
    if not math.isclose(sides[0], sides[1], rel_tol=0.01):
        raise ValueError(
            f"image {image_key!r} has pixels of {sides[0]:g} x {sides[1]:g} micrometres (x, y); "
            "nimbus needs square pixels: resample the image first"
        )
    return float(sides.mean())


def _unknown_size(sdata: SpatialData, image_key: str, system: str) -> str:
    """Sentence for a pixel size that no system tells, or several tell differently."""
    start = f"the pixel size of image {image_key!r} is unknown: its coordinate system {system!r}"
    sizes = _known_sizes_um(sdata, image_key, system)
    if sizes:
        told = ", ".join(f"{size:g} micrometres in {name!r}" for name, size in sizes.items())
        return (
            f"{start} has no unit, and others tell different sizes: {told}. Pass one of them as "
            "coordinate_system=, or pixel_size= in micrometres per pixel"
        )
    return (
        f"{start} has no unit. Pass pixel_size= in micrometres per pixel (0.5 for most 20x scans, "
        f"1.0 for IMC), or note the unit: sdata.attrs['{Attrs.UNITS}'] = "
        f"{{{system!r}: '{MICROMETER}'}} (spatialdata.concatenate drops such notes: for all "
        f"systems dict.fromkeys(sdata.coordinate_systems, '{MICROMETER}'))"
    )


def _affine(element: DataArray | DataTree, system: str) -> NDArray[np.float64]:
    transformation = get_transformation(element, to_coordinate_system=system)
    matrix: NDArray[np.float64] = transformation.to_affine_matrix(("x", "y"), ("x", "y"))
    return matrix


def _labels_to_image(
    image: DataArray | DataTree, labels: DataArray | DataTree, system: str
) -> NDArray[np.float64]:
    matrix = np.linalg.solve(_affine(image, system), _affine(labels, system))
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
