"""Keeps what a person did: at once, then behind the page, and says which of both is done."""

from __future__ import annotations

import logging
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeAlias, TypeVar

logger = logging.getLogger("nimbus")

PAUSE_S = 0.6
"""The table is written when nothing was done for so long: the page answers first."""

Listener: TypeAlias = Callable[[], None]
Work = TypeVar("Work")
"""What is kept: an edit of metaclusters, or labels."""


class Keeper(ABC, Generic[Work]):
    """Keeps work where it is safe."""

    @abstractmethod
    def keep(self, work: Work) -> None:
        """Keep it; it is safe when this returns.

        Raises
        ------
        OSError
            It could not be written; what was kept before still is.
        """

    @abstractmethod
    def settle(self) -> str:
        """Bring the table on disk up to date; tells what was done, in words."""


@dataclass(frozen=True, slots=True)
class Status:
    """Where the work is.

    Parameters
    ----------
    kind
        ``"saved"``: in the table; ``"saving"``: safe on disk, the table follows; ``"failed"``:
        not on disk.
    text
        The same in words.
    """

    kind: Literal["saved", "saving", "failed"]
    text: str


@dataclass(slots=True, eq=False)
class Saving(Generic[Work]):
    """Status of what was done on a page, and who wants to know it.

    Parameters
    ----------
    keeper
        Keeps it at once, and brings the table up to date in a thread of its own.
    advice
        What to do where it cannot be kept, for the status.
    """

    keeper: Keeper[Work]
    advice: str
    status: Status = Status("saved", "no edits yet")
    _listeners: list[Listener] = field(default_factory=list)
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    _pending: Future[None] | None = None
    _kept: int = 0
    _unsafe: bool = False  # the last work could not be kept
    _behind: bool = False  # the table could not be brought up to date
    _asked: int = 0
    _hurry: threading.Event = field(default_factory=threading.Event)

    def listen(self, listener: Listener) -> None:
        """Call `listener` after every change of what is kept or of the status."""
        self._listeners.append(listener)

    def leave(self, listener: Listener) -> None:
        """No longer call it."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def keep(self, work: Work) -> None:
        """Keep work before anybody is told, and bring the table up to date a moment later.

        Where it cannot be kept, the status says so.
        """
        self._kept += 1
        try:
            self.keeper.keep(work)
        except OSError as error:
            logger.warning("edits are not on disk: %s", error)
            self._unsafe = True
            self.status = Status("failed", f"NOT SAVED: {error}. {self.advice}")
        else:
            self._unsafe = False
            self.status = Status("saving", f"saved at {_now()}; the table follows")
            self._settle_soon()
        self._tell()

    def finish(self) -> Status:
        """Bring the table up to date, also where that failed before; gives the status."""
        self._hurry.set()
        if self._pending is not None:
            self._pending.result()
        if self._behind:
            self._settle(self._asked)
        return self.status

    def _settle_soon(self) -> None:
        self._asked += 1
        self._hurry.clear()
        self._pending = self._pool.submit(self._settle, self._asked)

    def _settle(self, asked: int) -> None:
        self._hurry.wait(PAUSE_S)
        if asked != self._asked:
            return  # the one that was asked for later does its work
        kept = self._kept
        try:
            where = self.keeper.settle()
        except (OSError, ValueError) as error:
            logger.warning("the table is not up to date: %s", error)
            self._behind = True
            told = Status("failed", f"The table is not up to date: {error}")
        else:
            self._behind = False
            told = Status("saved", f"saved at {_now()} {where}")
        if kept == self._kept and not self._unsafe:
            self.status = told
        self._tell()

    def _tell(self) -> None:
        for listener in list(self._listeners):
            listener()


def _now() -> str:
    return time.strftime("%H:%M:%S")
