"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A hidden file beside `path` to write to; it takes that name if nothing is raised.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "a.txt"
    >>> with whole_file(path) as spare:
    ...     _ = spare.write_text("all of it")
    ...     path.exists()
    False
    >>> path.read_text()
    'all of it'
    """
    spare = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        yield spare
        os.replace(spare, path)
    finally:
        spare.unlink(missing_ok=True)
