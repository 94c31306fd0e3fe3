"""How labels and their files are called in QuPath."""

from __future__ import annotations

from pathlib import Path

from ._safe_names import original_name, safe_name
from .geojson import CellClass

SUFFIX = ".geojson"

CLASSES = {
    1: CellClass("Positive", (220, 50, 47)),
    0: CellClass("Negative", (70, 130, 200)),
}
"""How labels are called and coloured; a cell without one stays unclassified."""

IGNORED = "Ignore*"
"""QuPath's own class for what is not to be counted."""


def label_file(folder: Path, fov: str, marker: str) -> Path:
    """File of a field and a marker: what a name may not have becomes ``%2F`` and the like.

    Examples
    --------
    >>> label_file(Path("out"), "fov 1", "CD3/CD8").as_posix()
    'out/fov 1/CD3%2FCD8.geojson'
    """
    return folder / safe_name(fov) / (safe_name(marker) + SUFFIX)


def field_and_marker(file: Path) -> tuple[str, str]:
    """Field and marker of a file of :func:`label_file`.

    Examples
    --------
    >>> field_and_marker(Path("out/fov 1/CD3%2FCD8.geojson"))
    ('fov 1', 'CD3/CD8')
    """
    return original_name(file.parent.name), original_name(file.name.removesuffix(SUFFIX))
