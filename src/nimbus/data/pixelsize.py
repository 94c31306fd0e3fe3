"""How large the pixels of an image are: as given, or as its transformations say."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from spatialdata import SpatialData
from spatialdata.transformations import get_transformation

from nimbus._check import require_number
from nimbus._keys import MICROMETER, Attrs

from .elements import affine_to

_TOLERANCE = 1e-3
"""Sizes are equal up to this part."""

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
    if given is not None:
        require_number("pixel_size", given)
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
    return {name: _square_side(affine_to(image, name), image_key) for name in asked}


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
