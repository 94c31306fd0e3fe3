"""What pages share: edits are kept before anybody is told."""

import numpy as np
import pytest
from anndata import AnnData

import nimbus
from nimbus.gui.desk import Desk
from nimbus.gui.opening import Request, desk_of
from nimbus.gui.saving import Keeper, Saving


class Notes(Keeper):
    """Notes what it is asked, and fails when it is told to."""

    def __init__(self):
        self.kept, self.settled, self.broken = [], 0, False

    def keep(self, work):
        if self.broken:
            raise OSError("the disk is full")
        self.kept.append(work)

    def settle(self):
        self.settled += 1
        return "in a note"


@pytest.fixture
def desk():
    scores = np.repeat([[0.9, 0.1], [0.1, 0.9], [0.1, 0.1]], [30, 20, 10], axis=0)
    table = AnnData(np.zeros((60, 2)), layers={"nimbus": scores})
    nimbus.tl.cluster(table, grid=(2, 2), n_metaclusters=3)
    made = desk_of(table, Request("nimbus"))
    return Desk(made.facts, made.state, Saving(Notes(), advice="Export it."))


def test_a_selection_is_no_edit_and_an_edit_is_kept_before_it_is_told(desk):
    told = []
    desk.saving.listen(lambda: told.append((len(desk.saving.keeper.kept), desk.saving.status.kind)))
    node = desk.state.clusters.nodes_of(0)[0]
    desk.commit(desk.state.toggle(node))
    assert (desk.saving.keeper.kept, told) == ([], [])
    desk.commit(desk.state.rename(0, "T cell"))
    assert told[0][0] == 1, "it was told before it was kept"
    assert desk.saving.finish().kind == "saved"
    assert "in a note" in desk.saving.status.text
    assert desk.saving.keeper.settled == 1


def test_an_edit_that_cannot_be_kept_stays_says_so_and_goes_along_with_the_next(desk):
    desk.saving.keeper.broken = True
    desk.commit(desk.state.rename(0, "T cell"))
    assert desk.saving.status.kind == "failed"
    assert "NOT SAVED: the disk is full. Export it." in desk.saving.status.text
    assert desk.state.clusters.names[0] == "T cell"
    desk.saving.keeper.broken = False
    desk.commit(desk.state.rename(1, "B cell"))
    assert desk.saving.finish().kind == "saved"
    kept = desk.saving.keeper.kept[-1].clusters
    assert [kept.names[0], kept.names[1]] == ["T cell", "B cell"]


def test_an_edit_that_is_not_on_disk_is_told_though_the_table_has_the_one_before(desk):
    desk.commit(desk.state.rename(0, "T cell"))
    desk.saving.keeper.broken = True
    desk.commit(desk.state.rename(1, "B cell"))
    status = desk.saving.finish()
    assert desk.saving.keeper.settled == 1, "proves nothing: no table was written meanwhile"
    assert (status.kind, status.text[:9]) == ("failed", "NOT SAVED")


def test_a_table_that_could_not_be_written_is_written_at_the_end(desk, monkeypatch):
    def busy():
        raise OSError("it is in use by another run")

    with monkeypatch.context() as patched:
        patched.setattr(desk.saving.keeper, "settle", busy)
        desk.commit(desk.state.rename(0, "T cell"))
        assert desk.saving.finish().kind == "failed"
    assert desk.saving.finish().kind == "saved"
    assert desk.saving.keeper.settled == 1


def test_edits_that_follow_each_other_are_kept_at_once_and_bring_one_table_up_to_date(desk):
    for name in ("T cell", "B cell", "NK cell"):
        desk.commit(desk.state.rename(0, name))
    keeper = desk.saving.keeper
    assert (len(keeper.kept), keeper.settled) == (3, 0), "the page has to answer first"
    assert desk.saving.finish().kind == "saved"
    assert keeper.settled == 1
    desk.commit(desk.state.rename(0, "T cell"))
    assert desk.saving.finish().kind == "saved"
    assert keeper.settled == 2


def test_undo_is_kept_too(desk):
    desk.commit(desk.state.rename(0, "T cell"))
    desk.commit(desk.state.undo())
    assert desk.saving.keeper.kept[-1].clusters.undone
    assert desk.saving.finish().kind == "saved"


def test_a_table_that_cannot_be_written_is_told_by_the_status(desk):
    def fail():
        raise OSError("another program changed it")

    desk.saving.keeper.settle = fail
    desk.commit(desk.state.rename(0, "T cell"))
    assert desk.saving.finish().kind == "failed"
    assert "another program" in desk.saving.status.text


def test_a_cut_brings_what_resamples_told_and_is_one_edit(desk):
    cut = desk.recut(desk.state, 2)
    assert len(cut.clusters.names) == 2
    assert len(cut.clusters.done) == 1
    found = desk.saving.keeper.kept[-1].found
    assert found[1].n_metaclusters == 2
    with pytest.raises(ValueError, match="metaclusters"):
        desk.recut(cut, 99)


def test_who_left_is_told_no_more(desk):
    told = []

    def listener():
        told.append(1)

    desk.saving.listen(listener)
    desk.saving.leave(listener)
    desk.commit(desk.state.rename(0, "T cell"))
    desk.saving.finish()
    assert told == []
