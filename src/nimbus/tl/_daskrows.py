"""Cells of a Dask array, in the spans of :mod:`nimbus.cluster.rows`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

from dask.base import compute
from dask.delayed import delayed

from nimbus._types import BoolArray, IntArray
from nimbus.cluster.blas import one_blas_thread
from nimbus.cluster.rows import Result, Rows, default_threads, dense, numbers_of, spans
from nimbus.engine.run import active_client

AT_ONCE = 64
"""Spans computed together, so that what waits for its turn does not grow with the cells."""


class DaskRows(Rows):
    """Rows of a Dask array, read chunk by chunk.

    Spans that cross chunks are put together from slices of them. An active
    :class:`distributed.Client` computes them on its workers; otherwise threads do.

    Parameters
    ----------
    array
        ``(cell, marker)``, chunked in any way; chunks may be SciPy sparse.
    columns
        As in :class:`nimbus.cluster.rows.Rows`.
    n_jobs
        Threads where there is no client; ``None`` takes one for each processor.

    Examples
    --------
    >>> import dask.array as da
    >>> rows = DaskRows(da.ones((5, 2), chunks=(2, 1)), n_jobs=1)
    >>> [part.shape for part in rows.map(lambda values: values)]
    [(5, 2)]
    """

    def map(
        self,
        work: Callable[..., Result],
        kept: BoolArray | None = None,
        beside: IntArray | None = None,
    ) -> Iterator[Result]:
        """What `work` makes of each span."""
        every = spans(self.shape[0], kept)
        for start in range(0, len(every), AT_ONCE):
            tasks = [self._task(work, one, kept, beside) for one in every[start : start + AT_ONCE]]
            yield from self._computed(tasks)

    def _task(
        self,
        work: Callable[..., Result],
        span: tuple[int, int],
        kept: BoolArray | None,
        beside: IntArray | None,
    ) -> Any:
        """One span, not yet computed."""
        pieces = self.array[slice(*span)].rechunk(-1, method="tasks").to_delayed().ravel()
        part = None if kept is None else kept[slice(*span)]
        numbers = numbers_of(span, beside, part)
        return delayed(_call, pure=False)(work, pieces[0], self.columns, part, numbers)

    def _computed(self, tasks: Sequence[Any]) -> Sequence[Any]:
        if active_client() is not None:
            found: Sequence[Any] = compute(*tasks)
            return found
        with one_blas_thread():
            found = compute(*tasks, scheduler="threads", num_workers=default_threads(self.n_jobs))
        return found


def _call(
    work: Callable[..., Result],
    part: Any,
    columns: Sequence[int] | None,
    kept: BoolArray | None,
    numbers: tuple[IntArray, ...],
) -> Result:
    with one_blas_thread():
        return work(dense(part, columns, kept), *numbers)
