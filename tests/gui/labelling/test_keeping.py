"""Labels are on disk before they are said to be, and people do not overwrite each other."""

import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import spatialdata

import nimbus
from nimbus import _claim
from nimbus.gui.labelling.opening import Request, open_review, review_desk
from nimbus.io import read_gold


def scored():
    sdata = nimbus.datasets.tissue(
        shape=(96, 96), n_cells=30, n_fovs=2, markers=["CD3", "CD8"], random_state=0
    )
    table = sdata.tables["table"]
    rng = np.random.default_rng(0)
    table.layers["nimbus"] = rng.random(table.shape, dtype=np.float32)
    table.layers["integrated"] = rng.random(table.shape, dtype=np.float32)
    return sdata


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    path = tmp_path_factory.mktemp("labels") / "tissue.zarr"
    scored().write(path)
    return path


@pytest.fixture
def store(written, tmp_path):
    path = tmp_path / "tissue.zarr"
    shutil.copytree(written, path)
    return path


def desk_of(store, name="ada", **more):
    return open_review(store, Request(annotator=name, n_cells=5, **more))


def do(desk, *labels):
    for label in labels:
        desk.commit(desk.state.judge(label))


def file(store, name="ada"):
    return store.with_name("tissue.zarr.table.gold") / f"{name}.csv"


def layer(store):
    return spatialdata.read_zarr(store).tables["table"].layers["gold"]


def recorded(store):
    """How many labels of each annotator the store has."""
    record = spatialdata.read_zarr(store).tables["table"].uns["gold"]
    return record["annotations"]["annotator"].value_counts().to_dict()


def test_each_label_is_in_the_file_when_commit_returns(store):
    desk = desk_of(store)
    for n, label in enumerate(["positive", "likely negative", "undetermined"], start=1):
        cell, marker = desk.state.cell, desk.state.marker
        desk.commit(desk.state.judge(label))
        last = read_gold(file(store)).iloc[-1]
        assert len(read_gold(file(store))) == n
        assert (last["marker"], last["label"]) == (marker, label)
        assert last["instance_id"] == desk.facts.microscope.ids[cell]
        assert f"{last['fov']}_labels" == desk.facts.microscope.field(cell)
    desk.commit(desk.state.back())
    assert len(read_gold(file(store))) == 2
    desk.saving.finish()


def test_layer_and_record_of_the_store_follow_and_pp_takes_the_files(store):
    desk = desk_of(store)
    cells = []
    for label in ("positive", "negative", "likely positive"):
        cells.append(desk.state.cell)
        do(desk, label)
    assert desk.saving.finish().kind == "saved"
    table = spatialdata.read_zarr(store).tables["table"]
    column = list(table.var_names).index(desk.state.marker)
    gold = table.layers["gold"]
    assert gold.dtype == np.int8
    assert gold[cells, column].tolist() == [1, 0, -1]
    assert (gold >= 0).sum() == 2
    again = scored()
    nimbus.pp.gold_labels(again, read_gold(file(store)))
    np.testing.assert_array_equal(again.tables["table"].layers["gold"], gold)
    assert table.uns["gold"]["annotations"]["annotator"].tolist() == ["ada"] * 3


def test_a_killed_program_goes_on_where_it_was(store):
    desk = desk_of(store)
    do(desk, "positive", "negative")
    desk.saving.finish()
    do(desk, "positive")
    desk.saving.finish()
    gold = layer(store)
    again = desk_of(store)
    assert again.state.labels == desk.state.labels
    assert again.state.cell == desk.state.cell
    np.testing.assert_array_equal(again.ledger.table.layers["gold"], gold)


def test_labels_that_never_reached_the_table_are_brought_in(store):
    desk = desk_of(store)
    row = desk.state.cell
    desk.saving.keeper.keep(desk.state.judge("positive").labels)  # and the program was killed
    assert "gold" not in spatialdata.read_zarr(store).tables["table"].layers
    again = desk_of(store)
    assert again.ledger.table.layers["gold"][row].max() == 1


def test_two_people_judge_the_same_cells_and_their_kappa_is_that_of_pp(store):
    ada, bob = desk_of(store, "ada"), desk_of(store, "bob")
    said = {"ada": "ppnnp", "bob": "pnnnp"}
    names = {"p": "positive", "n": "negative"}
    for k in range(5):  # by turns
        assert ada.state.cell == bob.state.cell
        do(ada, names[said["ada"][k]])
        do(bob, names[said["bob"][k]])
    ada.saving.finish(), bob.saving.finish()
    table = spatialdata.read_zarr(store).tables["table"]
    frames = {name: read_gold(file(store, name)) for name in ("ada", "bob")}
    # 4 of 5 alike; by chance 0.6 * 0.4 + 0.4 * 0.6 = 0.48
    kappa = table.uns["gold"]["agreement"]["kappa"].iloc[-1]
    assert kappa == pytest.approx((0.8 - 0.48) / 0.52)
    check = scored()
    nimbus.pp.gold_labels(check, frames)
    np.testing.assert_array_equal(check.tables["table"].layers["gold"], table.layers["gold"])
    assert (table.layers["gold"] >= 0).sum() == 4


def test_another_program_with_the_same_name_is_told_and_overwrites_nothing(store):
    first, second = desk_of(store), desk_of(store)
    do(first, "positive")
    do(second, "negative")
    assert second.saving.status.kind == "failed"
    assert "another program changed" in second.saving.status.text
    assert read_gold(file(store))["label"].tolist() == ["positive"]
    first.saving.finish()


def test_a_table_whose_cells_another_program_changed_is_left_alone(store):
    desk = desk_of(store)
    do(desk, "positive")
    desk.saving.finish()
    theirs = spatialdata.read_zarr(store)
    theirs["table"] = theirs["table"][1::2].copy()
    theirs["table"].obs["new"] = 1.0
    nimbus.io.write_table(theirs, "table")
    do(desk, "negative")
    told = desk.saving.finish()
    assert told.kind == "failed"
    assert "another program changed the cells" in told.text
    now = spatialdata.read_zarr(store)["table"]
    assert (now.n_obs, "new" in now.obs) == (theirs["table"].n_obs, True)
    assert read_gold(file(store))["label"].tolist() == ["positive", "negative"]
    assert list(desk_of(store).ledger.judged) == ["ada"], "opened again it goes on"


def test_a_table_that_another_program_deleted_is_not_put_back(store):
    desk = desk_of(store)
    do(desk, "positive")
    assert desk.saving.finish().kind == "saved"
    shutil.rmtree(store / "tables/table")  # perhaps to write another one in its place
    do(desk, "negative")
    told = desk.saving.finish()
    assert (told.kind, "another program deleted table" in told.text) == ("failed", True)
    assert not (store / "tables/table").exists()
    assert read_gold(file(store))["label"].tolist() == ["positive", "negative"]


def test_cells_that_another_program_changes_while_the_page_waits_for_it_are_left_alone(
    store, monkeypatch
):
    desk = desk_of(store)
    theirs = spatialdata.read_zarr(store)
    theirs["table"] = theirs["table"][1::2].copy()
    lock = store / _claim.LOCK_NAME
    handle = _claim._locked(lock)  # as another process holds it
    turns = []

    def finished(seconds):
        """The other program ends while the page waits for its turn."""
        turns.append(seconds)
        _claim._let_go(lock, handle)
        nimbus.io.write_table(theirs, "table")

    monkeypatch.setattr("nimbus.gui.turns.time", SimpleNamespace(sleep=finished))
    do(desk, "positive")
    told = desk.saving.finish()
    assert len(turns) == 1, "proves nothing: the page did not wait"
    assert told.kind == "failed"
    assert "another program changed the cells" in told.text
    assert spatialdata.read_zarr(store)["table"].n_obs == theirs["table"].n_obs


def test_a_store_is_opened_from_within_it(store, monkeypatch):
    monkeypatch.chdir(store)
    desk = desk_of(Path("."))
    do(desk, "positive")
    assert desk.saving.finish().kind == "saved"
    assert len(read_gold(file(store))) == 1
    assert desk.facts.title == "tissue.zarr"


def test_labels_of_other_fields_are_kept_and_do_not_count_as_done(store):
    desk = desk_of(store, labels_key="fov0_labels")
    do(desk, *["positive"] * 5)
    assert desk.state.marker == "CD3"
    assert desk.state.cell is None, "proves nothing: CD3 is not done"
    desk.saving.finish()
    other = desk_of(store, labels_key="fov1_labels")
    assert (other.state.marker, other.state.n_done("CD3")) == ("CD3", 0)
    assert other.state.counts()["CD3"].total() == 0
    do(other, "negative")
    other.saving.finish()
    assert len(read_gold(file(store))) == 6
    both = desk_of(store)
    assert both.state.n_done("CD3") == 6


def test_what_another_person_says_while_the_page_waits_for_its_turn_is_in_the_layer(
    store, monkeypatch
):
    ada, bob = desk_of(store), desk_of(store, "bob")
    lock = store / _claim.LOCK_NAME
    handle = _claim._locked(lock)  # as another process holds it

    def judged(seconds):
        """Bob judges another cell, and the store is free."""
        bob.saving.keeper.keep(bob.state.skip().judge("negative").labels)
        _claim._let_go(lock, handle)

    monkeypatch.setattr("nimbus.gui.turns.time", SimpleNamespace(sleep=judged))
    do(ada, "positive")
    assert ada.saving.finish().kind == "saved"
    assert [(layer(store) == value).sum() for value in (1, 0)] == [1, 1]


@pytest.mark.parametrize(
    "rows", [slice(None, None, 2), slice(None, None, -1)], ids=["part", "turned"]
)
def test_a_table_in_memory_that_is_another_in_the_store_is_written_first(store, rows):
    sdata = spatialdata.read_zarr(store)
    n_cells = sdata["table"].n_obs
    sdata["table"] = sdata["table"][rows].copy()
    with pytest.raises(ValueError, match=r"has other cells.*write_table\(sdata, 'table'\)"):
        review_desk(sdata, Request(annotator="ada"), write=True)
    assert spatialdata.read_zarr(store)["table"].n_obs == n_cells
    nimbus.io.write_table(sdata, "table")
    desk = review_desk(sdata, Request(annotator="ada"), write=True)
    do(desk, "positive")
    assert desk.saving.finish().kind == "saved"
    np.testing.assert_array_equal(layer(store), sdata["table"].layers["gold"])


def test_a_name_with_which_the_store_could_not_be_read_is_refused(store):
    with pytest.raises(ValueError, match="SpatialData takes names.*'my_labels' would do"):
        desk_of(store, key_added="my labels")


def test_a_folder_that_cannot_be_written_is_told_and_nothing_is_lost(store, monkeypatch):
    desk = desk_of(store)
    do(desk, "positive")
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError("disk is full")))
    do(desk, "negative")
    assert desk.saving.status.kind == "failed"
    assert "disk is full" in desk.saving.status.text
    monkeypatch.undo()
    assert read_gold(file(store))["label"].tolist() == ["positive"]
    do(desk, "undetermined")
    assert read_gold(file(store))["label"].tolist() == ["positive", "negative", "undetermined"]
    desk.saving.finish()


def test_rows_of_cells_that_the_table_does_not_have_stay_in_the_file(store):
    file(store).parent.mkdir()
    file(store).write_text("fov,instance_id,marker,label\nfov0,99999,CD3,1\nother,1,CD3,0\n")
    desk = desk_of(store)
    do(desk, "positive")
    assert read_gold(file(store))["fov"].tolist()[:2] == ["fov0", "other"]
    assert len(read_gold(file(store))) == 3
    desk.saving.finish()


def test_labels_of_before_stay_as_those_of_an_annotator(store):
    sdata = scored()
    table = sdata.tables["table"]
    gold = np.full(table.shape, -1, dtype=np.int8)
    desk = review_desk(sdata, Request(annotator="ada", n_cells=5))
    row, column = desk.state.cell, list(table.var_names).index(desk.state.marker)
    gold[row, column] = 0
    gold[(row + 1) % table.n_obs, column] = 1
    table.layers["gold"] = gold
    desk = review_desk(sdata, Request(annotator="ada", n_cells=5))
    assert desk.state.cell == row, "ada has not judged it"
    do(desk, "positive")
    now = table.layers["gold"][:, column]
    assert now[row] == -1, "two differ"
    assert now[(row + 1) % table.n_obs] == 1
    assert sorted(table.uns["gold"]["annotators"]) == ["ada", "earlier"]
    desk.commit(desk.state.back())
    np.testing.assert_array_equal(table.layers["gold"], gold)


def test_in_memory_a_second_call_goes_on(tmp_path):
    sdata = scored()
    desk = review_desk(sdata, Request(annotator="ada", n_cells=5))
    do(desk, "positive", "likely negative")
    again = review_desk(sdata, Request(annotator="ada", n_cells=5))
    assert again.state.labels == desk.state.labels
    other = review_desk(sdata, Request(annotator="bob", n_cells=5))
    assert other.state.labels == {}
    decided = review_desk(sdata, Request(annotator="ada", n_cells=5, likely="decided"))
    assert (decided.ledger.table.layers["gold"] >= 0).sum() == 2


def test_a_layer_that_holds_no_labels_is_refused():
    sdata = scored()
    sdata.tables["table"].layers["gold"] = sdata.tables["table"].layers["nimbus"]
    with pytest.raises(ValueError, match="holds no labels; pass key_added="):
        review_desk(sdata, Request())


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"order": "best"}, "order 'best' does not exist"),
        ({"markers": ["CD33"]}, "did you mean 'CD3'"),
        ({"second": "DAPI"}, "channel .DAPI. does not exist"),
        ({"annotator": "  "}, "names nobody"),
        ({"likely": "yes"}, "likely='yes' is none of"),
        ({"layer": "scores"}, "layer 'scores' does not exist; there is"),
    ],
)
def test_what_cannot_be_is_told(given, message):
    with pytest.raises(ValueError, match=message):
        review_desk(scored(), replace(Request(), **given))


def test_a_table_alone_is_refused():
    with pytest.raises(TypeError, match="cells are judged on images"):
        review_desk(scored().tables["table"], Request())


def test_without_scores_cells_come_by_chance():
    sdata = scored()
    del sdata.tables["table"].layers["nimbus"]
    assert review_desk(sdata, Request()).state.queues.order == "random"
    with pytest.raises(ValueError, match="run nimbus.tl.score first"):
        review_desk(sdata, Request(order="uncertain"))


class TestWhoAgrees:
    """People with the same seed see the same cells, so that some say exactly the same."""

    @pytest.fixture
    def said(self):
        """What two cells are; of a marker that is not the first to be judged."""
        ids = scored().tables["table"].obs["instance_id"][:2].to_numpy()
        labels = ["positive", "negative"]
        return pd.DataFrame({"fov": "fov0", "instance_id": ids, "marker": "CD8", "label": labels})

    def written(self, path, annotations):
        sdata = scored()
        nimbus.pp.gold_labels(sdata, annotations)
        sdata.write(path)
        return path

    def agrees(self, store, name, said):
        """Somebody says the same on the page, and closes it."""
        desk = desk_of(store, name)
        desk.saving.keep(desk.ledger.book.read(said).labels)
        desk.saving.finish()

    def opened_again(self, store, name):
        desk = desk_of(store, name)
        do(desk, "positive")
        desk.saving.finish()
        return recorded(store)

    def test_all_who_have_a_name_stay(self, said, tmp_path):
        store = self.written(tmp_path / "tissue.zarr", {"ada": said, "bob": said})
        self.agrees(store, "cy", said)
        assert recorded(store) == {"ada": 2, "bob": 2, "cy": 2}
        assert self.opened_again(store, "cy") == {"ada": 2, "bob": 2, "cy": 3}

    def test_a_table_without_a_name_is_nobody_who_was_counted_beside_it(self, said, tmp_path):
        store = self.written(tmp_path / "tissue.zarr", [said])
        self.agrees(store, "cy", said)
        assert self.opened_again(store, "cy") == {"annotator 1": 2, "cy": 3}

    def test_tables_without_names_get_one_name_each(self, said, tmp_path):
        store = self.written(tmp_path / "tissue.zarr", [said, said])
        assert recorded(store) == {"annotator 1": 2, "annotator 2": 2}
        file(store).parent.mkdir()
        said.to_csv(file(store, "ada"), index=False)  # what one of the tables was read from
        assert self.opened_again(store, "ada") == {"ada": 3, "annotator 2": 2}


class TestConsensusOfTwo:
    """A layer that ``pp.gold_labels`` made with a rule of its own is opened on the page."""

    @pytest.fixture
    def counted(self, store):
        """Ada judged three cells, Bob two of them; two must have judged a pair."""
        for name, labels in (("ada", ["positive"] * 3), ("bob", ["positive", "negative"])):
            desk = desk_of(store, name)
            do(desk, *labels)
            desk.saving.finish()
        assert (layer(store) != -1).sum() == 2, "proves nothing: one judge would be too few anyway"
        return store

    def count(self, store, form):
        sdata = spatialdata.read_zarr(store)
        files = {name: read_gold(file(store, name)) for name in ("ada", "bob")}
        nimbus.pp.gold_labels(sdata, form(files), min_annotators=2)
        gold = sdata.tables["table"].layers["gold"].copy()
        sdata.delete_element_from_disk("table")
        sdata.write_element("table")
        assert (gold != -1).sum() == 1
        return gold

    @pytest.mark.parametrize("form", [dict, lambda files: list(files.values())])
    def test_opening_it_leaves_the_layer_as_it_is(self, counted, form):
        gold = self.count(counted, form)
        desk = desk_of(counted, "bob")
        np.testing.assert_array_equal(desk.ledger.table.layers["gold"], gold)
        assert len(desk.state.labels) == 2

    @pytest.mark.parametrize("form", [dict, lambda files: list(files.values())])
    def test_what_is_judged_then_is_counted_by_the_same_rule(self, counted, form):
        gold = self.count(counted, form)
        desk = desk_of(counted, "bob")
        do(desk, "positive")  # the cell that Ada judged alone
        do(desk, "positive")  # a cell that nobody else judged
        desk.saving.finish()
        now = layer(counted)
        assert (now != gold).sum() == 1
        assert (now == 1).sum() == 2
        assert spatialdata.read_zarr(counted).tables["table"].uns["gold"]["min_annotators"] == 2

    def test_a_label_that_a_person_settled_by_hand_stays(self, counted):
        sdata = spatialdata.read_zarr(counted)
        table = sdata.tables["table"]
        differ = desk_of(counted, "bob").state.past or None
        assert differ is None
        row, marker = list(desk_of(counted, "bob").state.labels)[1]
        place = row, list(table.var_names).index(marker)
        assert table.layers["gold"][place] == -1
        table.layers["gold"][place] = 1
        sdata.delete_element_from_disk("table")
        sdata.write_element("table")
        desk = desk_of(counted, "bob")
        do(desk, "negative")
        desk.saving.finish()
        assert layer(counted)[place] == 1
