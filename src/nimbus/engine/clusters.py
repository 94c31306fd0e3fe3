"""Tasks on a Dask cluster whose workers, scheduler and network may fail."""

from __future__ import annotations

import logging
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

from .files import Contents, lacking, unpack

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

RETRIES = 3
"""How often a task is tried again: after an error, and after the cluster lost it."""

PATIENCE_SECONDS = 300.0
"""How long a run waits for a cluster without workers, or without a scheduler."""

_LOOK_SECONDS = 2.0
"""How often a run that waits for a result looks whether there are workers."""


class ClusterError(ConnectionError):
    """A cluster that lost a task again and again, or is gone."""


def on_cluster(
    client: Any, task: Callable[[Item], Result], items: Iterable[Item], *, files: Sequence[str] = ()
) -> Iterator[tuple[Item, Result]]:
    """Each item with its result, in order; what the cluster loses is sent again.

    A worker that dies is no matter for this function: Dask gives its tasks to others, and after
    four dead workers calls the task deadly. What Dask does not mend is mended here: a scheduler
    that was started anew knows no task.

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
        A task was lost more than `RETRIES` times; or there was no worker for `PATIENCE_SECONDS`.
    Exception
        What a task raised `RETRIES` + 1 times. All have a note that names the item.
    """
    crew = _Crew(client, task, tuple(files))
    left = iter(items)
    running: deque[_Sent] = deque()
    try:
        while True:
            running.extend(
                _Sent(item, crew.submit(item)) for item in islice(left, crew.room(len(running)))
            )
            if not running:
                return
            first = running[0]
            if not crew.done(first):
                continue
            try:
                result = first.future.result()
            except crew.lost as error:
                crew.send_again(running, error)
                continue
            running.popleft()
            yield first.item, result
    except Exception as error:
        if running:
            error.add_note(f"nimbus: this happened in {running[0].item}")
        raise
    finally:
        for sent in running:
            sent.future.cancel()


@dataclass(slots=True, eq=False)
class _Sent:
    """An item, the future of its result, and how often it was lost."""

    item: Any
    future: Any
    losses: int = 0


@dataclass(slots=True, eq=False)
class _Crew:
    """The workers, what they share, and how many results may wait."""

    client: Any
    task: Callable[[Any], Any]
    files: tuple[str, ...]
    shared: Any = None
    contents: Any = None
    size: int = 0
    looked: float = float("-inf")

    @property
    def lost(self) -> tuple[type[Exception], ...]:
        """Errors that say that a task is gone, not that it failed."""
        distributed = sys.modules["distributed"]
        return distributed.CancelledError, distributed.comm.CommClosedError

    def submit(self, item: Any) -> Any:
        """The future of an item's result."""
        if self.shared is None:
            self.share()
        return self.client.submit(
            _call, self.shared, item, self.contents, pure=False, retries=RETRIES
        )

    def room(self, n_running: int) -> int:
        """How many more may run: twice the threads, so that none has to wait for its next."""
        if time.monotonic() - self.looked > _LOOK_SECONDS:
            threads = self.client.nthreads()
            self.size = max(4 * len(threads), 2 * sum(threads.values()), 1)
            self.looked = time.monotonic()
        return max(0, self.size - n_running)

    def share(self) -> None:
        """Send the task to the workers, and the files that some of them lack."""
        self.wait_for_workers()
        if self.files:
            found = self.client.run(lacking, self.files, on_error="ignore")
            paths = {path for of_worker in found.values() for path in of_worker}
            contents = {path: Path(path).read_bytes() for path in sorted(paths)}
            self.contents = self._on_a_worker(contents) if contents else None
        self.shared = self._on_a_worker(self.task)

    def _on_a_worker(self, value: Any) -> Any:
        """A future of `value`, which workers take from each other.

        It is the result of a task, not scattered: Dask makes it again when its holders die, and a
        worker that dies at this moment is no error.
        """
        pickle = sys.modules["distributed"].protocol.pickle
        return self.client.submit(pickle.loads, pickle.dumps(value), pure=False, retries=RETRIES)

    def wait_for_workers(self) -> None:
        """Return when there is a worker."""
        end = time.monotonic() + PATIENCE_SECONDS
        while not self.has_workers():
            if self.client.status in ("closed", "closing") or time.monotonic() > end:
                raise ClusterError(
                    f"the cluster of {self.client} has no worker, or its scheduler is gone; "
                    "finished tiles are in the resume folder, if there is one: call again with it "
                    "when the cluster is back"
                )
            time.sleep(0.2)

    def has_workers(self) -> bool:
        """Whether scheduler and a worker can be reached."""
        if self.client.status != "running":
            return False
        try:
            return bool(self.client.nthreads())
        except OSError:
            return False

    def done(self, sent: _Sent) -> bool:
        """Whether a result or an error is there, after waiting a little."""
        try:
            sys.modules["distributed"].wait(sent.future, timeout=_LOOK_SECONDS)
        except self.lost:
            return True
        except TimeoutError:
            if not self.has_workers():
                self.wait_for_workers()
            return False
        return True

    def send_again(self, running: Iterable[_Sent], error: Exception) -> None:
        """Send what the cluster lost, unless it did so too often."""
        lost = [sent for sent in running if sent.future.status in ("cancelled", "lost")]
        for sent in lost:
            sent.losses += 1
            if sent.losses > RETRIES:
                raise ClusterError(
                    f"the cluster lost a task {sent.losses} times ({error}); the logs of scheduler "
                    "and workers say why"
                ) from error
        logger.warning("the cluster lost %d tasks (%s); they are sent again", len(lost), error)
        self.share()
        for sent in lost:
            sent.future = self.submit(sent.item)


def _call(task: Callable[[Item], Result], item: Item, contents: Contents | None) -> Result:
    if contents is not None:
        unpack(contents)
    return task(item)
