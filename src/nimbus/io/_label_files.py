"""Label files of a folder, by a pattern of names."""

from __future__ import annotations

import glob
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from nimbus._check import listed

from ._files import entries
from .errors import read_error

_FOV = "{fov}"


@dataclass(frozen=True, slots=True)
class LabelPattern:
    """How label files are called, e.g. ``{fov}_whole_cell.tiff`` or ``{fov}/cells.tif``."""

    text: str

    def __post_init__(self) -> None:
        plain = PurePosixPath(self.text)
        if _FOV not in self.text or plain.is_absolute() or ".." in plain.parts:
            raise ValueError(
                f"pattern={self.text!r} must hold {_FOV!r} where the name of the field stands, and "
                "lead to files inside the folder of the labels, as in '{fov}_whole_cell.tiff'"
            )

    def files(self, folder: Path) -> dict[str, Path]:
        """Label file of each field."""
        first, *others = (re.escape(part) for part in self.text.split(_FOV))
        regex = re.compile(first + "(?P<fov>[^/]+)" + "(?P=fov)".join(others))
        found = {}
        for path in sorted(folder.glob("*".join(map(glob.escape, self.text.split(_FOV))))):
            name = path.relative_to(folder).as_posix()
            match = regex.fullmatch(name)
            if match and path.is_file() and not any(p.startswith(".") for p in name.split("/")):
                found[match["fov"]] = path
        return found


def find_labels(folder: Path, pattern: LabelPattern) -> dict[str, Path]:
    """Label file of each field.

    Raises
    ------
    FileNotFoundError, NotADirectoryError
        There is no such folder.
    ReadError
        No file fits the pattern.
    """
    there = entries(folder)
    found = pattern.files(folder)
    if not found:
        raise read_error(
            folder,
            f"no file fits pattern={pattern.text!r}; there is: {listed(p.name for p in there)}",
        )
    return found
