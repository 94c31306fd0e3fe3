"""Channels are read in groups of whole chunks."""

from __future__ import annotations

from collections import Counter

import dask.array as da
import numpy as np
import pytest

from nimbus.core.boxes import Box
from nimbus.core.grid import same_grid
from nimbus.engine.source import FieldSource

N_CHANNELS, SIDE = 11, 6
WHOLE = Box(0, SIDE, 0, SIDE)


class Store:
    """Channels in chunks, which counts how often each chunk is read."""

    def __init__(self, values, n_together):
        self.values, self.n_together, self.reads = values, n_together, Counter()
        self.shape, self.dtype, self.ndim = values.shape, values.dtype, 3

    def __getitem__(self, index):
        channels, *_ = index
        touched = np.arange(self.shape[0])[channels] // self.n_together
        self.reads.update(set(touched.tolist()))
        return self.values[index]


def values():
    drawn = np.random.default_rng(0).integers(1, 1000, (N_CHANNELS, SIDE, SIDE))
    drawn.flags.writeable = False
    return drawn


def source_of(image):
    return FieldSource(
        "image", "labels", image, da.ones((SIDE, SIDE), dtype=np.int32, chunks=-1),
        same_grid((SIDE, SIDE), factor=1.0), tuple(f"m{k}" for k in range(N_CHANNELS)),
        np.ones(N_CHANNELS),
    )  # fmt: skip


@pytest.mark.parametrize("n_together", [1, 2, 4, 11])
@pytest.mark.parametrize("at_least", [1, 3, 5, 9, 40])
def test_each_chunk_is_read_once_whatever_the_device_takes_together(n_together, at_least):
    store = Store(values(), n_together)
    source = source_of(da.from_array(store, chunks=(n_together, SIDE, SIDE)))

    groups = list(source.channel_groups(at_least))

    read = np.concatenate([source.read_image(group, WHOLE) for group in groups])
    np.testing.assert_array_equal(read, store.values)
    assert set(store.reads.values()) == {1}
    assert all(group.stop - group.start >= at_least for group in groups[:-1])
    assert all(group.stop - group.start < at_least + n_together for group in groups)


def test_groups_that_cut_chunks_would_read_them_twice():
    store = Store(values(), 4)
    source = source_of(da.from_array(store, chunks=(4, SIDE, SIDE)))
    for cut in (slice(0, 5), slice(5, 10), slice(10, 11)):
        source.read_image(cut, WHOLE)
    assert store.reads == {0: 1, 1: 2, 2: 2}, "the test above proves nothing"


def test_chunks_of_different_size_stay_whole_and_empty_ones_make_no_group():
    image = da.from_array(values(), chunks=((2, 5, 3, 1), SIDE, SIDE))
    groups = list(source_of(image).channel_groups(3))
    assert groups == [slice(0, 7), slice(7, 10), slice(10, 11)]
    with_empty = da.concatenate([image[:0], image, image[:0]])
    assert list(source_of(with_empty).channel_groups(3)) == groups
