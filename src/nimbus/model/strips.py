"""Work on strips of an image, each on one thread, in memory that is kept.

Small operations on a strip that stays in a core's cache are quicker on one thread than spread over
all; so the threads share the strips, not the operations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from threading import Lock
from typing import TypeAlias

import torch
from torch import Tensor


class Scratch:
    """Blocks of memory by name, each used for one thing after the other.

    A block grows, and holds zeros first.
    """

    def __init__(self) -> None:
        self._blocks: dict[str, Tensor] = {}
        self._views: dict[tuple[str, tuple[int, ...]], Tensor] = {}

    def take(self, name: str, *shape: int) -> Tensor:
        """Block `name` in this shape; its content is what the last taker left."""
        view = self._views.get((name, shape))
        return self._new_view(name, shape) if view is None else view

    def _new_view(self, name: str, shape: tuple[int, ...]) -> Tensor:
        size = math.prod(shape)
        block = self._blocks.get(name)
        if block is None or block.numel() < size:
            block = self._blocks[name] = torch.zeros(size)
            self._views = {key: view for key, view in self._views.items() if key[0] != name}
        view = self._views[name, shape] = block[:size].view(shape)
        return view


class Workspace:
    """Memory that networks keep between calls.

    Attributes
    ----------
    images
        For what lives as long as a call.
    """

    def __init__(self) -> None:
        self.images = Scratch()
        self._of_threads: list[Scratch] = []
        self._lock = Lock()

    @contextmanager
    def workers(self) -> Iterator[Workers]:
        """Threads for one call; others wait meanwhile."""
        with self._lock, workers(self._of_threads) as work:
            yield work


StripWork: TypeAlias = Callable[[int, int, Scratch], None]
"""Does the rows from start to stop, with memory that nobody else uses meanwhile."""


@dataclass(frozen=True)
class Workers:
    """Threads that take strips from a list.

    Parameters
    ----------
    free
        One scratch memory for each thread, while it does nothing.
    n_threads
        How many threads there are, with the caller.
    helpers
        The threads besides the caller; None where it is alone.
    """

    free: SimpleQueue[Scratch]
    n_threads: int = 1
    helpers: ThreadPoolExecutor | None = None

    def each_strip(self, work: StripWork, n_rows: int, strip: int) -> None:
        """Call ``work(start, stop, scratch)`` for strips of at most `strip` of `n_rows` rows.

        Strips are made smaller where there would be fewer of them than threads.
        """
        strip = max(1, min(strip, -(-n_rows // self.n_threads)))
        starts = range(0, n_rows, strip)
        self.share(work, [(start, min(start + strip, n_rows)) for start in starts])

    def share(self, work: StripWork, parts: Iterable[tuple[int, int]]) -> None:
        """Call ``work(start, stop, scratch)`` for each of these parts."""
        todo: SimpleQueue[tuple[int, int] | None] = SimpleQueue()
        for part in parts:
            todo.put(part)
        for _ in range(self.n_threads):
            todo.put(None)

        def take_strips() -> None:
            scratch = self.free.get()
            try:
                with torch.inference_mode():  # which each thread enters for itself
                    for start, stop in iter(todo.get, None):
                        work(start, stop, scratch)
            finally:
                self.free.put(scratch)

        if self.helpers is None:
            take_strips()
            return
        helping = [self.helpers.submit(take_strips) for _ in range(self.n_threads - 1)]
        take_strips()
        for help_ in helping:
            if not help_.cancel():  # who has not begun by now is not waited for
                help_.result()


@contextmanager
def workers(kept: list[Scratch] | None = None) -> Iterator[Workers]:
    """As many threads as PyTorch is allowed (:func:`torch.get_num_threads`), for one pass.

    Parameters
    ----------
    kept
        Scratch memory of earlier passes; it grows by what is missing.
    """
    n_threads = torch.get_num_threads()
    kept = [] if kept is None else kept
    kept.extend(Scratch() for _ in range(n_threads - len(kept)))
    free: SimpleQueue[Scratch] = SimpleQueue()
    for scratch in kept[:n_threads]:
        free.put(scratch)
    if n_threads == 1:
        yield Workers(free)
        return
    # Setting the number in a thread holds for its own operations, and for threads that start
    # later; so it is set back at the end.
    helpers = ThreadPoolExecutor(n_threads - 1, initializer=torch.set_num_threads, initargs=(1,))
    try:
        torch.set_num_threads(1)
        with helpers:
            yield Workers(free, n_threads, helpers)
    finally:
        torch.set_num_threads(n_threads)
