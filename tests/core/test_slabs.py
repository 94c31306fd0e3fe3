"""Small arrays that lie side by side in few pieces of memory, and then of files."""

from __future__ import annotations

import errno
import gc
import os
import tempfile
import weakref

import numpy as np
import pytest

from nimbus.core import slabs as module
from nimbus.core.slabs import IN_MEMORY, LARGEST_SLAB, FileSlab, MemorySlab, Slabs


@pytest.fixture
def soon_in_files(monkeypatch):
    monkeypatch.setattr(module, "IN_MEMORY", 2**16)
    monkeypatch.setattr(module, "FILE_SLAB", 2**17)


def many(n=200):
    rng = np.random.default_rng(0)
    kinds = (np.uint16, np.uint32, np.float32, np.float64)
    return [(rng.random((rng.integers(0, 900), 3)) * 1e4).astype(kinds[i % 4]) for i in range(n)]


def test_many_small_arrays_lie_in_few_large_ones():
    slabs, rng = Slabs(), np.random.default_rng(0)
    given = [rng.random((n, 3)).astype(t) for n in (5, 0, 7, 4000, 1) for t in (np.float32, float)]
    kept = [slabs.kept(one) for one in given]
    for one, copy in zip(given, kept, strict=True):
        np.testing.assert_array_equal(copy, one)
        assert copy.dtype == one.dtype
        assert copy.flags.aligned
    assert len({id(copy.base) for copy in kept}) == 2 < len(kept)


def test_an_array_above_the_largest_slab_has_one_of_its_own():
    slabs = Slabs()
    large = np.broadcast_to(np.uint8(7), LARGEST_SLAB + 1)
    assert slabs.kept(large).base.nbytes == LARGEST_SLAB + 8


def test_arrays_beyond_some_memory_are_those_that_were_given(soon_in_files):
    slabs, given = Slabs(), many()
    kept = [slabs.kept(one) for one in given]
    assert isinstance(slabs._slab, FileSlab)
    for one, copy in zip(given, kept, strict=True):
        np.testing.assert_array_equal(copy, one)
        assert copy.dtype == one.dtype
        assert copy.flags.aligned


def test_little_stays_in_memory():
    slabs = Slabs()
    slabs.kept(np.zeros(IN_MEMORY - 8, dtype=np.uint8))
    assert isinstance(slabs._slab, MemorySlab)


def test_a_file_has_no_name_and_is_gone_with_its_arrays(soon_in_files, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    slabs = Slabs()
    kept = [slabs.kept(one) for one in many()]
    assert list(tmp_path.iterdir()) == []
    view = weakref.ref(slabs._slab.view)
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    del slabs, kept
    gc.collect()
    assert view() is None
    if before is not None:
        assert len(os.listdir("/proc/self/fd")) < before


@pytest.mark.parametrize("after", [0, 3], ids=["no file", "a file that is full"])
def test_a_full_disk_costs_memory_alone(soon_in_files, monkeypatch, caplog, after):
    put, done = FileSlab.put, []

    def full(slab, values, at):
        if len(done) == after:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        done.append(at)
        return put(slab, values, at)

    monkeypatch.setattr(FileSlab, "put", full)
    slabs, given = Slabs(), many()
    kept = [slabs.kept(one) for one in given]
    for one, copy in zip(given, kept, strict=True):
        np.testing.assert_array_equal(copy, one)
    assert isinstance(slabs._slab, MemorySlab)
    assert [r.getMessage() for r in caplog.records if "No space left" in r.getMessage()] != []
    assert len(caplog.records) == 1


def test_a_folder_that_is_missing_costs_memory_alone(soon_in_files, monkeypatch, caplog, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "none"))
    slabs, given = Slabs(), many()
    kept = [slabs.kept(one) for one in given]
    for one, copy in zip(given, kept, strict=True):
        np.testing.assert_array_equal(copy, one)
    assert "TMPDIR" in caplog.text
