"""Which directory entries count, and what they are called."""

from __future__ import annotations

from pathlib import Path

_SUFFIXES = (".ome.tiff", ".ome.tif", ".tiff", ".tif")


def entries(folder: Path) -> list[Path]:
    """Visible entries of a folder in order of name; ``.DS_Store``, ``._*`` and the like are not.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        There is no such folder.
    """
    if not folder.exists():
        raise FileNotFoundError(f"folder {str(folder)!r} does not exist")
    if not folder.is_dir():
        raise NotADirectoryError(f"{str(folder)!r} is a file, not a folder")
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def tiff_files(folder: Path) -> list[Path]:
    """TIFF files of a folder, by suffix, in order of name."""
    return [path for path in entries(folder) if is_tiff(path)]


def is_tiff(path: Path) -> bool:
    """Whether a visible entry is a TIFF by its suffix."""
    return path.name.lower().endswith(_SUFFIXES) and path.is_file()


def stem(path: Path) -> str:
    """Name of a file without its TIFF suffix.

    Examples
    --------
    >>> stem(Path("data/HLA DR.v2.OME.tif")), stem(Path("fov1"))
    ('HLA DR.v2', 'fov1')
    """
    lower = path.name.lower()
    suffix = next((suffix for suffix in _SUFFIXES if lower.endswith(suffix)), "")
    return path.name[: len(path.name) - len(suffix)]
