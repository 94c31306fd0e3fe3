"""Work on strips of an image, each on one thread.

Small operations on a strip that stays in a core's cache are quicker on one thread than spread over
all; so the threads share the strips, not the operations.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import local

import torch
from torch import Tensor


class Scratch(local):
    """Memory of one thread for what lives no longer than a strip; grows, and holds zeros first."""

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


@dataclass(frozen=True)
class Workers:
    """Threads that take strips from a list.

    Parameters
    ----------
    n_threads
        How many.
    scratch
        Memory that each of them has for itself.
    pool
        Where they wait; None does the work in the caller.
    """

    n_threads: int = 1
    scratch: Scratch = field(default_factory=Scratch)
    pool: ThreadPoolExecutor | None = None

    def each_strip(self, work: Callable[[int, int], None], n_rows: int, strip: int) -> None:
        """Call ``work(start, stop)`` for strips of at most `strip` of `n_rows` rows.

        Strips are made smaller where there would be fewer of them than threads.
        """
        strip = max(1, min(strip, -(-n_rows // self.n_threads)))
        starts = range(0, n_rows, strip)
        stops = [min(start + strip, n_rows) for start in starts]
        if self.pool is None:
            for start, stop in zip(starts, stops, strict=True):
                work(start, stop)
            return

        def quiet(start: int, stop: int) -> None:
            with torch.inference_mode():  # which each thread enters for itself
                work(start, stop)

        for _ in self.pool.map(quiet, starts, stops):
            pass


@contextmanager
def workers() -> Iterator[Workers]:
    """As many threads as PyTorch is allowed (:func:`torch.get_num_threads`), for one pass."""
    n_threads = torch.get_num_threads()
    if n_threads == 1:
        yield Workers()
        return
    # Setting the number in a thread holds for its own operations, and for threads that start
    # later; so it is set back at the end.
    pool = ThreadPoolExecutor(n_threads, initializer=torch.set_num_threads, initargs=(1,))
    try:
        with pool:
            yield Workers(n_threads, Scratch(), pool)
    finally:
        torch.set_num_threads(n_threads)
