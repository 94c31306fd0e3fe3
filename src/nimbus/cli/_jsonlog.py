"""``--log-json``: what a command does, one JSON object a line."""

from __future__ import annotations

import json
import logging
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm

from nimbus._progress import LOGGER, tell

from ._newfile import require_parent
from ._report import INTERRUPTED

LOG_JSON = "--log-json"

STDERR = "-"
"""Name of the file that stands for standard error."""

_OUTCOMES = {0: "done", INTERRUPTED: "interrupted"}


class JsonLines(logging.Handler):
    """Writes each record as a line; events of :mod:`nimbus._progress` with all their values."""

    def __init__(self, file: TextIO) -> None:
        super().__init__(logging.INFO)
        self.file = file

    def emit(self, record: logging.LogRecord) -> None:
        """One line, written at once."""
        event: Mapping[str, Any] = getattr(record, "event", None) or {
            "event": record.levelname.lower(),
            "message": record.getMessage(),
        }
        stamp = datetime.fromtimestamp(record.created, tz=UTC).isoformat(timespec="milliseconds")
        line = json.dumps({"time": stamp, **_plain(event)}, ensure_ascii=False)
        try:
            tqdm.write(line, file=self.file)  # a bar on the same terminal stays whole
            self.file.flush()
        except OSError:  # a full disk does not end the run; the reason goes to standard error
            self.handleError(record)


def without_option(arguments: Sequence[str]) -> tuple[list[str], str | None]:
    """The arguments without ``--log-json FILE``, and the file.

    Raises
    ------
    ValueError
        The option without a file.

    Examples
    --------
    >>> without_option(["score", "--log-json", "run.jsonl", "a.zarr"])
    (['score', 'a.zarr'], 'run.jsonl')
    >>> without_option(["--log-json=-", "score"])
    (['score'], '-')
    """
    left: list[str] = []
    target: str | None = None
    given = iter(arguments)
    for argument in given:
        name, equals, value = argument.partition("=")
        if name != LOG_JSON:
            left.append(argument)
            continue
        target = value if equals else next(given, "")
        if not target or (target.startswith("-") and target != STDERR):
            raise ValueError(f"{LOG_JSON} needs a file, or - for standard error")
    return left, target


def opened(target: str) -> TextIO:
    """The file of a log, to which lines are added; standard error for ``-``.

    Raises
    ------
    OSError
        It cannot be written.
    """
    if target == STDERR:
        return sys.stderr
    require_parent(LOG_JSON, Path(target))
    return Path(target).open("a", encoding="utf-8")


def logged(run: Callable[[], int], file: TextIO | None, arguments: Sequence[str]) -> int:
    """Exit code of a command, whose events go to `file` between ``start`` and ``end``.

    Parameters
    ----------
    run
        The command.
    file
        Where lines are written; it is closed at the end. ``None`` logs nothing.
    arguments
        Of the command, for the first line.
    """
    if file is None:
        return run()
    handler, logger, level = JsonLines(file), logging.getLogger("nimbus"), LOGGER.level
    logger.addHandler(handler)
    LOGGER.setLevel(logging.INFO)
    begin, outcome = time.monotonic(), "crash"
    tell("start", version=version("nimbus-spatial"), arguments=list(arguments))
    try:
        code = run()
        outcome = _OUTCOMES.get(code, "error")
        return code
    finally:
        tell("end", outcome=outcome, seconds=time.monotonic() - begin)
        LOGGER.setLevel(level)
        logger.removeHandler(handler)
        if file is not sys.stderr:
            file.close()


def _plain(value: Any) -> Any:
    """The same in types of JSON: paths and the like as text, numbers that are none as null."""
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value if isinstance(value, str | int | None) else str(value)
