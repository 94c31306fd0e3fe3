"""Planes of TIFF files as one Dask array, of which nothing is decoded before it is computed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import dask.array as da
import numpy as np

from nimbus._types import AnyArray

from ._decode import read_box
from ._pages import Page

_CHUNK = 1024
"""Wanted side of a chunk in pixels; chunks are whole strips or tiles."""


@dataclass(frozen=True, slots=True)
class Plane:
    """One sample of one page: a channel of an image."""

    page: Page
    sample: int = 0


def planes_of(page: Page) -> tuple[Plane, ...]:
    """All samples of a page."""
    return tuple(Plane(page, sample) for sample in range(page.n_samples))


@dataclass(frozen=True, slots=True, eq=False)
class PlaneStack:
    """Planes of one shape as an array-like with axes ``(c, y, x)`` that reads what is sliced.

    Parameters
    ----------
    planes
        At least one; where their types differ, values are read as the type that holds all.
    """

    planes: tuple[Plane, ...]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, rows, columns."""
        return (len(self.planes), *self.planes[0].page.shape)

    @property
    def ndim(self) -> int:
        """Always 3."""
        return 3

    @property
    def dtype(self) -> np.dtype[np.generic]:
        """The type that holds the values of all planes."""
        types = {plane.page.dtype for plane in self.planes}
        return np.result_type(*(np.dtype("uint8") if t.kind == "b" else t for t in types))

    def __dask_tokenize__(self) -> tuple[object, ...]:
        return ("nimbus.io.PlaneStack", *(_identity(plane) for plane in self.planes))

    def __getitem__(self, key: tuple[object, ...]) -> AnyArray:
        spans, rest = zip(*(_span(k, n) for k, n in zip(key, self.shape, strict=True)), strict=True)
        channels, rows, columns = spans
        runs = _runs(self.planes[channels.start : channels.stop])
        parts = [read_box(page, samples, rows, columns) for page, samples in runs]
        parts = parts or [np.empty((0, len(rows), len(columns)))]
        box = parts[0] if len(parts) == 1 else np.concatenate(parts)
        box = box.astype(self.dtype, copy=False)
        for axis in (2, 1, 0):  # from the last, since an integer removes its axis
            box = box[(slice(None),) * axis + (rest[axis],)]
        return box


def lazy_array(planes: Sequence[Plane], *, deep: int | None = None) -> da.Array:
    """Dask array of the planes, axes ``(c, y, x)``.

    Chunks are whole strips or tiles of the first plane, about 1024 pixels on a side, and one
    channel deep (all channels of a page that interleaves them). A page that is one compressed
    strip is one chunk.

    Parameters
    ----------
    planes
        Planes of one shape, at least one.
    deep
        Planes in a chunk, where the rule above does not fit.
    """
    stack = PlaneStack(tuple(planes))
    page = stack.planes[0].page
    if deep is None:
        deep = page.n_samples if page.interleaved else 1
    sides = (deep, *((_CHUNK, _CHUNK) if page.contiguous else _whole_segments(page)))
    chunks = tuple(min(side, length) for side, length in zip(sides, stack.shape, strict=True))
    meta = np.empty((0, 0, 0), dtype=stack.dtype)
    array: da.Array = da.from_array(stack, chunks=chunks, asarray=False, fancy=False, meta=meta)
    return array


def _whole_segments(page: Page) -> tuple[int, int]:
    """Sides of a chunk that cuts no strip or tile."""
    height, width = (part * max(1, _CHUNK // part) for part in page.segment)
    return height, width


def _identity(plane: Plane) -> tuple[object, ...]:
    """Differs when another plane is meant or the file was written again."""
    page = plane.page
    return page.path, page.stamp, page.n_bytes, page.offset, page.nth, plane.sample


def _span(key: object, length: int) -> tuple[range, object]:
    """The consecutive indices that hold all of `key`, and `key` counted from their first."""
    if isinstance(key, slice):
        wanted = range(*key.indices(length))
        if not wanted:
            return range(0), slice(None)
        start, stop = min(wanted), max(wanted) + 1
        if wanted.step == 1:
            return range(start, stop), slice(None)
        return range(start, stop), np.asarray(wanted) - start
    index = int(np.asarray(key).item())
    return range(index % length, index % length + 1), 0


def _runs(planes: Sequence[Plane]) -> Iterator[tuple[Page, range]]:
    """Consecutive samples of one page together, so that each of its segments is decoded once."""
    start = 0
    for stop in range(1, len(planes) + 1):
        last = planes[stop - 1]
        if stop < len(planes) and planes[stop] == Plane(last.page, last.sample + 1):
            continue
        yield last.page, range(planes[start].sample, last.sample + 1)
        start = stop
