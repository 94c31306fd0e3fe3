from __future__ import annotations

import numpy as np
import pytest
import spatialdata

import nimbus
from support.tissue import brightness, draw_sdata


@pytest.fixture
def stored(tmp_path):
    sdata = draw_sdata([(40, 50)])
    nimbus.tl.score(sdata, model=brightness, tta=False, show_progress_bar=False)
    sdata.write(tmp_path / "s.zarr")
    return sdata


def read(sdata):
    return spatialdata.read_zarr(sdata.path).tables["table"]


def test_only_the_named_keys_are_written(stored):
    table = stored.tables["table"]
    table.obs["half"] = 0.5
    table.layers["nimbus"] = table.layers["nimbus"] * 0
    nimbus.io.write_table(stored, "table", keys={"obs": []})
    again = read(stored)
    assert (again.obs["half"] == 0.5).all()
    assert again.layers["nimbus"].max() > 0


def test_the_whole_table_is_replaced_and_no_copy_stays(stored):
    stored.tables["table"].layers["nimbus"] = np.zeros(stored.tables["table"].shape, np.float32)
    nimbus.io.write_table(stored, "table")
    assert read(stored).layers["nimbus"].max() == 0
    assert list(spatialdata.read_zarr(stored.path).tables) == ["table"]


def test_a_table_that_cannot_be_written_leaves_the_old_one(stored):
    before = read(stored).layers["nimbus"]
    stored.tables["table"].uns["bad"] = {"a tuple": (1, 2)}
    with pytest.raises(Exception, match="tuple"):
        nimbus.io.write_table(stored, "table")
    np.testing.assert_array_equal(read(stored).layers["nimbus"], before)
    assert list(stored.tables) == ["table"]


def test_without_a_store_or_a_table_the_error_says_what_there_is(stored):
    with pytest.raises(ValueError, match="table 'tabel' does not exist; there is 'table'"):
        nimbus.io.write_table(stored, "tabel")
    with pytest.raises(ValueError, match="no store yet"):
        nimbus.io.write_table(draw_sdata([(40, 50)]), "table")
