"""Boxes of lazy arrays, at the cost of the chunks they touch."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from dask.delayed import delayed

from nimbus.engine.pixels import box_of, laid_out


class Store:
    """An array that tells what was read of it."""

    def __init__(self, values):
        self.values, self.shape, self.dtype, self.ndim = values, values.shape, values.dtype, 3
        self.read = []

    def __getitem__(self, index):
        part = self.values[index]
        self.read.append(part.shape)
        return part


def pixels():
    values = np.random.default_rng(0).integers(0, 1000, (3, 11, 14))
    values.flags.writeable = False
    return values


def chains(values):
    """The same pixels, made in different ways."""
    stored = da.from_array(Store(values), chunks=(1, 4, 5), meta=np.empty((0, 0, 0), int))
    files = [da.from_delayed(delayed(v), v.shape, v.dtype) for v in np.split(values, [6], axis=1)]
    return {
        "stored": stored,
        "in memory": da.from_array(values, chunks=(2, 11, 3)),
        "calculated": (stored * 2 + 1) // 2,
        "picked": da.concatenate([stored[[2]], stored[[0, 1]]])[[1, 2, 0]],
        "rechunked": stored.rechunk((3, 5, 14)),
        "split": da.from_array(values, chunks=-1).rechunk((1, 6, 7)),
        "from files": da.concatenate(files, axis=1),
    }


@pytest.mark.parametrize("kind", list(chains(pixels())))
def test_a_box_is_what_slicing_gives(kind):
    values = pixels()
    array = laid_out(chains(values)[kind], many=1)
    rng = np.random.default_rng(1)
    for _ in range(8):
        ends = [np.sort(rng.choice(n + 1, 2, replace=False)) for n in values.shape]
        index = tuple(slice(int(start), int(stop)) for start, stop in ends)
        found = box_of(array, index).compute(scheduler="synchronous")
        np.testing.assert_array_equal(found, values[index])
    nothing = (slice(0, 3), slice(4, 4), slice(0, 14))
    assert box_of(array, nothing).compute(scheduler="synchronous").shape == (3, 0, 14)


def test_an_array_that_was_not_laid_out_is_sliced_as_usual():
    values = pixels()
    array = da.from_array(values, chunks=4) + 1
    index = (slice(1, 2), slice(3, 9), slice(0, 5))
    np.testing.assert_array_equal(box_of(array, index).compute(), values[index] + 1)


def test_few_chunks_are_left_as_they_are():
    array = da.zeros((4, 4), chunks=2)
    assert laid_out(array, many=5) is array
    assert laid_out(array, many=4) is not array


def test_only_the_chunks_of_the_box_are_looked_at_and_read():
    store = Store(np.zeros((1, 400, 400), dtype=np.uint8))
    every = da.from_array(store, chunks=(1, 4, 4), meta=np.empty((0, 0, 0), "u1"))
    index = (slice(0, 1), slice(7, 9), slice(100, 104))
    part = box_of(laid_out(every), index)
    assert len(every.dask.to_dict()) > 10_000, "proves nothing: there are few chunks"
    assert len(part.dask.to_dict()) < 12
    store.read.clear()
    part.compute(scheduler="synchronous")
    assert sorted(store.read) == [(1, 4, 4), (1, 4, 4)]
