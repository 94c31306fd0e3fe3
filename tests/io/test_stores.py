"""Stores that cannot be opened."""

from __future__ import annotations

import pytest

from nimbus.io import ReadError
from nimbus.io.stores import open_store
from support.tissue import draw_sdata


@pytest.fixture
def store(tmp_path):
    path = tmp_path / "a b.zarr"
    draw_sdata([(20, 30)]).write(path)
    return path


def test_a_store_is_opened_lazily(store):
    assert sorted(open_store(store).images) == ["a_image"]


def test_damaged_metadata_is_told_with_the_store(store):
    (store / "images" / "a_image" / "zarr.json").write_text("{")
    with pytest.raises(ReadError, match=r"a b\.zarr: this store cannot be read \(.*a_image"):
        open_store(store)


def test_a_store_that_is_not_there_is_no_damaged_one(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no\.zarr does not exist"):
        open_store(tmp_path / "no.zarr")
