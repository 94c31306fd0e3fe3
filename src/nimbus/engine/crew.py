"""The workers of a Dask cluster that share one task, and what was sent to them."""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Iterable, Sequence
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

    `needs` are the futures of what all tasks share that the last try takes. `since` is when the run
    began to wait for its last future; ``None`` before.
    """

    item: Any
    futures: list[Any] = field(default_factory=list)
    needs: tuple[Any, ...] = ()
    losses: int = 0
    since: float | None = None

    @property
    def ended(self) -> list[Any]:
        """Futures that have a result, or an error."""
        return [one for one in self.futures if one.status in ("finished", "error")]

    def result(self) -> Any:
        """The result of the first future that has one."""
        return (self.ended or self.futures)[0].result()

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

    def submit(self, item: Any) -> Sent:
        """An item that a worker is to do."""
        if self.shared is None:
            self.share()
        sent = Sent(item)
        self._try(sent)
        return sent

    def _try(self, sent: Sent) -> None:
        """Give an item to a worker, to one more if it has some."""
        sent.futures.append(self._on_a_worker(_call, self.shared, sent.item, self.contents))
        sent.needs = (self.shared,) if self.contents is None else (self.shared, self.contents)
        sent.since = None

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

    def first_ends(self, running: Sequence[Sent]) -> bool:
        """Wait a little: whether the first has a result or an error. What hangs is sent again."""
        first = running[0]
        if first.since is None:
            first.since = time.monotonic()
        try:
            sys.modules["distributed"].wait(
                first.futures, timeout=_LOOK_SECONDS, return_when="FIRST_COMPLETED"
            )
        except self.lost:
            return True
        except TimeoutError:
            if not self.has_workers():
                self.wait_for_workers()
                first.since = None
            elif time.monotonic() - first.since > tile_timeout():
                self.send_elsewhere(running)
            return False
        return True

    def send_elsewhere(self, running: Sequence[Sent]) -> None:
        """Give the first item to one more worker, and all that the same workers hold up."""
        first, seconds = running[0], tile_timeout()
        held_up_by = self._held_up_by(running)
        self.hanging |= {name for name in held_up_by[:1] if name}
        workers = listed(sorted(self.hanging))
        if len(first.futures) > RETRIES:
            raise ClusterError(
                f"no result in {seconds:g} s in each of {len(first.futures)} tries; workers that "
                f"hang: {workers}. Where a tile only takes long, allow more: "
                f"dask.config.set({{{TILE_TIMEOUT!r}: '6 hours'}})"
            )
        others = [
            sent
            for sent, worker in zip(running, held_up_by, strict=True)
            if sent is not first and worker in self.hanging
            if not sent.ended and len(sent.futures) <= RETRIES
        ]
        logger.warning(
            "no result in %g s from %s; %s is given to another worker, and %d more that wait there",
            *(seconds, workers, first.item, len(others)),
        )
        self.share()
        for sent in (first, *others):
            self._try(sent)

    def _held_up_by(self, running: Sequence[Sent]) -> list[str | None]:
        """The worker that the last try of each waits for; ``None`` where the cluster does not say.

        It is the one that has the task, unless this one still lacks what all tasks share. Then it
        may as well be one that should give it this: of these the one that was not seen for longest.
        """
        at = {key: name for name, keys in self.client.processing().items() for key in keys}
        needs = {future.key: future for sent in running for future in sent.needs}
        holders = self.client.who_has([*needs.values()])
        seen = self.client.scheduler_info(n_workers=-1)["workers"]

        def of_one(sent: Sent) -> str | None:
            worker = at.get(sent.futures[-1].key)
            waiting_for = {worker}
            for need in sent.needs:
                if worker not in holders.get(need.key, ()):
                    waiting_for.update(holders.get(need.key, ()), [at.get(need.key)])
            known = [name for name in waiting_for if name in seen]
            return min(known, key=lambda name: seen[name]["last_seen"], default=None)

        return [of_one(sent) for sent in running]

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
            sent.futures.clear()
            self._try(sent)


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
