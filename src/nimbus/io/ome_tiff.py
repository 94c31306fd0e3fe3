"""OME-TIFF: channels, pixel size and pages by the OME-XML, in one file or several of a folder."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path, PurePosixPath, PureWindowsPath

from nimbus._check import listed

from ._lazy import Plane, lazy_array, planes_of
from ._pages import Page, TiffHead, read_head
from ._stack import ImageStack, numbered
from .errors import read_error, reading
from .ome_xml import OmeDocument, OmeImage, TiffData, parse_ome_xml

COMPANION = ".companion.ome"
_MAX_XML_BYTES = 2**28

_Opener = Callable[[Path], TiffHead]


def read_ome_tiff(head: TiffHead) -> ImageStack:
    """Image of an opened OME-TIFF; other files that its OME-XML names are opened.

    Parameters
    ----------
    head
        A TIFF whose description is OME-XML.

    Raises
    ------
    ReadError
        A named file is missing or outside the folder, or OME-XML and pages disagree.
    """
    source = head.path
    document = parse_ome_xml(head.description, source=str(source))
    if document.image is None and document.metadata_file:
        return read_companion(sibling(source, document.metadata_file))
    opened = cache(lambda path: head if path == source else read_head(path))
    return _stack(document, source, opened)


def read_companion(path: Path) -> ImageStack:
    """Image whose OME-XML is a file of its own, ``*.companion.ome``.

    Raises
    ------
    ReadError
        As :func:`read_ome_tiff`.
    """
    return _stack(companion_document(path), path, cache(read_head))


def companion_document(path: Path) -> OmeDocument:
    """OME-XML of a companion file.

    Raises
    ------
    ReadError
        Not OME-XML, or larger than 256 MiB.
    """
    if path.stat().st_size > _MAX_XML_BYTES:
        raise read_error(path, "is too large for an OME-XML")
    return parse_ome_xml(path.read_bytes(), source=str(path))


def sibling(source: Path, name: str) -> Path:
    """The file `name` in the folder of `source`.

    Raises
    ------
    ReadError
        It is missing, or lies outside the folder: absolute, through ``..`` or through a link.
    """
    folder = source.parent
    plain = PurePosixPath(PureWindowsPath(name).as_posix())
    if PureWindowsPath(name).anchor or plain.is_absolute() or ".." in plain.parts:
        raise read_error(source, f"its OME-XML names {name!r}, outside its folder; that is refused")
    path = folder / plain
    with reading(source):  # a name may be too long, or no name at all
        there = path.exists()
    if not there:
        raise read_error(
            source,
            f"its OME-XML places channels in {name!r}, which is not in {folder}; if a file was "
            "renamed, give it its old name again",
        )
    if not path.resolve().is_relative_to(folder.resolve()):
        raise read_error(
            source, f"its OME-XML names {name!r}, a link that leaves its folder; that is refused"
        )
    return path


def _stack(document: OmeDocument, source: Path, opened: _Opener) -> ImageStack:
    image = document.image
    if image is None:
        raise read_error(source, "its OME-XML holds no image")
    if document.n_images > 1:
        warnings.warn(
            f"{source}: holds {document.n_images} images, of which the first is read", stacklevel=2
        )
    entries = image.tiff_data or (TiffData(None, 0, None, "", ""),)

    def page(entry: TiffData, step: int) -> Page:
        path = _file_of(entry, document, source)
        return _page(opened(path), (entry.ifd or 0) + step, image, source)

    n_samples = page(entries[0], 0).n_samples
    n_pages, rest = divmod(image.shape[0], n_samples)
    if rest:
        raise read_error(
            source, f"declares {image.shape[0]} channels in pages of {n_samples} samples"
        )
    found: dict[int, Page] = {}
    for entry in entries:
        for step in range(min(_count(entry, n_pages), n_pages - entry.first_channel)):
            found[entry.first_channel + step] = page(entry, step)
    missing = [i for i in range(n_pages) if i not in found]
    if missing:
        raise read_error(source, f"its OME-XML gives no page for channel {listed(missing)}")
    planes = tuple(plane for i in range(n_pages) for plane in planes_of(found[i]))
    return _of_one_kind(planes, image, source)


def _of_one_kind(planes: tuple[Plane, ...], image: OmeImage, source: Path) -> ImageStack:
    if any(plane.page.n_samples != planes[0].page.n_samples for plane in planes):
        raise read_error(source, "its pages differ in the number of samples")
    return ImageStack(
        source=source,
        array=lazy_array(planes),
        channels=_names(image, len(planes), source),
        pixel_size_um=_pixel_size_um(image, source),
        planes=planes,
    )


def _pixel_size_um(image: OmeImage, source: Path) -> float | None:
    """Side of a pixel; unknown, with a warning, where the file contradicts itself."""
    try:
        return image.pixel_size_um()
    except ValueError as error:
        warnings.warn(
            f"{source}: {error}; the pixel size is taken as unknown: give pixel_size= "
            "(--pixel-size) if that is an error of the file, resample the image if it is not",
            stacklevel=2,
        )
        return None


def _count(entry: TiffData, n_pages: int) -> int:
    """Planes of an entry; the OME schema's defaults where it is not said."""
    if entry.count is not None:
        return entry.count
    return n_pages if entry.ifd is None else 1


def _file_of(entry: TiffData, document: OmeDocument, source: Path) -> Path:
    """The file that holds the planes of an entry.

    The identity counts before the name: a single file may have been renamed.
    """
    same = document.uuid and entry.uuid == document.uuid and not source.name.endswith(COMPANION)
    if same or entry.file in ("", source.name):
        return source
    return sibling(source, entry.file)


def _page(head: TiffHead, nth: int, image: OmeImage, source: Path) -> Page:
    if nth >= len(head.pages):
        raise read_error(
            source,
            f"its OME-XML names page {nth} of {head.path.name!r}, which has {len(head.pages)}",
        )
    page = head.pages[nth]
    if page.shape != image.shape[1:]:
        raise read_error(
            source,
            f"its OME-XML declares {image.shape[1:]} (y, x) pixels, page {nth} of "
            f"{head.path.name!r} has {page.shape}",
        )
    return page


def _names(image: OmeImage, n_channels: int, source: Path) -> tuple[str, ...]:
    """A name for each channel; samples of one channel get its name and a number."""
    given = image.channels
    if not given:
        return numbered([""] * n_channels)
    if len(given) == n_channels:
        return numbered([name for name, _ in given])
    names = [
        f"{name or f'channel_{i}'}_{sample}"
        for i, (name, n) in enumerate(given)
        for sample in range(min(n, n_channels))
    ]
    if len(names) != n_channels:
        raise read_error(
            source, f"its OME-XML describes {len(given)} channels, the image has {n_channels}"
        )
    return tuple(names)
