"""Levels of a multiscale element, and how they lie on the finest."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from spatialdata.transformations import Sequence, Translation, get_transformation
from spatialdata.transformations.transformations import BaseTransformation
from xarray import DataArray, DataTree

from .elements import element_array, element_level

_TOLERANCE = 1e-3
"""Pixel sizes are equal, and pixels begin together, up to this part of a pixel."""


def image_level(
    image: DataArray | DataTree,
    scale: str | None,
    size_um: float,
    model_pixel_size_um: float,
) -> tuple[str | None, float]:
    """Level to read and how many finest pixels one of its pixels spans.

    Without a wish it is the coarsest level that is still at least as fine as the model's, of those
    that lie on the finest.

    Raises
    ------
    ValueError
        The wanted level is not there, or does not lie on the finest.
    """
    if not isinstance(image, DataTree):
        element_level(image, scale)  # refuses a level that is not there
        return None, 1.0
    if scale is not None:
        element_level(image, scale)
        return scale, level_shrink(image, scale)
    fine = [
        (shrink, name)
        for name in image.children
        if (shrink := _shrink(image, name)) is not None
        and size_um * shrink <= model_pixel_size_um * (1 + _TOLERANCE)
    ]
    shrink, name = max(fine, default=(1.0, "scale0"))
    return name, shrink


def level_shrink(image: DataArray | DataTree, scale: str | None) -> float:
    """How many finest pixels one pixel of a level spans; 1 for an image of one resolution.

    Raises
    ------
    ValueError
        The level does not lie on the finest.
    """
    if not isinstance(image, DataTree):
        return 1.0
    shrink = _shrink(image, scale)
    if shrink is None:
        finest, level = (element_array(image, name).shape[-2:] for name in (None, scale))
        raise ValueError(
            f"level {scale!r} has {level} (y, x) pixels and does not lie pixel on pixel on the "
            f"finest, which has {finest}: coarse levels of an image that was cropped begin "
            "elsewhere. Leave scale= out, or make the levels anew with "
            "spatialdata.models.Image2DModel.parse(..., scale_factors=[2])"
        )
    return shrink


def _shrink(image: DataTree, scale: str | None) -> float | None:
    """As :func:`level_shrink`; ``None`` for a level that does not lie on the finest."""
    finest, level = element_array(image).shape[-2:], element_array(image, scale).shape[-2:]
    ratios = [fine / coarse for fine, coarse in zip(finest, level, strict=True)]
    whole = round(max(ratios))
    if all(abs(fine - whole * coarse) < whole for fine, coarse in zip(finest, level, strict=True)):
        shrink = float(whole)
    elif abs(ratios[0] - ratios[1]) <= _TOLERANCE * ratios[0]:
        shrink = float(ratios[0])
    else:
        return None
    begin = _cut_off(image) / shrink
    return shrink if np.allclose(begin, begin.round(), rtol=0, atol=_TOLERANCE) else None


def _cut_off(image: DataTree) -> NDArray[np.float64]:
    """Finest columns and rows that were cut off before the image, ``(n_systems, 2)``.

    A query of spatialdata cuts each level between pixels of its own, and puts the shift of the
    finest before the transformation that the image had::

        finest  |  |  |##|##|##|##|##|##|      2 columns were cut off: this level lies on the rest;
        level   |     |#####|#####|#####|      with 3 it would begin before or after it
    """
    placed = get_transformation(image, get_all=True).values()
    return np.array([_leading_shift(_steps(one)[:-1]) for one in placed])


def _leading_shift(steps: list[BaseTransformation]) -> NDArray[np.float64]:
    shift = np.zeros(2)
    for step in steps:
        if not isinstance(step, Translation):
            break
        shift += step.to_affine_matrix(("x", "y"), ("x", "y"))[:2, 2]
    return shift


def _steps(placed: BaseTransformation) -> list[BaseTransformation]:
    """A transformation as single ones, in the order in which they are applied."""
    if not isinstance(placed, Sequence):
        return [placed]
    return [step for part in placed.transformations for step in _steps(part)]
