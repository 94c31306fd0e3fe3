"""TIFF without OME-XML: ImageJ stacks, stacks written by tifffile, and simple pages."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path

from ._lazy import Plane, lazy_array, planes_of
from ._pages import Page, TiffHead, read_head
from ._stack import ImageStack, numbered
from .errors import read_error, reading
from .ome_tiff import read_ome_tiff
from .ome_xml import is_ome_xml

_UNITS_UM = {"micron": 1.0, "um": 1.0, "µm": 1.0, "\\u00B5m": 1.0, "nm": 1e-3, "mm": 1e3}


@dataclass(frozen=True, slots=True)
class _Declared:
    """What the description says of the stack; the defaults where it says nothing."""

    n_images: int = 1
    n_slices: int = 1
    n_frames: int = 1
    axes: str = ""
    unit_um: float | None = None


def read_tiff(path: Path) -> ImageStack:
    """Image of a TIFF file of any kind that nimbus reads.

    Raises
    ------
    ReadError
        The file is damaged or of another kind.
    """
    head = read_head(path)
    return read_ome_tiff(head) if is_ome_xml(head.description) else read_plain_tiff(head)


def read_plain_tiff(head: TiffHead) -> ImageStack:
    """Image of an opened TIFF without OME-XML: one channel per page, or per sample of a page.

    Names are the labels of an ImageJ stack or the names of the pages, else ``channel_0`` ... The
    pixel size is that of an ImageJ stack in a unit of length; other resolution tags are ignored,
    since most writers fill them with 72 or 96 dots per inch.

    Raises
    ------
    ReadError
        Pages of different size, or a stack in z or t.
    """
    with reading(head.path):
        declared = _declared(head.description)
    for n, name in ((declared.n_slices, "slices in z"), (declared.n_frames, "frames in time")):
        if n > 1:
            raise read_error(
                head.path,
                f"has {n} {name}; nimbus reads 2D images: choose one or project the stack; if they "
                "are channels, save it as such (ImageJ: Image > Hyperstacks > Re-order)",
            )
    pages = _pages(head, declared.n_images)
    if declared.axes == "YXC" and len(pages) > 1:
        return _rows_as_pages(head, pages)
    planes = tuple(plane for page in pages for plane in planes_of(page))
    return ImageStack(
        source=head.path,
        array=lazy_array(planes),
        channels=_names(head, len(planes)),
        pixel_size_um=_pixel_size_um(head, declared),
        planes=planes,
    )


def _pages(head: TiffHead, n_images: int) -> list[Page]:
    """Pages at full resolution; the planes of one block where the file has a single directory."""
    pages = [page for page, less in zip(head.pages, head.reduced, strict=True) if not less]
    if not pages:
        raise read_error(head.path, "holds only smaller copies of an image")
    first = pages[0]
    for nth, page in enumerate(pages):
        if (page.shape, page.n_samples) != (first.shape, first.n_samples):
            raise read_error(
                head.path,
                f"page 0 has {first.shape} (y, x) pixels of {first.n_samples} samples, page {nth} "
                f"{page.shape} of {page.n_samples}; channels must have one size",
            )
    if len(pages) == 1 < n_images and first.contiguous:
        size = first.dtype.itemsize * first.n_samples * prod(first.shape)
        if size * n_images > first.n_bytes:
            raise read_error(head.path, f"cut off: declares {n_images} images of {size} bytes")
        return [replace(first, nth=nth) for nth in range(n_images)]
    return pages


def _rows_as_pages(head: TiffHead, pages: list[Page]) -> ImageStack:
    """Image of which each page is one row, axes (x, c): how tifffile may store axes "YXC"."""
    width, n_channels = pages[0].shape
    array = lazy_array([Plane(page) for page in pages], deep=max(1, 2**20 // (width * n_channels)))
    names = numbered([""] * n_channels)
    return ImageStack(head.path, array.transpose(2, 0, 1), names, pixel_size_um=None)


def _names(head: TiffHead, n_channels: int) -> tuple[str, ...]:
    """Labels of the stack or names of the pages, if there is a different one for each channel."""
    for names in (head.imagej_labels, head.page_names):
        if len(names) == n_channels == len(set(names)) and all(names):
            return names
    return numbered([""] * n_channels)


def _declared(description: str) -> _Declared:
    if description.startswith("ImageJ="):
        return _declared_by_imagej(description)
    if description.startswith("{") and '"shape"' in description:
        return _declared_by_tifffile(description)
    return _Declared()


def _declared_by_imagej(description: str) -> _Declared:
    """Lines ``key=value``."""
    said = dict(line.split("=", 1) for line in description.splitlines() if "=" in line)
    return _Declared(
        n_images=int(said.get("images", "1")),
        n_slices=int(said.get("slices", "1")),
        n_frames=int(said.get("frames", "1")),
        unit_um=_UNITS_UM.get(said.get("unit", "")),
    )


def _declared_by_tifffile(description: str) -> _Declared:
    """JSON with the shape of the array, and its axes where the writer gave them."""
    said = json.loads(description)
    shape = [int(n) for n in said["shape"]]
    axes = str(said.get("axes", ""))
    size = dict(zip(axes, shape, strict=True)) if axes else {}
    return _Declared(
        n_images=prod(shape[:-2]) if said.get("truncated") else 1,
        n_slices=size.get("Z", 1),
        n_frames=size.get("T", 1),
        axes="".join(axis for axis in axes if size[axis] > 1 or axis in "YX"),
    )


def _pixel_size_um(head: TiffHead, declared: _Declared) -> float | None:
    if declared.unit_um is None or head.pixels_per_unit is None:
        return None
    return declared.unit_um / head.pixels_per_unit
