"""A file that a command is to write: checked before the work."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path


def require_file(option: str, path: Path, kinds: Sequence[str], *, overwrite: bool) -> None:
    """Fail before the work if a file could not be written.

    Raises
    ------
    ValueError
        It ends in none of `kinds`.
    FileExistsError
        It is there and is not to be replaced, or is a folder.
    FileNotFoundError, PermissionError
        Its folder is not there, or cannot be written.
    """
    if path.suffix.lower() not in kinds:
        wanted = kinds[0] if len(kinds) == 1 else f"one of {', '.join(kinds)}"
        raise ValueError(f"{option} {path} must end in {wanted}")
    if path.is_dir() or (path.exists() and not overwrite):
        raise FileExistsError(f"{option} {path} exists; --overwrite replaces it")
    require_parent(option, path)


def require_parent(option: str, path: Path) -> None:
    """Fail before the work if nothing could be written beside `path`."""
    parent = path.absolute().parent
    if not parent.is_dir():
        raise FileNotFoundError(f"{option} {path}: folder {parent} does not exist")
    if not os.access(parent, os.W_OK):
        raise PermissionError(f"{option} {path}: folder {parent} cannot be written")
