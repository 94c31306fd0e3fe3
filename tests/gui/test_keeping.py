"""Edits are on disk before they are said to be, and survive what stops a program."""

import shutil
import threading
from functools import cache

import anndata
import numpy as np
import pytest
import spatialdata
from anndata import AnnData

import nimbus
from nimbus._claim import ClaimedError
from nimbus.cluster.clustermap import ClusterMap
from nimbus.cluster.edits import ClusterMapError
from nimbus.cluster.mapfiles import read_map
from nimbus.data.clusters import map_of, nodes_of, record_of
from nimbus.data.mapstore import TablePlace, touched, write_touched
from nimbus.gui.keeping import Edit, InMemory, OnDisk, recover
from nimbus.tl._metaclusters import ConsensusSettings, find_metaclusters
from support.processes import held_by_another

PROFILES = np.array([[0.9, 0.1, 0.1], [0.1, 0.9, 0.1], [0.1, 0.1, 0.9], [0.9, 0.9, 0.1]])
TYPES = np.repeat(np.arange(4), [40, 30, 20, 10])


@cache
def once():
    rng = np.random.default_rng(0)
    scores = np.clip(PROFILES[TYPES] + rng.normal(0, 0.02, (100, 3)), 0, 1)
    made = AnnData(np.zeros((100, 3), np.float32), layers={"nimbus": scores.astype(np.float32)})
    made.var_names = ["CD3", "CD20", "ECAD"]
    nimbus.tl.cluster(made, grid=(3, 3), n_metaclusters=4)
    return made


def clustered():
    return once().copy()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The table on disk in three forms."""
    folder = tmp_path_factory.mktemp("stores")
    clustered().write_h5ad(folder / "t.h5ad")
    clustered().write_zarr(folder / "t.zarr")
    spatialdata.SpatialData(tables={"cells": clustered()}).write(folder / "t.sdata")
    return folder


def opened(written, tmp_path, kind):
    """A table in memory and on disk, where that is, and a function that reads it anew."""
    path = tmp_path / f"t.{kind}"
    if kind == "h5ad":
        shutil.copyfile(written / path.name, path)
        return clustered(), TablePlace(path, "", "nimbus"), lambda: anndata.read_h5ad(path)
    shutil.copytree(written / path.name, path)
    if kind == "zarr":
        return clustered(), TablePlace(path, "", "nimbus"), lambda: anndata.read_zarr(path)
    place = TablePlace(path, "tables/cells", "nimbus")
    return clustered(), place, lambda: spatialdata.read_zarr(path).tables["cells"]


@pytest.fixture(params=["h5ad", "zarr", "sdata"])
def stored(request, written, tmp_path):
    return opened(written, tmp_path, request.param)


@pytest.fixture
def file(written, tmp_path):
    return opened(written, tmp_path, "h5ad")


def keeper_of(table, place, *, alone=False):
    return OnDisk(InMemory(table, "nimbus"), place, alone=alone)


def now(table):
    return map_of(record_of(table, "nimbus"))


def with_table(path, table):
    """A store, in whose object this table stands for its own, and the name of the table."""
    sdata = spatialdata.read_zarr(path)
    sdata.tables["cells"] = table
    return sdata, "cells"


def named(table):
    return now(table).rename(0, "T cell").move(now(table).nodes_of(1), 0)


class TestInMemory:
    def test_an_edit_is_in_obs_and_uns(self):
        table = clustered()
        InMemory(table, "nimbus").keep(Edit(named(table)))
        assert table.obs["nimbus_metacluster"].value_counts().to_dict()["T cell"] == 70
        assert now(table).names[0] == "T cell"
        assert nimbus.tl.remap(table).undo().names[1] == "1"


class TestOnDisk:
    def test_an_edit_is_on_disk_when_keeping_returns_though_the_table_is_not_written(self, stored):
        table, place, reread = stored
        edited = named(table)
        keeper_of(table, place).keep(Edit(edited))
        assert read_map(place.journal) == edited
        assert "T cell" not in set(reread().obs["nimbus_metacluster"]), "proves nothing: settled"

    def test_settling_writes_the_table_and_removes_the_file_beside_it(self, stored):
        table, place, reread = stored
        keeper = keeper_of(table, place)
        keeper.keep(Edit(named(table)))
        keeper.settle()
        read = reread()
        assert not place.journal.exists()
        assert read.obs["nimbus_metacluster"].tolist() == table.obs["nimbus_metacluster"].tolist()
        assert now(read) == named(clustered())
        assert list(read.uns["nimbus_metacluster_colors"]) == list(now(read).colors.values())
        assert read.obs["nimbus_som"].tolist() == table.obs["nimbus_som"].tolist()

    def test_only_what_an_edit_touches_is_written(self, file):
        table, place, reread = file
        del table.layers["nimbus"], table.obs["nimbus_som_distance"]
        keeper = keeper_of(table, place)
        keeper.keep(Edit(named(table)))
        keeper.settle()
        assert reread().layers["nimbus"].shape == (100, 3)
        assert "nimbus_som_distance" in reread().obs

    def test_one_metacluster_alone_leaves_no_dendrogram(self, file):
        table, place, reread = file
        keeper = keeper_of(table, place)
        keeper.keep(Edit(now(table).merge([0, 1, 2, 3])))
        keeper.settle()
        assert "dendrogram_nimbus_metacluster" not in reread().uns
        assert reread().obs["nimbus_metacluster"].cat.categories.tolist() == ["0"]

    def test_edits_of_a_program_that_was_killed_come_back(self, file):
        table, place, reread = file
        edited = named(table)
        keeper_of(table, place).keep(Edit(edited))
        assert recover(place)
        assert now(reread()) == edited
        assert reread().obs["nimbus_metacluster"].value_counts().to_dict()["T cell"] == 70
        assert not recover(place), "there is nothing left to recover"

    def test_a_table_that_was_left_half_written_is_mended(self, stored):
        table, place, reread = stored
        edited = named(table)
        keeper_of(table, place).keep(Edit(edited))
        if place.path.is_dir():  # an HDF5 file is replaced as a whole
            shutil.rmtree(place.path / place.group / "obs/nimbus_metacluster/codes")
            shutil.rmtree(place.path / place.group / "uns/nimbus_cluster/map")
            if place.group:  # the other one reads missing chunks as if they were empty
                with pytest.raises(Exception, match=".*"):
                    reread()
        assert recover(place)
        assert now(reread()) == edited
        assert (reread().obs["nimbus_metacluster"] == "T cell").sum() == 70

    def test_edits_of_another_clustering_are_refused_and_kept(self, file):
        table, place, reread = file
        other = ClusterMap.of(now(table).metacluster, names={0: "other"}).rename(0, "T cell")
        keeper_of(table, place).keep(Edit(other))
        with pytest.raises(ClusterMapError, match="of another clustering"):
            recover(place)
        assert read_map(place.journal) == other
        assert "other" not in set(reread().obs["nimbus_metacluster"])

    def test_what_another_program_wrote_is_not_overwritten(self, file):
        table, place, reread = file
        keeper = keeper_of(table, place)
        theirs = reread()
        nimbus.tl.remap(theirs, {"3": "theirs"})
        write_touched(place, touched(theirs, "nimbus"))
        edited = named(table)
        keeper.keep(Edit(edited))
        with pytest.raises(OSError, match="another program changed"):
            keeper.settle()
        assert "theirs" in set(reread().obs["nimbus_metacluster"])
        assert read_map(place.journal) == edited

    @pytest.mark.parametrize("rows", [slice(0, 60), slice(None, None, -1)], ids=["part", "turned"])
    def test_a_table_whose_cells_another_program_changed_is_left_alone(self, stored, rows):
        table, place, reread = stored
        keeper, edited = keeper_of(table, place), named(table)
        theirs = reread()[rows].copy()
        if place.group:
            nimbus.io.write_table(*with_table(place.path, theirs))
        else:
            theirs.write_h5ad(place.path) if place.path.is_file() else theirs.write_zarr(place.path)
        keeper.keep(Edit(edited))
        with pytest.raises(OSError, match="another program changed the cells"):
            keeper.settle()
        assert (
            reread().obs["nimbus_metacluster"].tolist() == theirs.obs["nimbus_metacluster"].tolist()
        )
        assert read_map(place.journal) == edited
        assert recover(place), "the next start brings it in"
        assert (reread().obs["nimbus_metacluster"] == "T cell").sum() == sum(
            (theirs.obs["nimbus_metacluster"] == name).sum() for name in ("0", "1")
        )

    def test_edits_of_another_page_that_did_not_reach_the_table_are_not_written_over(self, file):
        table, place, reread = file
        first, second = keeper_of(table, place, alone=True), keeper_of(clustered(), place)
        first.keep(Edit(now(table).rename(0, "T cell")))
        first.settle()
        theirs = now(clustered()).rename(1, "theirs")
        second.keep(Edit(theirs))
        with pytest.raises(OSError, match="your edits are safe"):
            second.settle()
        with pytest.raises(OSError, match=r"another program edits.*close all pages but one"):
            first.keep(Edit(now(table).rename(2, "B cell")))
        assert read_map(place.journal) == theirs
        with pytest.raises(ClusterMapError, match="another program has changed the metaclusters"):
            recover(place)
        assert now(reread()).names[0] == "T cell", "it was lost when the page was opened again"

    @pytest.mark.parametrize("more", [False, True])
    def test_a_page_goes_on_after_another_one_was_opened_before_its_table_was_written(
        self, stored, more
    ):
        table, place, reread = stored
        keeper, edited = keeper_of(table, place), named(table)
        keeper.keep(Edit(edited))
        assert recover(place), "the other page brings the edit in"
        if more:
            edited = edited.rename(2, "B cell")
            keeper.keep(Edit(edited))
        keeper.settle()
        assert now(reread()) == edited
        assert not place.journal.exists()

    def test_edits_of_a_program_that_was_killed_while_it_wrote_those_before_come_back(
        self, file, monkeypatch
    ):
        table, place, reread = file
        keeper, first = keeper_of(table, place, alone=True), named(table)
        second = first.rename(2, "B cell")

        def written_late(*args, **more):
            keeper.keep(Edit(second))
            write_touched(*args, **more)
            raise OSError("killed")

        monkeypatch.setattr("nimbus.gui.keeping.write_touched", written_late)
        keeper.keep(Edit(first))
        with pytest.raises(OSError, match="killed"):
            keeper.settle()
        monkeypatch.undo()
        assert now(reread()) == first, "proves nothing: the table has not changed"
        assert recover(place)
        assert now(reread()) == second

    def test_a_store_that_another_program_writes_to_is_left_alone(
        self, written, tmp_path, monkeypatch
    ):
        table, place, reread = opened(written, tmp_path, "sdata")
        monkeypatch.setattr("nimbus.gui.turns.TURNS", 1)
        keeper, edited = keeper_of(table, place), named(table)
        keeper.keep(Edit(edited))
        with held_by_another(place.path):
            for work in (keeper.settle, lambda: recover(place)):
                with pytest.raises(ClaimedError, match="in use by another run"):
                    work()
            assert now(reread()) == now(clustered())
            assert read_map(place.journal) == edited
        keeper.settle()
        assert now(reread()) == edited

    @pytest.mark.parametrize("gone", ["tables/cells", "tables/cells/uns/nimbus_cluster", ""])
    def test_a_table_that_another_program_deleted_is_told(self, written, tmp_path, gone):
        table, place, _ = opened(written, tmp_path, "sdata")
        keeper, edited = keeper_of(table, place), named(table)
        shutil.rmtree(place.path / gone)
        keeper.keep(Edit(edited))
        with pytest.raises(OSError, match=r"another program changed.*your edits are safe"):
            keeper.settle()
        assert read_map(place.journal) == edited

    def test_a_folder_that_cannot_be_written_is_an_error_and_leaves_all_as_it_was(self, file):
        table, place, _ = file
        before = now(table)
        place.journal.with_name(place.journal.name + ".part").mkdir()  # in the way
        with pytest.raises(OSError, match="edits.json.part"):
            keeper_of(table, place).keep(Edit(named(table)))
        assert now(table) == before

    def test_a_cut_at_another_number_brings_its_consensus(self, file):
        table, place, reread = file
        keeper, wanted = keeper_of(table, place), ConsensusSettings(2)
        found = find_metaclusters(nodes_of(record_of(table, "nimbus")), wanted)
        keeper.keep(Edit(now(table).assign(ClusterMap.of(found.labels.tolist())), (found, wanted)))
        keeper.settle()
        record = reread().uns["nimbus_cluster"]
        assert record["consensus"]["settings"]["n_metaclusters"] == 2
        np.testing.assert_allclose(record["consensus"]["matrix"], found.matrix, atol=1e-6)
        assert len(now(reread()).names) == 2

    def test_who_else_reads_the_table_in_memory_finds_an_edit_in_it_at_once(self, file):
        table, place, _ = file
        edited = named(table)
        keeper_of(table, place).keep(Edit(edited))
        assert now(table) == edited
        assert (table.obs["nimbus_metacluster"] == "T cell").sum() == 70

    @pytest.mark.parametrize("alone", [False, True])
    def test_a_cut_that_another_edit_follows_at_once_brings_its_consensus_too(self, file, alone):
        table, place, reread = file
        keeper, wanted = keeper_of(table, place, alone=alone), ConsensusSettings(2)
        found = find_metaclusters(nodes_of(record_of(table, "nimbus")), wanted)
        cut = now(table).assign(ClusterMap.of(found.labels.tolist()))
        keeper.keep(Edit(cut, (found, wanted)))
        keeper.keep(Edit(cut.rename(0, "T cell")))
        keeper.settle()
        assert reread().uns["nimbus_cluster"]["consensus"]["settings"]["n_metaclusters"] == 2
        assert now(reread()).names[0] == "T cell"

    @pytest.mark.parametrize("alone", [False, True])
    def test_an_edit_made_while_the_table_is_written_stays_beside_it(
        self, file, monkeypatch, alone
    ):
        table, place, reread = file
        keeper, first = keeper_of(table, place, alone=alone), named(table)
        second = first.rename(2, "B cell")
        keeper.keep(Edit(first))

        def written_slowly(*args, **more):
            write_touched(*args, **more)
            keeper.keep(Edit(second))

        with monkeypatch.context() as patched:
            patched.setattr("nimbus.gui.keeping.write_touched", written_slowly)
            keeper.settle()
        assert now(reread()) == first
        assert read_map(place.journal) == second
        keeper.settle()
        assert now(reread()) == second
        assert not place.journal.exists()

    def test_a_table_that_is_written_before_it_has_the_edit_does_not_lose_it(
        self, file, monkeypatch
    ):
        table, place, reread = file
        keeper, edited = keeper_of(table, place), named(table)
        behind, kept = threading.Thread(target=keeper.settle), InMemory.keep

        def kept_late(memory, work):
            behind.start()
            behind.join(0.3)  # it waits, or is done by now
            kept(memory, work)

        monkeypatch.setattr(InMemory, "keep", kept_late)
        keeper.keep(Edit(edited))
        behind.join()
        assert now(reread()) == edited or read_map(place.journal) == edited
