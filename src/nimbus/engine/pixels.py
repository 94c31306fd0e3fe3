"""Boxes of a lazy array at the cost of the chunks they touch.

Dask looks at every chunk of an array to find those that a slice needs: with 85,000 chunks (a slide
of 35 x 54490 x 45477) that takes a quarter of a second, longer than reading, for each tile and
channel. :func:`laid_out` spreads the graph out once; :func:`box_of` takes from it what a box needs.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import accumulate, product
from typing import Any

import dask.array as da
from dask.highlevelgraph import HighLevelGraph, MaterializedLayer
from dask.optimization import cull
from dask.task_spec import Alias, GraphNode

_PART = "nimbus-part"


def laid_out(array: da.Array) -> da.Array:
    """The same array, its graph as one table of tasks.

    Examples
    --------
    >>> array = laid_out(da.ones((4, 6), chunks=2) + 1)
    >>> array.chunks, float(array.sum())
    (((2, 2), (2, 2, 2)), 48.0)
    """
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
        For each axis a start and a stop inside the array.

    Examples
    --------
    >>> array = laid_out(da.arange(10, chunks=3))
    >>> box_of(array, (slice(5, 8),)).compute(scheduler="synchronous")
    array([5, 6, 7])
    """
    tasks = _table(array)
    if tasks is None or any(part.stop <= part.start for part in index):
        whole: da.Array = array[index]
        return whole
    spans = [_span(sizes, part) for sizes, part in zip(array.chunks, index, strict=True)]
    blocks = list(product(*(range(first, last) for first, last, _ in spans)))
    needed, _ = cull(tasks, [(array.name, *block) for block in blocks])
    starts = [first for first, _, _ in spans]
    for block in blocks:
        key = (_PART, *(b - first for b, first in zip(block, starts, strict=True)))
        needed[key] = _called(key, (array.name, *block), needed)
    chunks = tuple(
        sizes[first:last] for sizes, (first, last, _) in zip(array.chunks, spans, strict=True)
    )
    part = da.Array(needed, _PART, chunks, meta=array._meta)
    inside: da.Array = part[
        tuple(
            slice(own.start - offset, own.stop - offset)
            for own, (_, _, offset) in zip(index, spans, strict=True)
        )
    ]
    return inside


def _called(key: Any, name: Any, tasks: dict[Any, Any]) -> Any:
    """The task under another key; itself, no reference: slices then reach its reading."""
    task = tasks[name]
    return task.substitute({}, key=key) if isinstance(task, GraphNode) else Alias(key, name)


def _table(array: da.Array) -> dict[Any, Any] | None:
    """The tasks of an array that was laid out."""
    layer = array.dask.layers.get(array.name)
    alone = len(array.dask.layers) == 1 and isinstance(layer, MaterializedLayer)
    return layer.mapping if alone else None


def _span(sizes: tuple[int, ...], part: slice) -> tuple[int, int, int]:
    """First and last (exclusive) chunk of a part of an axis, and where the first begins."""
    ends = list(accumulate(sizes))
    first = bisect_right(ends, part.start)
    last = bisect_right(ends, part.stop - 1) + 1
    return first, last, ends[first] - sizes[first]
