"""The part of a field that is drawn, read at the resolution it is drawn at."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import dask.array as da
import numpy as np
from numpy.typing import NDArray
from spatialdata import SpatialData
from spatialdata.transformations import get_transformation
from xarray import DataArray, DataTree

from nimbus._types import AnyArray, IntArray
from nimbus.core.grid import Axis

from .elements import element_array
from .geometry import place_field
from .levels import image_level
from .pixelsize import known_pixel_size_um

Span = tuple[float, float]
"""From and to, in the units of the coordinate system."""


@dataclass(frozen=True, slots=True)
class PlotAxis:
    """One axis (y or x) of a field in a figure.

    Parameters
    ----------
    pixels
        Image and labels on each other, in pixels of the finest image.
    unit
        Side of such a pixel in units of the coordinate system.
    start
        Where the first begins, in those units.
    """

    pixels: Axis
    unit: float
    start: float

    def span_of(self, limits: Span | None, *, name: str) -> tuple[int, int]:
        """First and last+1 image pixel within `limits`; all where they are ``None``.

        Raises
        ------
        ValueError
            The limits are reversed, or hold no pixel of the image.
        """
        n = self.pixels.n_image
        if limits is None:
            return 0, n
        low, high = ((float(limit) - self.start) / self.unit for limit in limits)
        first, last = max(0, math.floor(low + 1e-6)), min(n, math.ceil(high - 1e-6))
        if not low < high or first >= last:
            raise ValueError(
                f"{name}={tuple(limits)} holds no part of the image, which spans {self.start:g} "
                f"to {self.start + n * self.unit:g}"
            )
        return first, last

    def place(self, pixel: float) -> float:
        """Where an image pixel begins, in units of the coordinate system."""
        return self.start + pixel * self.unit


@dataclass(frozen=True, slots=True)
class PlacedField:
    """An image and its labels, and where they lie; nothing is read.

    Parameters
    ----------
    image_key, labels_key
        Names of the elements.
    y, x
        The axes.
    um_per_unit
        Micrometres per unit of the coordinate system; ``None`` where that is unknown.
    """

    image_key: str
    labels_key: str
    y: PlotAxis
    x: PlotAxis
    um_per_unit: float | None


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Pixels of a figure.

    Parameters
    ----------
    channels
        Mean intensity of each drawn pixel, float32 ``(c, y, x)``.
    labels
        Cell id at the centre of each drawn pixel, ``(y, x)``; 0 is background.
    extent
        Left, right, bottom and top in units of the coordinate system, as Matplotlib takes it.
    step
        Pixels of the finest image per drawn pixel, along an axis.
    """

    channels: NDArray[np.float32]
    labels: IntArray
    extent: tuple[float, float, float, float]
    step: float


def placed_field(
    sdata: SpatialData,
    *,
    image_key: str,
    labels_key: str,
    coordinate_system: str | None,
    pixel_size: float | None,
) -> PlacedField:
    """Where an image and its labels lie.

    Where the image is turned or mirrored against its coordinate system, the axes are in pixels.

    Raises
    ------
    ValueError
        They do not lie pixel on pixel; see :func:`nimbus.data.geometry.place_field`.
    """
    image = sdata.images[image_key]
    placement = place_field(
        sdata,
        image_key=image_key,
        labels_key=labels_key,
        coordinate_system=coordinate_system,
        scale="scale0" if isinstance(image, DataTree) else None,
        pixel_size=1.0,  # only the relation of image and labels matters here
        model_pixel_size_um=1.0,
    )
    system = placement.coordinate_system
    (unit_y, start_y), (unit_x, start_x) = _units(image, system)
    size = pixel_size or known_pixel_size_um(sdata, image_key, system)
    return PlacedField(
        image_key,
        labels_key,
        PlotAxis(placement.grid.y, unit_y, start_y),
        PlotAxis(placement.grid.x, unit_x, start_x),
        None if size is None else size / unit_x,
    )


def read_part(
    sdata: SpatialData,
    field: PlacedField,
    *,
    channels: Sequence[int],
    xlim: Span | None,
    ylim: Span | None,
    max_pixels: int,
) -> Part:
    """Read the part of a field within limits, with at most `max_pixels` pixels along a side.

    The image is averaged and the labels are sampled at the centres, chunk by chunk and from the
    coarsest level that is fine enough, so that a whole slide never is in memory.

    Raises
    ------
    ValueError
        The limits hold no part of the image.
    """
    if max_pixels < 1:
        raise ValueError(f"max_pixels must be at least 1, not {max_pixels}")
    spans = field.y.span_of(ylim, name="ylim"), field.x.span_of(xlim, name="xlim")
    wanted = max(1, math.ceil(max(stop - start for start, stop in spans) / max_pixels))
    image = sdata.images[field.image_key]
    level, shrink = image_level(image, None, 1.0, float(wanted))
    block = max(1, math.ceil(wanted / shrink - 1e-6))  # pixels of the level per drawn pixel
    step = shrink * block
    array = element_array(image, level)
    rows, columns = (
        _drawn(span, step, n_level // block)
        for span, n_level in zip(spans, array.shape[1:], strict=True)
    )
    labels = sdata.labels[field.labels_key]
    picked = _sampled_labels(labels, field, step, (rows, columns))
    return Part(
        channels=_averaged(array[list(channels)], block, (rows, columns)),
        labels=picked,
        extent=(
            field.x.place(columns[0] * step),
            field.x.place(min(columns[1] * step, field.x.pixels.n_image)),
            field.y.place(min(rows[1] * step, field.y.pixels.n_image)),
            field.y.place(rows[0] * step),
        ),
        step=step,
    )


def _units(image: DataArray | DataTree, system: str) -> tuple[Span, Span]:
    """Side and start of the image's pixels in the coordinate system, for y and x."""
    matrix = get_transformation(image, to_coordinate_system=system).to_affine_matrix(
        ("x", "y"), ("x", "y")
    )
    turned = np.abs(matrix[[0, 1], [1, 0]]).max() > 1e-6 * np.abs(matrix[:2, :2]).max()
    if turned or matrix[0, 0] <= 0 or matrix[1, 1] <= 0:
        return (1.0, 0.0), (1.0, 0.0)
    return (float(matrix[1, 1]), float(matrix[1, 2])), (float(matrix[0, 0]), float(matrix[0, 2]))


def _drawn(span: tuple[int, int], step: float, n_drawn: int) -> tuple[int, int]:
    """First and last+1 drawn pixel of a span of image pixels; at least one."""
    last = min(math.ceil(span[1] / step), max(1, n_drawn))
    return min(math.floor(span[0] / step), last - 1), last


def _averaged(
    array: da.Array, block: int, box: tuple[tuple[int, int], tuple[int, int]]
) -> NDArray[np.float32]:
    (y0, y1), (x0, x1) = ((start * block, stop * block) for start, stop in box)
    part = array[:, y0:y1, x0:x1].astype(np.float32)
    if block > 1:
        sides = {axis: min(block, part.shape[axis]) for axis in (1, 2)}
        part = da.coarsen(np.mean, part, sides, trim_excess=True)
    values: NDArray[np.float32] = part.compute()
    return values


def _sampled_labels(
    labels: DataArray | DataTree,
    field: PlacedField,
    step: float,
    box: tuple[tuple[int, int], tuple[int, int]],
) -> IntArray:
    """Ids at the centres of the drawn pixels."""
    axes = field.y.pixels, field.x.pixels
    level, shrink = image_level(labels, None, axes[0].label_size, max(step, axes[0].label_size))
    array = element_array(labels, level)
    picks = [
        _Pick.at_centres(axis, span, step, shrink, n)
        for axis, span, n in zip(axes, box, array.shape, strict=True)
    ]
    ids: AnyArray = np.asarray(array[picks[0].read, picks[1].read].compute())
    if ids.size == 0:
        return np.zeros((picks[0].index.size, picks[1].index.size), dtype=np.int64)
    ids = ids[np.ix_(picks[0].index, picks[1].index)]
    ids[~picks[0].inside] = 0
    ids[:, ~picks[1].inside] = 0
    return ids


@dataclass(frozen=True, slots=True, eq=False)
class _Pick:
    """Label pixels under the centres of drawn pixels: what to read, and what to take of it."""

    read: slice
    index: IntArray
    inside: NDArray[np.bool_]

    @classmethod
    def at_centres(
        cls, axis: Axis, span: tuple[int, int], step: float, shrink: float, n_labels: int
    ) -> _Pick:
        size = axis.label_size * shrink
        centres = np.minimum((np.arange(*span) + 0.5) * step, axis.n_image - 0.5)
        index = np.floor((centres - axis.label_start) / size + 1e-6).astype(np.int64)
        inside = (index >= 0) & (index < n_labels)
        stride = max(1, math.floor(step / size + 1e-6))
        first, last = (int(index[inside][k]) for k in (0, -1)) if inside.any() else (0, -1)
        taken = np.round((index - first) / stride).astype(np.int64)
        n_read = len(range(first, last + 1, stride))
        return cls(slice(first, last + 1, stride), np.clip(taken, 0, max(n_read - 1, 0)), inside)
