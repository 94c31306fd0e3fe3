"""Cells as rows of markers, read in spans that are the same however they are stored."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import issparse

from nimbus._check import require_whole
from nimbus._progress import with_progress
from nimbus._types import BoolArray, IntArray

from .blas import one_blas_thread

SPAN = 32_768
"""Rows that are read, and whose sums are taken, at once; spans begin at its multiples."""

Values = NDArray[np.float32]
Result = TypeVar("Result")


class Rows(ABC):
    """Cells of any number, ``(cell, marker)``.

    Spans of `SPAN` cells begin at fixed row numbers. What is summed within a span is summed in
    the order of the cells, and spans come back in their order; so threads, chunks and processes
    cannot change a sum.

    Parameters
    ----------
    array
        Two axes, all columns.
    columns
        Positions of the markers to take; ``None`` takes all.
    n_jobs
        Threads that work on spans; ``None`` takes one for each processor.
    """

    def __init__(
        self, array: Any, *, columns: Sequence[int] | None = None, n_jobs: int | None = None
    ) -> None:
        self.array = array
        self.columns = columns
        self.n_jobs = n_jobs

    def taking(self, columns: Sequence[int]) -> Self:
        """The same cells with some of all columns."""
        return type(self)(self.array, columns=columns, n_jobs=self.n_jobs)

    @property
    def shape(self) -> tuple[int, int]:
        """Number of cells and of markers."""
        n_rows, n_columns = self.array.shape
        return n_rows, n_columns if self.columns is None else len(self.columns)

    @abstractmethod
    def map(
        self,
        work: Callable[..., Result],
        kept: BoolArray | None = None,
        beside: IntArray | None = None,
    ) -> Iterator[Result]:
        """What `work` makes of each span, in order; matrix products stay on one thread.

        Parameters
        ----------
        work
            Takes contiguous float32, ``(cell, marker)``, which it must not change.
        kept
            Cells to hand to `work`, shape ``(cell,)``; spans without any are not read.
        beside
            A number for each cell, shape ``(cell,)``; `work` takes those of its cells as well.
        """


class ArrayRows(Rows):
    """Rows of an array in memory, or of anything that gives one for ``array[start:stop]``.

    Parameters
    ----------
    array
        NumPy, SciPy sparse, HDF5 or Zarr data sets.
    columns, n_jobs
        As in :class:`Rows`.

    Examples
    --------
    >>> rows = ArrayRows(np.array([[1.0, 2.0], [3.0, 4.0]]), columns=[1])
    >>> [part.sum() for part in rows.map(lambda values: values)]
    [np.float32(6.0)]
    """

    def map(
        self,
        work: Callable[..., Result],
        kept: BoolArray | None = None,
        beside: IntArray | None = None,
    ) -> Iterator[Result]:
        """What `work` makes of each span, on threads."""

        def task(span: tuple[int, int]) -> Result:
            part = None if kept is None else kept[slice(*span)]
            values = dense(self.array[slice(*span)], self.columns, part)
            return work(values, *numbers_of(span, beside, part))

        with one_blas_thread(), ThreadPoolExecutor(default_threads(self.n_jobs)) as pool:
            try:
                yield from pool.map(task, spans(self.shape[0], kept))
            finally:
                pool.shutdown(wait=True, cancel_futures=True)


def spans(n_rows: int, kept: BoolArray | None = None) -> list[tuple[int, int]]:
    """First and last row (exclusive) of each span that holds a kept row.

    Examples
    --------
    >>> spans(SPAN + 5)
    [(0, 32768), (32768, 32773)]
    """
    every = [(start, min(start + SPAN, n_rows)) for start in range(0, n_rows, SPAN)]
    return every if kept is None else [span for span in every if kept[slice(*span)].any()]


def numbers_of(
    span: tuple[int, int], beside: IntArray | None, kept: BoolArray | None
) -> tuple[IntArray, ...]:
    """The numbers of the kept cells of a span, if there are any.

    Examples
    --------
    >>> numbers_of((1, 3), np.array([5, 6, 7]), np.array([False, True]))
    (array([7]),)
    """
    if beside is None:
        return ()
    own = beside[slice(*span)]
    return (own if kept is None else own[kept],)


def dense(part: Any, columns: Sequence[int] | None = None, kept: BoolArray | None = None) -> Values:
    """Contiguous float32 of some rows and columns; the input itself where it is that already."""
    values = np.asarray(part.toarray() if issparse(part) else part)
    if columns is not None:
        values = values[:, columns]
    if kept is not None and not kept.all():
        values = values[kept]
    return np.ascontiguousarray(values, dtype=np.float32)


def complete(values: Values) -> BoolArray:
    """Cells without a missing or infinite value, shape ``(cell,)``."""
    with np.errstate(over="ignore", invalid="ignore"):
        nothing_missing = np.isfinite(values.sum())  # ten times as quick as looking at each
    if nothing_missing:
        return np.ones(len(values), dtype=bool)
    return np.asarray(np.isfinite(values).all(axis=1))


def gather(rows: Rows, kept: BoolArray | None, *, n_jobs: int | None = None) -> ArrayRows:
    """The kept rows in memory, as float32."""
    parts = list(
        with_progress(
            rows.map(_itself, kept),
            total=len(spans(rows.shape[0], kept)),
            description="sample",
            unit="spans",
            show=False,
            cells_of=len,
        )
    )
    values = np.concatenate(parts) if parts else np.zeros((0, rows.shape[1]), dtype=np.float32)
    return ArrayRows(values, n_jobs=n_jobs)


def default_threads(n_jobs: int | None) -> int:
    """Number of threads: as given, else one for each processor this process may use.

    Raises
    ------
    ValueError
        Fewer than one.
    """
    if n_jobs is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else _count()
    require_whole("n_jobs", n_jobs)
    if n_jobs < 1:
        raise ValueError(f"n_jobs must be at least 1, not {n_jobs}")
    return n_jobs


def _count() -> int:
    return os.cpu_count() or 1


def _itself(values: Values) -> Values:
    return values
