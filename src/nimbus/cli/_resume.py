"""The resume folder of a command: ours alone while it runs, gone when all is written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nimbus._claim import claimed
from nimbus.engine.resume import discard_journal


@contextmanager
def open_folder(folder: Path, *, keep: bool) -> Iterator[Path | None]:
    """The folder, where finished tiles are to be kept; otherwise what it kept is dropped.

    After an error it stays, if there is anything in it; at the end it is removed.

    Raises
    ------
    ClaimedError
        Another process works with it.
    PermissionError
        It cannot be made.
    """
    if not keep:
        discard_journal(folder)
        yield None
        return
    try:
        folder.mkdir(exist_ok=True)
    except OSError as error:
        raise PermissionError(
            f"finished tiles cannot be kept in {folder} ({error.strerror}); name another folder "
            "with --resume FOLDER, or keep none with --no-resume"
        ) from error
    try:
        with claimed(folder):
            yield folder
            discard_journal(folder)
    finally:
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
