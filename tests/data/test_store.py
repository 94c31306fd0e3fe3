from __future__ import annotations

import os

import numpy as np
import pandas as pd
import pytest
import spatialdata
import zarr
from anndata import AnnData
from anndata.io import write_elem

import nimbus
from nimbus._claim import ClaimedError
from nimbus.data import workshop
from nimbus.data.alignment import is_aligned
from support.kills import counted, killed_at
from support.processes import held_by_another
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


def test_one_key_as_text_is_that_key_and_not_its_letters(stored):
    stored.tables["table"].layers["nimbus"] = np.zeros(stored.tables["table"].shape, np.float32)
    assert read(stored).layers["nimbus"].max() > 0, "proves nothing"
    nimbus.io.write_table(stored, "table", keys={"layers": "nimbus"})
    assert read(stored).layers["nimbus"].max() == 0


@pytest.mark.parametrize(
    ("attribute", "name"), [("layers", "my calls"), ("obs", "cell type"), ("obs", "Region")]
)
def test_names_that_make_a_store_unreadable_are_refused(stored, attribute, name):
    table = stored.tables["table"]
    value = table.layers["nimbus"] if attribute == "layers" else 0.5
    getattr(table, attribute)[name] = value
    with pytest.raises(ValueError, match=rf"'{name}'.*SpatialData takes"):
        nimbus.io.write_table(stored, "table", keys={attribute: [name]})
    assert name not in getattr(read(stored), attribute)


def renamed(table):
    table.obs_names = [f"cell {name}" for name in table.obs_names]
    return table


def of_another_id(table):
    table.obs["instance_id"] = table.obs["instance_id"].to_numpy() + 1
    return table


@pytest.mark.parametrize(
    "changed",
    [
        lambda table: table[3:],
        lambda table: table[::-1],
        lambda table: table[:, ["m1"]],
        lambda table: table[:, ["m1", "m0"]],
        renamed,
        of_another_id,
    ],
    ids=["fewer rows", "other order", "fewer columns", "columns turned", "names", "ids"],
)
@pytest.mark.parametrize("keys", [{"obs": []}, {"layers": "nimbus"}])
def test_a_table_of_other_rows_or_columns_than_the_store_is_written_whole(stored, changed, keys):
    stored.tables["table"].uns["mine"] = "kept"
    stored.tables["table"] = table = changed(stored.tables["table"].copy()).copy()
    same = table.obs.equals(read(stored).obs) and list(table.var_names) == ["m0", "m1"]
    assert not same, "proves nothing: the store has this table"
    with pytest.warns(UserWarning, match="'table' .* is written whole, in place of the one"):
        nimbus.io.write_table(stored, "table", keys=keys)
    again = read(stored)
    pd.testing.assert_frame_equal(again.obs, table.obs, check_dtype=False, check_categorical=False)
    assert list(again.var_names) == list(table.var_names)
    for name in ("nimbus", "integrated"):
        np.testing.assert_array_equal(again.layers[name], table.layers[name])
    np.testing.assert_array_equal(again.X, table.X)
    np.testing.assert_array_equal(again.obsm["spatial"], table.obsm["spatial"])
    assert again.uns["mine"] == "kept"


@pytest.mark.parametrize("made", [pd.Categorical, np.asarray], ids=["categorical", "text"])
def test_rows_are_the_same_whatever_types_hold_them(stored, made, recwarn):
    """Neither the order of categories nor the width of integers is that of the store."""
    obs, before = stored.tables["table"].obs, read(stored).X
    obs["region"] = made(obs["region"].astype(object))
    obs["instance_id"] = obs["instance_id"].astype(np.int32)
    stored.tables["table"].X = before * 0
    nimbus.io.write_table(stored, "table", keys={"layers": "nimbus"})
    np.testing.assert_array_equal(read(stored).X, before)
    assert not [one for one in recwarn if "written whole" in str(one.message)]


def test_names_are_compared_over_all_chunks(tmp_path):
    obs = pd.DataFrame(index=[f"{number}" for number in range(7)])
    AnnData(obs=obs).write_zarr(tmp_path / "t.zarr", chunks=(2, 2))
    group = zarr.open_group(tmp_path / "t.zarr", mode="r+", use_consolidated=False)
    del group["obs/_index"]
    write_elem(group["obs"], "_index", obs.index.to_numpy(), dataset_kwargs={"chunks": (2,)})
    assert group["obs/_index"].chunks == (2,), "proves nothing: one chunk"
    assert is_aligned(AnnData(obs=obs), group)
    for row in range(7):
        other = obs.rename(index={f"{row}": "another"})
        assert not is_aligned(AnnData(obs=other), group)


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


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills a forked process")
@pytest.mark.parametrize("keys", [None, {"layers": ["nimbus"], "uns": ["nimbus"], "var": []}])
def test_a_writer_killed_at_any_change_leaves_the_old_table_or_the_new(stored, keys, monkeypatch):
    table, changes = stored.tables["table"], []
    with monkeypatch.context() as patch:
        counted(patch, lambda: changes.append(1))
        nimbus.io.write_table(stored, "table", keys=keys)
    old = table.layers["nimbus"].copy()
    table.layers["nimbus"] = new = old * 0 + np.float32(0.25)
    seen = []
    for n in (len(changes) // 2, *range(len(changes) - 6, len(changes))):
        assert killed_at(
            n, lambda: nimbus.io.write_table(stored, "table", keys=keys), monkeypatch
        ), "proves nothing: the writer was not killed"
        layer = read(stored).layers["nimbus"]
        seen.append(np.array_equal(layer, new))
        np.testing.assert_array_equal(layer, new if any(seen) else old)
    assert set(seen) == {False, True}
    nimbus.io.write_table(stored, "table", keys=keys)
    names = {path.name for path in stored.path.iterdir()}
    assert names == {"images", "labels", "tables", "zarr.json"}, "a killed writer's rest is there"


def test_a_store_of_the_old_format_keeps_it(tmp_path):
    from spatialdata._io.format import SpatialDataContainerFormatV01

    sdata = draw_sdata([(40, 50)])
    sdata.write(tmp_path / "s.zarr", sdata_formats=[SpatialDataContainerFormatV01()])
    nimbus.tl.score(sdata, model=brightness, tta=False, show_progress_bar=False, write=True)
    nimbus.tl.score(sdata, model=brightness, tta=False, show_progress_bar=False, write=True)
    np.testing.assert_array_equal(
        read(sdata).layers["nimbus"], sdata.tables["table"].layers["nimbus"]
    )
    assert not list(tmp_path.rglob("zarr.json"))


def test_a_store_without_exchange_of_names_is_mended_by_the_next_writer(stored, monkeypatch):
    """Two renames, killed between them: the table is missing until the next writer."""
    import nimbus._exchange as exchange

    class Killed(BaseException):
        pass

    def rename(self, target):
        if self.parent.parent.name == "new.zarr":
            raise Killed
        return os.rename(self, target)

    before = read(stored).layers["nimbus"]
    monkeypatch.setattr(exchange, "_exchange", lambda a, b: False)
    nimbus.io.write_table(stored, "table")
    with monkeypatch.context() as patch:
        patch.setattr(type(stored.path), "rename", rename)
        patch.setattr(workshop.shutil, "rmtree", lambda path: None)
        with pytest.raises(Killed):
            nimbus.io.write_table(stored, "table")
    assert list(spatialdata.read_zarr(stored.path).tables) == []
    stored.tables["table"].obs["half"] = 0.5
    nimbus.io.write_table(stored, "table", keys={"obs": []})
    np.testing.assert_array_equal(read(stored).layers["nimbus"], before)


def test_a_writer_waits_for_nobody_and_names_who_writes(stored):
    with (
        held_by_another(stored.path) as process,
        pytest.raises(ClaimedError, match=f"in use by another run .process {process} on"),
    ):
        nimbus.io.write_table(stored, "table")
    nimbus.io.write_table(stored, "table")


def test_without_a_store_or_a_table_the_error_says_what_there_is(stored):
    with pytest.raises(ValueError, match="table 'tabel' does not exist; there is 'table'"):
        nimbus.io.write_table(stored, "tabel")
    with pytest.raises(ValueError, match="no store yet"):
        nimbus.io.write_table(draw_sdata([(40, 50)]), "table")
