"""What long work tells on its way: a bar for a person, and events as logging records.

An event is a record of the logger ``nimbus.progress`` with a mapping as its attribute ``event``.
Nobody has to listen; ``--log-json`` does, and so may a program of yours::

    logging.getLogger("nimbus.progress").setLevel(logging.INFO)
    logging.getLogger("nimbus.progress").addHandler(handler)  # record.event["done"] ...
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from tqdm.auto import tqdm

Result = TypeVar("Result")

LOGGER = logging.getLogger("nimbus.progress")

INTERVAL_S = 5.0
"""Seconds between two events of the same work; its first and its last result always tell."""

_WINDOW = 20
"""Results whose pace gives the time left: those that a resumed run finds are quick, and pass."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far some work has come.

    Parameters
    ----------
    work
        What is made, e.g. ``"scores"``.
    unit
        What is counted, e.g. ``"tiles"``.
    done, total
        How many of them.
    cells
        Cells in what is done; one that tiles cut counts in each. ``None`` where no cells are met.
    seconds
        Since the work began.
    per_second
        Units, of late.
    seconds_left
        At that pace; ``None`` before it is known.
    """

    work: str
    unit: str
    done: int
    total: int
    cells: int | None
    seconds: float
    per_second: float
    seconds_left: float | None


def tell(event: str, **values: Any) -> None:
    """Tell whoever listens that something happened.

    Examples
    --------
    >>> tell("result", cells=12)
    """
    if LOGGER.isEnabledFor(logging.INFO):
        LOGGER.info(event, extra={"event": {"event": event, **values}})


def with_progress(
    results: Iterable[Result],
    *,
    total: int,
    description: str,
    unit: str,
    show: bool,
    cells_of: Callable[[Result], int] | None = None,
) -> Iterator[Result]:
    """The same results, with a bar on standard error and events every few seconds.

    Parameters
    ----------
    results
        What is done, one after the other.
    total
        How many there will be.
    description, unit
        What is made, and what is counted.
    show
        Show the bar.
    cells_of
        Cells in one result; the bar and the events then count them.
    """
    cells = None if cells_of is None else 0
    begin = told = time.monotonic()
    lately = deque([begin], maxlen=_WINDOW)
    with tqdm(total=total, desc=description, unit=f" {unit}", disable=not show) as bar:
        for done, result in enumerate(results, start=1):
            yield result
            if cells_of is not None:
                cells = (cells or 0) + cells_of(result)
                bar.set_postfix_str(f"{cells} cells", refresh=False)
            bar.update()
            now = time.monotonic()
            lately.append(now)
            if done in (1, total) or now - told >= INTERVAL_S:
                told, pace = now, _pace(lately)
                left = (total - done) / pace if pace > 0 else None
                state = Progress(description, unit, done, total, cells, now - begin, pace, left)
                tell("progress", **asdict(state))


def _pace(times: deque[float]) -> float:
    """Results per second; 0 where no time has passed."""
    passed = times[-1] - times[0]
    return (len(times) - 1) / passed if passed > 0 else 0.0
