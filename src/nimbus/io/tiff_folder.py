"""A folder with one TIFF per channel, or with one image whose OME-XML spans its files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nimbus._check import listed

from ._files import entries, stem, tiff_files
from ._lazy import lazy_array
from ._pages import first_description
from ._stack import ImageStack
from .errors import read_error
from .ome_tiff import COMPANION, read_companion
from .ome_xml import is_ome_xml, parse_ome_xml
from .plain_tiff import read_tiff


def read_folder(folder: Path) -> ImageStack:
    """Image of a folder; each channel has the name of its file.

    Hidden files and files of other types are passed over. Values of files of different type are
    read as the type that holds all.

    Raises
    ------
    ReadError
        No TIFF, two files of one channel, several channels in one file, or planes of different
        size.
    """
    files = tiff_files(folder)
    spanning = _spanning(folder, files)
    if spanning is not None:
        return spanning
    if not files:
        raise read_error(folder, "holds no TIFF file")
    return read_channel_files(folder, files)


def read_channel_files(folder: Path, files: Sequence[Path]) -> ImageStack:
    """Image of files with one channel each, which has the name of its file.

    Raises
    ------
    ReadError
        Two files of one channel, several channels in one file, or planes of different size.
    """
    stacks = [_single(path) for path in files]
    _check_alike(folder, stacks)
    planes = tuple(plane for stack in stacks for plane in stack.planes)
    return ImageStack(
        source=folder,
        array=lazy_array(planes),
        channels=tuple(stem(path) for path in files),
        pixel_size_um=_common_pixel_size(folder, stacks),
        planes=planes,
    )


def _spanning(folder: Path, files: Sequence[Path]) -> ImageStack | None:
    """The one image of a folder whose OME-XML stands in a companion or names several files."""
    companions = [path for path in entries(folder) if path.name.endswith(COMPANION)]
    if len(companions) > 1:
        raise read_error(folder, f"holds several images: {listed(p.name for p in companions)}")
    if companions:
        stack = read_companion(companions[0])
    elif len(files) > 1 and _names_others(files[0]):
        stack = read_tiff(files[0])
    else:
        return None
    used = {Path(plane.page.path).name for plane in stack.planes}
    extra = [path.name for path in files if path.name not in used]
    if extra:
        raise read_error(
            folder, f"holds an image in several files and others beside it: {listed(extra)}"
        )
    return stack


def _names_others(path: Path) -> bool:
    """Whether the OME-XML of a file places channels in other files."""
    description = first_description(path)
    if not is_ome_xml(description):
        return False
    document = parse_ome_xml(description, source=str(path))
    return bool(document.metadata_file) or any(name != path.name for name in document.files())


def _single(path: Path) -> ImageStack:
    stack = read_tiff(path)
    if len(stack.channels) != 1 or not stack.planes:
        raise read_error(
            path,
            f"holds {len(stack.channels)} channels ({listed(stack.channels)}); in a folder of one "
            "TIFF per channel each file holds one",
        )
    return stack


def _check_alike(folder: Path, stacks: Sequence[ImageStack]) -> None:
    """Different names and one extent."""
    first = stacks[0]
    seen: dict[str, Path] = {}
    for stack in stacks:
        other = seen.setdefault(stem(stack.source), stack.source)
        if other != stack.source:
            raise read_error(
                folder,
                f"{other.name!r} and {stack.source.name!r} hold one channel; keep one of them",
            )
        if stack.array.shape != first.array.shape:
            raise read_error(
                folder,
                f"{first.source.name!r} has {first.array.shape[1:]} (y, x) pixels, "
                f"{stack.source.name!r} has {stack.array.shape[1:]}",
            )


def _common_pixel_size(folder: Path, stacks: Sequence[ImageStack]) -> float | None:
    """The pixel size on which all files that state one agree."""
    stated = {stack.pixel_size_um: stack.source.name for stack in stacks if stack.pixel_size_um}
    if len(stated) > 1 and max(stated) > 1.01 * min(stated):
        raise read_error(
            folder,
            f"pixel sizes differ: {min(stated):g} um in {stated[min(stated)]!r}, "
            f"{max(stated):g} um in {stated[max(stated)]!r}",
        )
    return min(stated, default=None)
