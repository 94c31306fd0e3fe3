"""How labels and their files are called in QuPath."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from .geojson import CellClass

SUFFIX = ".geojson"

CLASSES = {
    1: CellClass("Positive", (220, 50, 47)),
    0: CellClass("Negative", (70, 130, 200)),
}
"""How labels are called and coloured; a cell without one stays unclassified."""

IGNORED = "Ignore*"
"""QuPath's own class for what is not to be counted."""

_FORBIDDEN = re.compile(r'[<>:"/\\|?*%\x00-\x1f]|^\.|[. ]$')
"""Characters that a file name may not have on one of the usual systems."""


def label_file(folder: Path, fov: str, marker: str) -> Path:
    """File of a field and a marker: what a name may not have becomes ``%2F`` and the like.

    Examples
    --------
    >>> label_file(Path("out"), "fov 1", "CD3/CD8").as_posix()
    'out/fov 1/CD3%2FCD8.geojson'
    """
    return folder / _escaped(fov) / (_escaped(marker) + SUFFIX)


def field_and_marker(file: Path) -> tuple[str, str]:
    """Field and marker of a file of :func:`label_file`.

    Examples
    --------
    >>> field_and_marker(Path("out/fov 1/CD3%2FCD8.geojson"))
    ('fov 1', 'CD3/CD8')
    """
    return unquote(file.parent.name), unquote(file.name.removesuffix(SUFFIX))


def _escaped(name: str) -> str:
    return _FORBIDDEN.sub(lambda match: f"%{ord(match[0]):02X}", name)
