"""Tasks on a Dask cluster whose workers, scheduler and network may fail."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from .crew import Crew, Sent

Item = TypeVar("Item")
Result = TypeVar("Result")


def on_cluster(
    client: Any, task: Callable[[Item], Result], items: Iterable[Item], *, files: Sequence[str] = ()
) -> Iterator[tuple[Item, Result]]:
    """Each item with its result, in order; what the cluster loses is sent again.

    A worker that dies is no matter for this function: Dask gives its tasks to others, and after
    four dead workers calls the task deadly. What Dask does not mend is mended here: a scheduler
    that was started anew knows no task, and a worker that neither dies nor answers is left to
    itself: what it holds up is given to another, and the first result is taken.

    Parameters
    ----------
    client
        A :class:`distributed.Client`.
    task
        Sent to the workers once.
    items
        One for each call.
    files
        Paths that `task` reads. Workers that do not see one of them get its content, once.

    Raises
    ------
    ClusterError
        A task was lost more than `RETRIES` times, or not done on `RETRIES` + 1 workers in the time
        that Dask's configuration gives under `TILE_TIMEOUT`; or there was no worker for
        `PATIENCE_SECONDS`.
    Exception
        What a task raised `RETRIES` + 1 times. All have a note that names the item.
    """
    crew = Crew(client, task, tuple(files))
    left = iter(items)
    running: deque[Sent] = deque()
    try:
        while True:
            running.extend(map(crew.submit, islice(left, crew.room(len(running)))))
            if not running:
                return
            first = running[0]
            if not crew.first_ends(running):
                continue
            try:
                result = first.result()
            except crew.lost as error:
                crew.send_again(running, error)
                continue
            crew.forgive(running.popleft())
            yield first.item, result
    except Exception as error:
        if running:
            error.add_note(f"nimbus: this happened in {running[0].item}")
        raise
    finally:
        for sent in running:
            sent.cancel()
