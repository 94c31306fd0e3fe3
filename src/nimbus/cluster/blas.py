"""Matrix products that give the same bits however many threads there are."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from threadpoolctl import ThreadpoolController


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keep matrix products on the calling thread while the block runs.

    A product that is split over threads is summed in another order than one that is not. The limit
    belongs to the whole process: the first block that is entered sets it, the last one that is
    left takes it away, so blocks may overlap on several threads.

    Examples
    --------
    >>> with one_blas_thread():
    ...     pass
    """
    guard = _guard()
    guard.enter()
    try:
        yield
    finally:
        guard.leave()


@dataclass(slots=True)
class _Guard:
    """Counts the blocks that are under way."""

    controller: ThreadpoolController
    lock: threading.Lock = field(default_factory=threading.Lock)
    n_inside: int = 0
    limit: Any = None

    def enter(self) -> None:
        with self.lock:
            if self.n_inside == 0:
                self.limit = self.controller.limit(limits=1, user_api="blas")
            self.n_inside += 1

    def leave(self) -> None:
        with self.lock:
            self.n_inside -= 1
            if self.n_inside == 0:
                self.limit.restore_original_limits()


@cache
def _guard() -> _Guard:
    """The one of this process; looking for the libraries takes milliseconds."""
    return _Guard(ThreadpoolController())
