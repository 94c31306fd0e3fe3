"""Values made ahead of their use, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def prefetched(make: Callable[[int], T], numbers: Iterable[int], *, n_ahead: int) -> Iterator[T]:
    """``make(number)`` of each number, at most `n_ahead` of them made ahead by threads.

    What comes out, and its order, does not depend on `n_ahead`; an error of `make` is raised where
    its value would have come.

    Parameters
    ----------
    make
        Called with one number; must not depend on the order of the calls.
    numbers
        Read as far as is made ahead.
    n_ahead
        0: each value is made when it is asked for, by the caller's thread.

    Examples
    --------
    >>> list(prefetched(lambda k: 10 * k, range(4), n_ahead=2))
    [0, 10, 20, 30]
    """
    if n_ahead == 0:
        yield from map(make, numbers)
        return
    waiting: deque[Future[T]] = deque()
    with ThreadPoolExecutor(min(n_ahead, 2), thread_name_prefix="nimbus-batches") as pool:
        try:
            for number in numbers:
                waiting.append(pool.submit(make, number))
                if len(waiting) > n_ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
