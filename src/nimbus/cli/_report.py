"""Errors and warnings as a shell wants them: one line each on standard error."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from tqdm import tqdm

from nimbus import _progress

DEBUG = "--debug"

INTERRUPTED = 130
"""Exit code of a command that was interrupted: 128 and the number of the signal."""

FORESEEN = (
    ValueError,
    TypeError,
    OSError,
    KeyError,
    ImportError,
    MemoryError,
    FloatingPointError,  # a training that diverges
)
"""What the checks of nimbus and the file system raise; anything else is a mistake in nimbus."""

_USAGE_ERROR: Any = typer.BadParameter.__base__  # not exported by every release of Typer


def reported(run: Callable[[], Any], *, debug: bool) -> int:
    """Exit code of a command; errors and warnings are told on standard error.

    Parameters
    ----------
    run
        The command; gives an exit code, or ``None`` for 0.
    debug
        Let errors through with their traceback.
    """
    with one_line_warnings():
        try:
            code = run()
        except _USAGE_ERROR as error:
            told = error.format_message().rstrip(".") or "give a command"
            tell("error", f"{told} {_help_of(error)}")
            return 1
        except (KeyboardInterrupt, typer.Abort):
            code = INTERRUPTED
        except FORESEEN as error:
            if debug:
                raise
            tell("error", message_of(error))
            return 1
    if code == INTERRUPTED:
        tell("error", "interrupted")
    return code if isinstance(code, int) else 0


@contextmanager
def one_line_warnings() -> Iterator[None]:
    """Show the warnings of nimbus as one line each, and none of the libraries below it."""

    def show(message: Warning | str, *_where: Any, **_more: Any) -> None:
        tell("warning", str(message))

    logger = logging.getLogger("ome_zarr")  # complains of every labels element that is read
    level = logger.level
    logger.setLevel(logging.ERROR)
    own, handler = logging.getLogger("nimbus"), _OneLine(logging.WARNING)
    own.addHandler(handler)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.filterwarnings("default", category=UserWarning, module=r"nimbus\b")
            warnings.showwarning = show
            yield
    finally:
        logger.setLevel(level)
        own.removeHandler(handler)


class _OneLine(logging.Handler):
    """Shows what nimbus logs as it shows its warnings."""

    def emit(self, record: logging.LogRecord) -> None:
        """One line on standard error."""
        _write(record.levelname.lower(), record.getMessage())


def tell(kind: str, message: str) -> None:
    """One line on standard error, and an event for ``--log-json``."""
    _write(kind, message)
    _progress.tell(kind, message=" ".join(message.split()))


def _write(kind: str, message: str) -> None:
    """One line on standard error; progress bars stay whole."""
    tqdm.write(f"nimbus: {kind}: {' '.join(message.split())}", file=sys.stderr)


def message_of(error: BaseException) -> str:
    """What an error says; its type where it says nothing.

    Examples
    --------
    >>> message_of(KeyError("CD3")), message_of(MemoryError())
    ("no entry 'CD3'", 'MemoryError')
    """
    if isinstance(error, KeyError) and len(error.args) == 1:
        told = error.args[0]
        return told if isinstance(told, str) and " " in told else f"no entry {told!r}"
    if isinstance(error, FileNotFoundError) and error.filename is not None:
        return f"{error.filename} does not exist"
    return "; ".join([str(error) or type(error).__name__, *_notes(error)])


def _notes(error: BaseException) -> list[str]:
    """What nimbus added: in which tile it happened."""
    start = "nimbus: "
    notes = getattr(error, "__notes__", [])
    return [note.removeprefix(start) for note in notes if note.startswith(start)]


def _help_of(error: Any) -> str:
    path = error.ctx.command_path if error.ctx is not None else "nimbus"
    return f"(see: {path} --help)"
