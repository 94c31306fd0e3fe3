"""Labels brought onto the pixels of their image."""

from __future__ import annotations

import dask.array as da
import numpy as np
from spatialdata import SpatialData
from xarray import DataTree

from nimbus._types import IntArray
from nimbus.core.grid import Axis

from .elements import check_labels, element_array
from .geometry import place_field


def labels_on_image(sdata: SpatialData, *, image_key: str, labels_key: str) -> da.Array:
    """Cell ids under the centres of the pixels of an image, ``(y, x)``, lazy; 0 is background.

    Raises
    ------
    ValueError
        Image and labels do not lie on each other; see :func:`nimbus.data.geometry.place_field`.
    TypeError
        Labels that are not integers.

    Examples
    --------
    >>> import nimbus
    >>> sdata = nimbus.datasets.tissue(shape=(64, 64), n_cells=9, markers=["CD3"], random_state=0)
    >>> labels_on_image(sdata, image_key="fov0_image", labels_key="fov0_labels").shape
    (64, 64)
    """
    labels = element_array(sdata.labels[labels_key])
    check_labels(labels, labels_key=labels_key)
    placement = place_field(
        sdata,
        image_key=image_key,
        labels_key=labels_key,
        coordinate_system=None,
        scale="scale0" if isinstance(sdata.images[image_key], DataTree) else None,
        pixel_size=1.0,  # only the relation of both matters here
        model_pixel_size_um=1.0,
    )
    axes = placement.grid.y, placement.grid.x
    if all(axis.label_size == 1 and axis.label_start == 0 for axis in axes):
        return labels
    for number, axis in enumerate(axes):
        index, inside = _index(axis)
        shape = (-1, 1) if number == 0 else (1, -1)
        taken = da.take(labels, index, axis=number)
        labels = da.where(inside.reshape(shape), taken, labels.dtype.type(0))
    return labels


def _index(axis: Axis) -> tuple[IntArray, IntArray]:
    """Label pixel under the centre of each image pixel, and whether there is one."""
    centres = np.arange(axis.n_image) + 0.5
    index = np.floor((centres - axis.label_start) / axis.label_size + 1e-6).astype(np.int64)
    inside = (index >= 0) & (index < axis.n_labels)
    return np.clip(index, 0, axis.n_labels - 1), inside
