"""Fields of view as SpatialData: how nimbus lays out what it reads or makes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import dask.array as da
import numpy as np
from anndata import AnnData
from spatialdata import SpatialData
from spatialdata.models import Image2DModel, Labels2DModel
from spatialdata.transformations import Identity, Scale
from spatialdata.transformations.transformations import BaseTransformation

from nimbus._check import listed
from nimbus._keys import MICROMETER, Attrs
from nimbus._types import AnyArray

IMAGE_SUFFIX = "_image"
LABELS_SUFFIX = "_labels"


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One field of view.

    Parameters
    ----------
    name
        Name of the field; element names are ``{name}_image`` and ``{name}_labels``.
    image
        Intensities, axes ``(c, y, x)``; NumPy or Dask.
    labels
        Cell ids, axes ``(y, x)``, 0 is background; ``None`` where there is no segmentation.
    channels
        Name of each channel.
    pixel_size_um
        Side of a pixel in micrometres; ``None`` where it is unknown.
    """

    name: str
    image: AnyArray | da.Array
    labels: AnyArray | da.Array | None
    channels: tuple[str, ...]
    pixel_size_um: float | None = None


def build_sdata(
    fields: Iterable[Field], *, tables: Mapping[str, AnnData] | None = None
) -> SpatialData:
    """SpatialData with an image and a labels element for each field.

    Each field has a coordinate system of its own name: micrometres where the pixel size is
    known (then entered under ``attrs["nimbus_units"]``), pixels where it is not.

    Parameters
    ----------
    fields
        Fields of view; their names must differ.
    tables
        Tables that annotate the labels elements.

    Raises
    ------
    ValueError
        Two fields of one name; fewer or more channel names than channels.

    Examples
    --------
    >>> field = Field("a", np.zeros((1, 4, 4)), np.ones((4, 4), int), ("CD3",), 0.5)
    >>> sdata = build_sdata([field])
    >>> sorted(sdata.images), sorted(sdata.labels), sdata.attrs["nimbus_units"]
    (['a_image'], ['a_labels'], {'a': 'micrometer'})
    """
    images, labels, units = {}, {}, {}
    for field in fields:
        if field.name + IMAGE_SUFFIX in images:
            raise ValueError(f"two fields are called {field.name!r}; each needs a name of its own")
        if len(field.channels) != field.image.shape[0]:
            raise ValueError(
                f"field {field.name!r} has {field.image.shape[0]} channels but "
                f"{len(field.channels)} names: {listed(field.channels)}"
            )
        placed = {field.name: _to_micrometers(field.pixel_size_um)}
        images[field.name + IMAGE_SUFFIX] = Image2DModel.parse(
            field.image, dims=("c", "y", "x"), c_coords=list(field.channels), transformations=placed
        )
        if field.labels is not None:
            labels[field.name + LABELS_SUFFIX] = Labels2DModel.parse(
                field.labels, dims=("y", "x"), transformations=dict(placed)
            )
        if field.pixel_size_um is not None:
            units[field.name] = MICROMETER
    return SpatialData(
        images=images, labels=labels, tables=dict(tables or {}), attrs={Attrs.UNITS: units}
    )


def _to_micrometers(pixel_size_um: float | None) -> BaseTransformation:
    if pixel_size_um is None:
        return Identity()
    return Scale(np.array([pixel_size_um, pixel_size_um]), axes=("y", "x"))
