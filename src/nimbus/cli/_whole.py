"""Files and folders that are there whole, or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nimbus._exchange import hidden_beside, put_in_place


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
    part = hidden_beside(target)
    try:
        yield part
    except BaseException:
        remove(part)
        raise
    put_in_place(part, target, spare=hidden_beside(target))


def remove(path: Path) -> None:
    """Remove a file or a folder, if it is there."""
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
