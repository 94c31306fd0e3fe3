"""A data set of many fields of view, as users of image folders lay it out, as one SpatialData."""

from __future__ import annotations

import logging
import re
import warnings
from collections.abc import Collection, Mapping, Sequence
from math import isfinite
from pathlib import Path

from spatialdata import SpatialData

from nimbus._check import listed, one_or_more, require_known
from nimbus._keys import Attrs
from nimbus.data.fields import Field, build_sdata

from ._discover import find_images, paired, read_image
from ._label_files import LabelPattern, find_labels
from ._stack import ImageStack, select
from .errors import ReadError, read_error
from .masks import read_labels

PIXEL_SIZES_UM = (0.1, 4.0)
"""Pixel sizes outside are taken for a mistake in the unit, and warned of."""

_log = logging.getLogger(__name__)


def read_fovs(
    image_dir: str | Path,
    labels_dir: str | Path | None,
    *,
    pattern: str = "{fov}_whole_cell.tiff",
    pixel_size: float | None = None,
    fovs: str | Sequence[str] | None = None,
    channels: str | Sequence[str] | None = None,
) -> SpatialData:
    """Images and labels of many fields of view, lazily, as one SpatialData.

    ========================================  ====================================================
    ``image_dir`` holds                       field, channels
    ========================================  ====================================================
    ``fov1/CD3.tiff``, ``fov1/CD8.tif`` ...   ``fov1``; each file is a channel
    ``fov1.ome.tiff`` (or ``.tiff``)          ``fov1``; names and pixel size from the OME-XML
    ``fov1.companion.ome`` and its TIFFs      ``fov1``; names, pixel size and files by the OME-XML
    OME-TIFFs that name each other            the one called like labels, else the first by name
    ========================================  ====================================================

    Fields may have different panels and different sizes. Of a pyramid the finest level is read.
    Hidden files and files of other types are passed over. No pixel is decoded before it is used.

    Parameters
    ----------
    image_dir
        Folder of the images.
    labels_dir
        Folder of the cell masks, as TIFF, PNG of 8 or 16 bits or ``.npy``: cell ids as integers,
        0 is background; of a TIFF also colours as QuPath writes them. ``None`` for images alone.
    pattern
        How label files are called; ``{fov}`` stands for the name of the field. May lead through
        a folder, as ``"{fov}/cells.tif"``. Cellpose's are ``"{fov}_cp_masks.png"``.
    pixel_size
        Side of a pixel in micrometres, for all fields, instead of what the files say. Where
        neither says, the field has no unit, and verbs that need one ask.
    fovs
        Fields to read; ``None`` for all, and then each image needs labels and each labels an
        image.
    channels
        Channels to read, in this order; of a field those that it has. ``None`` for all.

    Returns
    -------
    Elements ``{fov}_image`` ``(c, y, x)`` and ``{fov}_labels`` ``(y, x)`` in a coordinate system
    named after the field: micrometres where the pixel size is known, which
    ``attrs["nimbus_units"]`` then says, else pixels. Names that SpatialData does not allow are
    changed; ``attrs["nimbus_fovs"]`` has the old one of each.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        There is no such folder.
    ReadError
        A file is damaged, cut off or of another kind; fields are missing or ambiguous; image and
        labels differ in extent. What cannot be seen in the headers is raised when pixels are
        computed.
    ValueError
        Unknown field or channel, a pattern without ``{fov}``, or a pixel size that is no length.

    Warns
    -----
    UserWarning
        A pixel size outside 0.1 to 4 um.

    Examples
    --------
    >>> import tempfile, tifffile, numpy as np
    >>> folder = Path(tempfile.mkdtemp())
    >>> (folder / "images" / "fov1").mkdir(parents=True)
    >>> (folder / "masks").mkdir()
    >>> for channel in ("CD3", "CD8"):
    ...     tifffile.imwrite(folder / "images/fov1" / f"{channel}.tiff", np.ones((8, 9), np.uint8))
    >>> tifffile.imwrite(folder / "masks/fov1_whole_cell.tiff", np.ones((8, 9), np.uint16))
    >>> sdata = read_fovs(folder / "images", folder / "masks", pixel_size=0.5)
    >>> sdata["fov1_image"].shape, sdata["fov1_image"].c.values.tolist()
    ((2, 8, 9), ['CD3', 'CD8'])
    """
    fovs, channels = as_names("fovs", fovs), as_names("channels", channels)
    images, labels = _files(Path(image_dir), labels_dir, LabelPattern(pattern), fovs)
    stacks = {fov: read_image(path) for fov, path in images.items()}
    return sdata_of(stacks, labels, channels=channels, pixel_size=pixel_size)


def sdata_of(
    stacks: Mapping[str, ImageStack],
    labels: Mapping[str, Path],
    *,
    channels: Sequence[str] | None,
    pixel_size: float | None,
) -> SpatialData:
    """Fields by name as one SpatialData; see :func:`read_fovs`."""
    if pixel_size is not None and not (isfinite(pixel_size) and pixel_size > 0):
        raise ValueError(f"pixel_size={pixel_size!r} is not a length in um, such as 0.5")
    names = _element_names(stacks)
    require_known("channel", channels or (), _all_channels(stacks))
    fields = [
        _field(names[fov], select(stack, channels), labels.get(fov), pixel_size)
        for fov, stack in stacks.items()
    ]
    _warn_of_pixel_sizes(fields)
    sdata = build_sdata(fields)
    changed = {new: old for old, new in names.items() if new != old}
    if changed:
        _log.info("fields renamed for SpatialData: %s", changed)
        sdata.attrs[Attrs.FOVS] = changed
    return sdata


def as_names(what: str, names: str | Sequence[str] | None) -> list[str] | None:
    """A list of different names, also of a single one; ``None`` for all.

    Raises
    ------
    ValueError
        None at all, or one of them twice.

    Examples
    --------
    >>> as_names("channels", "CD3"), as_names("channels", None)
    (['CD3'], None)
    """
    if names is None:
        return None
    listing = [str(name) for name in one_or_more(names)]
    twice = sorted({name for name in listing if listing.count(name) > 1})
    if not listing or twice:
        raise ValueError(
            f"{what}={listing} " + (f"repeats {listed(twice)}" if twice else "is empty")
        )
    return listing


def _files(
    image_dir: Path,
    labels_dir: str | Path | None,
    pattern: LabelPattern,
    fovs: Sequence[str] | None,
) -> tuple[dict[str, Path], dict[str, Path]]:
    """Image and labels of each wanted field."""
    if labels_dir is None:
        images = find_images(image_dir, apart_from=(), known=fovs or ())
        return paired(images, None, fovs=fovs), {}
    labels = find_labels(Path(labels_dir), pattern)
    apart = [Path(labels_dir), *labels.values()]
    images = find_images(image_dir, apart_from=apart, known={*labels, *(fovs or ())})
    return paired(images, labels, fovs=fovs), labels


def _element_names(fovs: Collection[str]) -> dict[str, str]:
    """For each field a name that SpatialData allows."""
    names = {fov: re.sub(r"[^A-Za-z0-9_.-]", "_", fov) for fov in fovs}
    names = {fov: f"fov{name}" if name.startswith("__") else name for fov, name in names.items()}
    seen: dict[str, str] = {}
    for fov, name in names.items():
        other = seen.setdefault(name.lower(), fov)
        if other != fov:
            raise ReadError(
                f"fields {other!r} and {fov!r} would both be called {name!r}, apart from case; "
                "rename one of them"
            )
    return names


def _all_channels(stacks: Mapping[str, ImageStack]) -> list[str]:
    return list(dict.fromkeys(name for stack in stacks.values() for name in stack.channels))


def _field(name: str, stack: ImageStack, labels: Path | None, pixel_size: float | None) -> Field:
    """A field whose image and labels have one extent."""
    cells = None if labels is None else read_labels(labels)
    if cells is not None and cells.shape != stack.array.shape[1:]:
        raise read_error(
            labels or "labels",
            f"labels have {cells.shape} (y, x) pixels, the image {stack.source} has "
            f"{stack.array.shape[1:]}; they must cover the same pixels",
        )
    return Field(
        name=name,
        image=stack.array,
        labels=cells,
        channels=stack.channels,
        pixel_size_um=stack.pixel_size_um if pixel_size is None else float(pixel_size),
    )


def _warn_of_pixel_sizes(fields: Sequence[Field]) -> None:
    low, high = PIXEL_SIZES_UM
    odd = [f for f in fields if f.pixel_size_um is not None and not low <= f.pixel_size_um <= high]
    if odd:
        warnings.warn(
            f"pixel size of {odd[0].pixel_size_um:g} um in {listed(f.name for f in odd)}; tissue "
            f"images have {low:g} to {high:g} um: if the unit is wrong, give pixel_size= "
            "(--pixel-size) in um",
            stacklevel=3,
        )
