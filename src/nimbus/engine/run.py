"""Runs tasks and gives their results in order: on threads, or on an active Dask cluster."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar

from nimbus._check import require_whole

from .clusters import on_cluster

Item = TypeVar("Item")
Result = TypeVar("Result")


def default_jobs(n_jobs: int | None) -> int:
    """Number of threads: as given, else up to four, so that reading keeps ahead of the device.

    Raises
    ------
    ValueError
        Fewer than one.
    """
    if n_jobs is None:
        return min(4, os.cpu_count() or 1)
    require_whole("n_jobs", n_jobs)
    if n_jobs < 1:
        raise ValueError(f"n_jobs must be at least 1, not {n_jobs}")
    return n_jobs


def run_ordered(
    task: Callable[[Item], Result], items: Sequence[Item], *, n_jobs: int, files: Sequence[str] = ()
) -> Iterator[tuple[Item, Result]]:
    """Each item with its result, in the order of `items`, whichever finished first.

    An active :class:`distributed.Client` runs the tasks; otherwise `n_jobs` threads do. At most
    ``2 * n_jobs`` results wait at a time, so that memory does not grow with the number of items.
    A cluster gets the content of those of `files` that its workers lack.

    Raises
    ------
    Exception
        What the first failing task raised, with a note that names the item.

    Examples
    --------
    >>> [result for _, result in run_ordered(abs, [-1, 2, -3], n_jobs=2)]
    [1, 2, 3]
    """
    client = active_client()
    if client is not None:
        yield from on_cluster(client, task, items, files=files)
    else:
        yield from _on_threads(task, items, n_jobs)


def active_client() -> Any | None:
    """The active :class:`distributed.Client`, or ``None`` where there is none."""
    # Nobody can have made a client before the library was imported, and that takes a second.
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return None
    try:
        return distributed.get_client()
    except ValueError:  # "No global client found"
        return None


def _on_threads(
    task: Callable[[Item], Result], items: Iterable[Item], n_jobs: int
) -> Iterator[tuple[Item, Result]]:
    with ThreadPoolExecutor(n_jobs, thread_name_prefix="nimbus") as pool:
        try:
            yield from _in_window(lambda item: pool.submit(task, item), items, 2 * n_jobs)
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _in_window(
    submit: Callable[[Item], Future[Result]], items: Iterable[Item], size: int
) -> Iterator[tuple[Item, Result]]:
    """Results in order while at most `size` tasks are under way."""
    left = iter(items)
    running = deque((item, submit(item)) for item in islice(left, size))
    while running:
        item, future = running.popleft()
        try:
            result = future.result()
        except Exception as error:
            error.add_note(f"nimbus: this happened in {item}")
            for _, waiting in running:
                waiting.cancel()
            raise
        running.extend((following, submit(following)) for following in islice(left, 1))
        yield item, result
