"""Boxes of a lazy array at the cost of the chunks they touch.

Dask looks at every chunk of an array to find those that a slice needs: with 85,000 chunks (a slide
of 35 x 54490 x 45477) and channels picked from it that takes 0.1 s, longer than reading, for each
tile and channel. :func:`laid_out` spreads the graph out once; :func:`box_of` takes from it what a
box needs.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate, product
from typing import Any

import dask.array as da
from dask.highlevelgraph import HighLevelGraph, MaterializedLayer
from dask.optimization import cull
from dask.task_spec import Alias

_PART = "nimbus-part"


MANY = 1000
"""Chunks from which an array is laid out; below Dask is quick enough, and reads parts of chunks."""


def laid_out(array: da.Array, *, many: int = MANY) -> da.Array:
    """The same array, its graph as one table of tasks if it has so many chunks.

    Examples
    --------
    >>> array = laid_out(da.ones((4, 6), chunks=2) + 1, many=5)
    >>> array.chunks, float(array.sum())
    (((2, 2), (2, 2, 2)), 48.0)
    """
    if array.npartitions < many:
        return array
    tasks = array.dask.to_dict()
    graph = HighLevelGraph({array.name: MaterializedLayer(tasks)}, {array.name: set()})
    return da.Array(graph, array.name, array.chunks, meta=array._meta)


def box_of(array: da.Array, index: tuple[slice, ...]) -> da.Array:
    """``array[index]`` of an array that was laid out; looks at the chunks in the box alone.

    Parameters
    ----------
    array
        As :func:`laid_out` gives it; another is sliced as usual.
    index
        For each axis the part that is wanted, without steps.

    Examples
    --------
    >>> array = laid_out(da.arange(10, chunks=3), many=1)
    >>> box_of(array, (slice(5, 8),)).compute(scheduler="synchronous")
    array([5, 6, 7])
    """
    tasks = _table(array)
    ends = [part.indices(n)[:2] for part, n in zip(index, array.shape, strict=True)]
    if tasks is None or any(stop <= start for start, stop in ends):
        whole: da.Array = array[index]
        return whole
    spans = [_span(sizes, *own) for sizes, own in zip(array.chunks, ends, strict=True)]
    blocks = list(product(*(range(first, last) for first, last, _ in spans)))
    needed, _ = cull(tasks, [(array.name, *block) for block in blocks])
    starts = [first for first, _, _ in spans]
    for block in blocks:
        key = (_PART, *(b - first for b, first in zip(block, starts, strict=True)))
        needed[key] = Alias(key, (array.name, *block))  # type: ignore[arg-type]
    chunks = tuple(
        sizes[first:last] for sizes, (first, last, _) in zip(array.chunks, spans, strict=True)
    )
    part = da.Array(needed, _PART, chunks, meta=array._meta)
    inside: da.Array = part[
        tuple(
            slice(start - offset, stop - offset)
            for (start, stop), (_, _, offset) in zip(ends, spans, strict=True)
        )
    ]
    return inside


def _table(array: da.Array) -> dict[Any, Any] | None:
    """The tasks of an array that was laid out."""
    layer = array.dask.layers.get(array.name)
    alone = len(array.dask.layers) == 1 and isinstance(layer, MaterializedLayer)
    table: dict[Any, Any] | None = layer.mapping if alone else None
    return table


def _span(sizes: tuple[int, ...], start: int, stop: int) -> tuple[int, int, int]:
    """First and last (exclusive) chunk of a part of an axis, and where the first begins."""
    ends = list(accumulate(sizes))
    first = bisect_right(ends, start)
    last = bisect_right(ends, stop - 1) + 1
    return first, last, ends[first] - sizes[first]
