"""Finds the image, the labels and the channels that a verb was asked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import dask.array as da
import numpy as np
from numpy.typing import NDArray
from spatialdata import SpatialData
from spatialdata.models import get_channel_names
from spatialdata.transformations import get_transformation
from xarray import DataArray, DataTree

from nimbus._check import listed, one_or_more, require_known
from nimbus._keys import Attrs

from .fields import IMAGE_SUFFIX, LABELS_SUFFIX


def require_sdata(given: object) -> None:
    """Raise ``TypeError`` for anything but a SpatialData object."""
    if not isinstance(given, SpatialData):
        raise TypeError(
            "a SpatialData object with images and labels is needed, not "
            f"{type(given).__name__}; nimbus.io.read_fovs makes one of folders of TIFFs, "
            "nimbus.io.read_store reads one from a store"
        )


def element_level(element: DataArray | DataTree, scale: str | None = None) -> DataArray:
    """One resolution of an element; the finest where `scale` is ``None``.

    Raises
    ------
    ValueError
        The element has no such level.
    """
    if not isinstance(element, DataTree):
        if scale not in (None, "scale0"):
            raise ValueError(f"scale={scale!r} was given, but the element has one resolution")
        return element
    levels = list(element.children)
    wanted = scale or "scale0"
    require_known("scale", [wanted], levels)
    return next(iter(element[wanted].ds.data_vars.values()))


def element_array(element: DataArray | DataTree, scale: str | None = None) -> da.Array:
    """The pixels of one resolution, lazily."""
    data = element_level(element, scale).data
    return data if isinstance(data, da.Array) else da.from_array(data)


def affine_to(element: DataArray | DataTree, system: str) -> NDArray[np.float64]:
    """Affine ``(3, 3)`` from pixels (x, y) of the finest resolution to a coordinate system."""
    transformation = get_transformation(element, to_coordinate_system=system)
    matrix: NDArray[np.float64] = transformation.to_affine_matrix(("x", "y"), ("x", "y"))
    return matrix


def chosen_channels(array: da.Array, positions: Sequence[int]) -> da.Array:
    """Channels of an image ``(c, y, x)``; the array itself where those are all, in their order.

    Dask reads whole chunks where channels are picked one by one, else only what is asked for.
    """
    every = list(positions) == list(range(array.shape[0]))
    return array if every else array[list(positions)]


def channel_names(element: DataArray | DataTree, *, image_key: str) -> tuple[str, ...]:
    """Names of the channels of an image, as strings.

    Raises
    ------
    ValueError
        Two channels share a name, or the image has three dimensions.
    """
    level = element_level(element)
    if set(level.dims) != {"c", "y", "x"}:
        raise ValueError(
            f"image {image_key!r} has axes {tuple(level.dims)}; nimbus scores 2D images with axes "
            "(c, y, x): choose a plane, or project the stack"
        )
    names = tuple(str(name) for name in get_channel_names(element))
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(
            f"image {image_key!r} has several channels of the name {listed(twice)}; rename them "
            "with sdata.set_channel_names(...)"
        )
    return names


def image_names(sdata: SpatialData) -> list[str]:
    """Names of the images, sorted, without the probability images that nimbus added."""
    maps = sdata.attrs.get(Attrs.MAPS, [])
    return sorted(name for name in sdata.images if name not in maps)


def pair_elements(
    sdata: SpatialData,
    *,
    image_key: str | Mapping[str, str] | None,
    labels_key: str | Sequence[str] | None,
) -> dict[str, str]:
    """For each labels element its image.

    Parameters
    ----------
    sdata
        Where the elements are.
    image_key
        One image for all labels, or ``{labels_key: image_key}``; ``None`` takes the only image,
        or the one of the same stem (``fov1_image`` for ``fov1_labels``; ``fov1_image-b`` for
        ``fov1_labels-b``, as :func:`spatialdata.concatenate` names them).
    labels_key
        Labels elements; ``None`` takes those named by `image_key`, or all.

    Raises
    ------
    TypeError
        Images in a list, which does not say whose they are.
    ValueError
        No labels or image, a name that does not exist, or labels whose image is ambiguous.
    """
    _require_image_key(image_key)
    images, labels = image_names(sdata), sorted(sdata.labels)
    if not images or not labels:
        raise ValueError(
            f"nimbus needs an image and labels; there are images {listed(images)} and labels "
            f"{listed(labels)}"
        )
    if labels_key is None:
        wanted = list(image_key) if isinstance(image_key, Mapping) else labels
    else:
        wanted = one_or_more(labels_key)
    if not wanted:
        raise ValueError(
            f"no labels were named; there is: {listed(labels)}. Name some of them, or leave "
            "labels_key= out to take all"
        )
    require_known("labels element", wanted, labels)
    if isinstance(image_key, str):
        require_known("image", [image_key], images)
        return dict.fromkeys(wanted, image_key)
    if isinstance(image_key, Mapping):
        require_known("labels element of image_key", wanted, list(image_key))
        require_known("image", [image_key[key] for key in wanted], images)
        return {key: image_key[key] for key in wanted}
    return {key: images[0] if len(images) == 1 else _same_stem(key, images) for key in wanted}


def _require_image_key(given: object) -> None:
    if given is not None and not isinstance(given, str | Mapping):
        raise TypeError(
            f"image_key={given!r} does not say which labels each image belongs to; give the name "
            "of one image, or {labels_key: image_key}"
        )


def _same_stem(labels_key: str, images: Sequence[str]) -> str:
    stem, suffix, more = labels_key.rpartition(LABELS_SUFFIX)
    if not suffix:
        stem, more = labels_key, ""
    hits = [name for name in images if name in (stem + more, stem + IMAGE_SUFFIX + more)]
    if len(hits) != 1:
        raise ValueError(
            f"which image belongs to labels {labels_key!r}? There are {listed(images)}; pass "
            f"image_key={{{labels_key!r}: ...}}"
        )
    return hits[0]


def check_labels(labels: da.Array, *, labels_key: str) -> None:
    """Refuse labels that cannot hold cell ids.

    Raises
    ------
    TypeError
        They are not integers.
    ValueError
        They do not have two dimensions.
    """
    if labels.ndim != 2:
        raise ValueError(f"labels {labels_key!r} have {labels.ndim} dimensions, not 2 (y, x)")
    if labels.dtype.kind not in "iub":
        raise TypeError(
            f"labels {labels_key!r} are of type {labels.dtype}; cell ids are integers: convert "
            "them with .astype('uint32') if they hold whole numbers"
        )
