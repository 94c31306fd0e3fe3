"""From elements of a SpatialData object to what the engine reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from spatialdata import SpatialData

from nimbus._check import Named, by_name, listed, require_known
from nimbus.core.scales import ScaleTable
from nimbus.engine.pixels import laid_out
from nimbus.engine.source import FieldSource, NanRule

from .elements import channel_names, check_labels, chosen_channels, element_array
from .geometry import Placement, place_field


@dataclass(frozen=True, slots=True)
class Request:
    """Which elements are read, and how.

    Parameters
    ----------
    pairs
        Image of each labels element.
    channels
        Wanted channels; ``None`` takes all that each image has.
    scale
        Level of a multiscale image; ``None`` takes the coarsest that is fine enough.
    coordinate_system
        Where image and labels meet; ``None`` takes one they share.
    pixel_size
        Micrometres per pixel of the finest image, or by image; ``None`` asks the transformation.
    nan
        What NaN and infinite pixels do.
    """

    pairs: Mapping[str, str]
    channels: Sequence[str] | None
    scale: str | None
    coordinate_system: str | None
    pixel_size: float | Mapping[str, float] | None
    nan: NanRule


@dataclass(frozen=True, slots=True, eq=False)
class OpenField:
    """One field: what the engine reads, and where it lies."""

    source: FieldSource
    placement: Placement

    def with_scales(self, table: ScaleTable) -> OpenField:
        """The same field, its channels divided by the scales of its image."""
        own = table[self.source.image_name]
        scales = np.array([own[channel] for channel in self.source.channels], dtype=np.float64)
        return replace(self, source=replace(self.source, scales=scales))


def wanted_channels(sdata: SpatialData, request: Request) -> dict[str, list[str]]:
    """Channels to read of each image, in the order asked for.

    Fields may have different panels: a channel must be in at least one of the images; an image that
    has none of them gets an empty list.

    Raises
    ------
    ValueError
        A channel that no image has, or no channel at all.
    """
    there = {
        image: channel_names(sdata.images[image], image_key=image)
        for image in dict.fromkeys(request.pairs.values())
    }
    if request.channels is None:
        return {image: list(names) for image, names in there.items()}
    every = list(dict.fromkeys(name for own in there.values() for name in own))
    if not request.channels:
        raise ValueError(
            f"channels=[] names no channel; the images have {listed(every)}. Name some of them, or "
            "leave channels= out to take all"
        )
    require_known("channel", request.channels, every)
    return {image: [c for c in request.channels if c in own] for image, own in there.items()}


def open_field(
    sdata: SpatialData,
    labels_key: str,
    request: Request,
    channels: Sequence[str],
    *,
    model_pixel_size_um: float,
) -> OpenField:
    """Open one field for reading, with scales of 1; nothing is computed yet.

    Raises
    ------
    ValueError
        See :func:`nimbus.data.geometry.place_field`.
    TypeError
        Labels that are not integers.
    """
    image_key = request.pairs[labels_key]
    labels = element_array(sdata.labels[labels_key])
    check_labels(labels, labels_key=labels_key)
    placement = place_field(
        sdata,
        image_key=image_key,
        labels_key=labels_key,
        coordinate_system=request.coordinate_system,
        scale=request.scale,
        pixel_size=_pixel_size(request, image_key),
        model_pixel_size_um=model_pixel_size_um,
    )
    image = sdata.images[image_key]
    names = channel_names(image, image_key=image_key)
    picked = chosen_channels(
        element_array(image, placement.scale), [names.index(channel) for channel in channels]
    )
    source = FieldSource(
        image_name=image_key,
        labels_name=labels_key,
        image=laid_out(picked),
        labels=laid_out(labels),
        grid=placement.grid,
        channels=tuple(channels),
        scales=np.ones(len(channels)),
        nan=request.nan,
    )
    return OpenField(source, placement)


def to_world(placement: Placement, centroid: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centroids (y, x) in label pixels as (x, y) in the coordinate system."""
    matrix = placement.labels_to_world
    world: NDArray[np.float64] = centroid[:, ::-1] @ matrix[:2, :2].T
    world += matrix[:2, 2]
    return world


def _pixel_size(request: Request, image_key: str) -> float | None:
    if not isinstance(request.pixel_size, Named):
        return request.pixel_size
    sizes = by_name("pixel_size", request.pixel_size)
    if image_key not in sizes:
        raise ValueError(
            f"pixel_size= has no entry for image {image_key!r}, only for {listed(sizes)}; it goes "
            f"by the names of images, not of labels: {{{image_key!r}: ...}}"
        )
    return sizes[image_key]
