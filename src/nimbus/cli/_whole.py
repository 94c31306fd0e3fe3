"""Files and folders that are there whole, or not at all."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def written_whole(target: Path) -> Iterator[Path]:
    """A path beside `target` to write to; at the end it takes the place of `target`.

    After an error what was written is removed and `target` is as it was.

    Examples
    --------
    >>> import tempfile
    >>> target = Path(tempfile.mkdtemp()) / "table.csv"
    >>> with written_whole(target) as part:
    ...     _ = part.write_text("cell,score")
    >>> target.read_text(), len(list(target.parent.iterdir()))
    ('cell,score', 1)
    """
    part = _beside(target)
    try:
        yield part
    except BaseException:
        remove(part)
        raise
    if not target.is_dir():
        part.replace(target)
        return
    old = _beside(target)  # a folder can only be replaced in two steps
    target.rename(old)
    part.rename(target)
    remove(old)


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _beside(target: Path) -> Path:
    """A hidden name in the same folder, with the same ending."""
    return target.with_name(f".{target.stem}-{uuid.uuid4().hex[:8]}{target.suffix}")
