"""The workers of a Dask cluster that share one task, and what was sent to them."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import dask.config
from dask.utils import parse_timedelta

from nimbus._check import listed

from .files import Contents, lacking, unpack

logger = logging.getLogger(__name__)

Item = TypeVar("Item")
Result = TypeVar("Result")

RETRIES = 3
"""How often a task is tried again: after an error, and after the cluster lost it."""

PATIENCE_SECONDS = 300.0
"""How long a run waits for a cluster without workers, or without a scheduler."""

TILE_TIMEOUT = "nimbus.tile-timeout"
"""Key of Dask's configuration: how long a task may take before another worker gets it, too."""

TILE_TIMEOUT_DEFAULT = "1 hour"

_LOOK_SECONDS = 2.0
"""How often a run that waits for a result looks whether there are workers."""


class ClusterError(ConnectionError):
    """A cluster that lost a task again and again, does not come back with it, or is gone."""


@dataclass(slots=True, eq=False)
class Sent:
    """An item, futures of its result on different workers, and how often it was lost.

    `since` is when the run began to wait for its last future; ``None`` before.
    """

    item: Any
    futures: list[Any]
    losses: int = 0
    since: float | None = None

    def result(self) -> Any:
        """The result of the first future that has one."""
        done = [one for one in self.futures if one.status in ("finished", "error")]
        return (done or self.futures)[0].result()

    @property
    def lost(self) -> bool:
        """Whether the cluster does not know one of its futures any more."""
        return any(one.status in ("cancelled", "lost") for one in self.futures)

    def cancel(self) -> None:
        """Let workers forget it."""
        for future in self.futures:
            future.cancel()


@dataclass(slots=True, eq=False)
class Crew:
    """The workers, what they share, and how many results may wait."""

    client: Any
    task: Callable[[Any], Any]
    files: tuple[str, ...]
    shared: Any = None
    contents: Any = None
    hanging: set[str] = field(default_factory=set)
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
        return self._on_a_worker(_call, self.shared, item, self.contents)

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
            found = self.client.run(lacking, self.files, on_error="ignore", workers=self.sound())
            paths = {path for of_worker in found.values() for path in of_worker}
            contents = {path: Path(path).read_bytes() for path in sorted(paths)}
            self.contents = self._kept(contents) if contents else None
        self.shared = self._kept(self.task)

    def _kept(self, value: Any) -> Any:
        """A future of `value`, which workers take from each other.

        It is the result of a task, not scattered: Dask makes it again when its holders die, and a
        worker that dies at this moment is no error.
        """
        pickle = sys.modules["distributed"].protocol.pickle
        return self._on_a_worker(pickle.loads, pickle.dumps(value))

    def _on_a_worker(self, function: Callable[..., Any], *values: Any) -> Any:
        """The future of a call, on a worker that has not been found hanging."""
        where = self.sound()
        return self.client.submit(function, *values, pure=False, retries=RETRIES, workers=where)

    def sound(self) -> list[str] | None:
        """Workers that were not found hanging; ``None`` for all, also where all hang."""
        if not self.hanging:
            return None
        return [name for name in self.client.nthreads() if name not in self.hanging] or None

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

    def done(self, sent: Sent) -> bool:
        """Whether a result or an error is there, after waiting a little."""
        if sent.since is None:
            sent.since = time.monotonic()
        try:
            sys.modules["distributed"].wait(
                sent.futures, timeout=_LOOK_SECONDS, return_when="FIRST_COMPLETED"
            )
        except self.lost:
            return True
        except TimeoutError:
            if not self.has_workers():
                self.wait_for_workers()
            elif time.monotonic() - sent.since > tile_timeout():
                self.send_elsewhere(sent)
            return False
        return True

    def send_elsewhere(self, sent: Sent) -> None:
        """Give an item to one more worker, with all that is shared: its holder may hang, too."""
        wanted = [*sent.futures, self.shared, *([self.contents] if self.contents else [])]
        keys = {future.key for future in wanted}
        held = self.client.processing().items()
        self.hanging |= {name for name, there in held if keys.intersection(there)}
        workers, seconds = listed(sorted(self.hanging)), tile_timeout()
        if len(sent.futures) > RETRIES:
            raise ClusterError(
                f"no result in {seconds:g} s in each of {len(sent.futures)} tries; workers that "
                f"hang: {workers}. Where a tile only takes long, allow more: "
                f"dask.config.set({{{TILE_TIMEOUT!r}: '6 hours'}})"
            )
        logger.warning(
            "no result in %g s from %s; %s is given to another worker", seconds, workers, sent.item
        )
        self.share()
        sent.futures.append(self.submit(sent.item))
        sent.since = time.monotonic()

    def forgive(self, sent: Sent) -> None:
        """Use workers again that only took long."""
        if self.hanging:
            done = [one for one in sent.futures if one.status == "finished"]
            for holders in self.client.who_has(done).values():
                self.hanging.difference_update(holders)

    def send_again(self, running: Iterable[Sent], error: Exception) -> None:
        """Send what the cluster lost, unless it did so too often."""
        lost = [sent for sent in running if sent.lost]
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
            sent.futures, sent.since = [self.submit(sent.item)], None


def tile_timeout() -> float:
    """Seconds that a task may take before another worker gets it, too.

    Examples
    --------
    >>> tile_timeout()
    3600.0
    """
    return float(parse_timedelta(dask.config.get(TILE_TIMEOUT, TILE_TIMEOUT_DEFAULT)))


def _call(task: Callable[[Item], Result], item: Item, contents: Contents | None) -> Result:
    if contents is not None:
        unpack(contents)
    return task(item)
