"""Which fields of view a pair of folders holds."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from nimbus._check import listed, require_known

from ._files import entries, is_tiff, stem
from ._pages import first_description
from ._stack import ImageStack
from .errors import ReadError, read_error
from .ome_tiff import COMPANION, companion_document, read_companion
from .ome_xml import is_ome_xml, parse_ome_xml
from .plain_tiff import read_tiff
from .tiff_folder import read_folder


def read_image(path: Path) -> ImageStack:
    """Image of a folder, a companion file or a TIFF."""
    if path.is_dir():
        return read_folder(path)
    return read_companion(path) if path.name.endswith(COMPANION) else read_tiff(path)


def find_images(
    folder: Path, *, apart_from: Collection[Path], known: Collection[str]
) -> dict[str, list[Path]]:
    """Folders and files of each field; more than one where names clash.

    Parameters
    ----------
    folder
        Where the images are.
    apart_from
        Label files and their folder, which may lie in the same place.
    known
        Names of fields, which decide how an image in several files is called.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        There is no such folder.
    ReadError
        It holds no image.
    """
    apart = {path.resolve() for path in apart_from}
    there = [path for path in entries(folder) if path.resolve() not in apart]
    found: defaultdict[str, list[Path]] = defaultdict(list)
    for path in there:
        if path.is_dir() and _holds_image(path):
            found[path.name].append(path)
    for name, path in _files(there, known):
        found[name].append(path)
    if not found:
        raise read_error(
            folder,
            "holds no field: neither folders of one TIFF per channel nor TIFF files; there is: "
            f"{listed(path.name for path in there)}",
        )
    return dict(found)


def paired(
    images: Mapping[str, Sequence[Path]],
    labels: Mapping[str, Path] | None,
    *,
    fovs: Sequence[str] | None,
) -> dict[str, Path]:
    """The wanted fields, each with its one image.

    Parameters
    ----------
    images
        Candidates for each field.
    labels
        Label file of each field; ``None`` where no labels are wanted.
    fovs
        Wanted fields; ``None`` for all.

    Raises
    ------
    ValueError
        A field of `fovs` does not exist.
    ReadError
        An image without labels, labels without an image, or two images of one field.

    Examples
    --------
    >>> paired({"a": [Path("a.tif")]}, {"b": Path("b_whole_cell.tiff")}, fovs=None)
    Traceback (most recent call last):
    nimbus.io.errors.ReadError: images and labels do not match. Without labels: 'a'; without \
image: 'b'. None has both: give the folder that holds the files or folders of the fields, also of \
a single one, and pattern= if label files are called otherwise
    """
    with_labels = images if labels is None else labels
    for what, there in (
        ("field among the images", images),
        ("field among the labels", with_labels),
    ):
        require_known(what, fovs or (), sorted(there))
    if fovs is None and set(images) != set(with_labels):
        raise ReadError(_unmatched(set(images), set(with_labels)))
    wanted = sorted(images) if fovs is None else list(fovs)
    for fov in wanted:
        if len(images[fov]) > 1:
            raise ReadError(
                f"field {fov!r} has several images, {listed(images[fov])}; keep one of them"
            )
    return {fov: images[fov][0] for fov in wanted}


def _unmatched(images: set[str], labels: set[str]) -> str:
    """Sentence for fields without labels or without an image."""
    advice = (
        "Choose fields that have both with fovs=[...]"
        if images & labels
        else "None has both: give the folder that holds the files or folders of the fields, also "
        "of a single one, and pattern= if label files are called otherwise"
    )
    return (
        f"images and labels do not match. Without labels: {listed(sorted(images - labels))}; "
        f"without image: {listed(sorted(labels - images))}. {advice}"
    )


def _holds_image(folder: Path) -> bool:
    return any(is_tiff(path) or path.name.endswith(COMPANION) for path in entries(folder))


def _files(there: Sequence[Path], known: Collection[str]) -> Iterator[tuple[str, Path]]:
    """Name and first file of each image; an image in several files counts once.

    A companion file gives its name to its image. Where each of several TIFFs names all the
    others, the one that is called like a field does, else the first.
    """
    parts = {path: _parts(path) for path in there if path.name.endswith(COMPANION)}
    parts |= {path: _parts(path) for path in there if is_tiff(path)}
    taken: set[str] = set()
    for path, names in parts.items():
        if len(names) == 1 or path.name in taken:
            continue
        taken |= names
        if path.name.endswith(COMPANION):
            yield path.name.removesuffix(COMPANION), path
        else:
            candidates = [stem(path), *sorted(stem(path.with_name(name)) for name in names)]
            yield next((name for name in candidates if name in known), candidates[0]), path
    for path in parts:
        if path.name not in taken:
            yield stem(path).removesuffix(COMPANION), path


def _parts(path: Path) -> set[str]:
    """Names of the files, itself included, over which the OME-XML of a file spreads its image."""
    try:
        if path.name.endswith(COMPANION):
            document = companion_document(path)
        else:
            description = first_description(path)
            if not is_ome_xml(description):
                return {path.name}
            document = parse_ome_xml(description, source=str(path))
    except ReadError:  # raised again, if the field is wanted, when it is read
        return {path.name}
    return {path.name, *document.files(), *filter(None, [document.metadata_file])}
