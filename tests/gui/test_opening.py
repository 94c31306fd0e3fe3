"""From tables and stores to a desk, and what of the tissue is seen."""

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import spatialdata
from anndata import AnnData
from scipy.sparse import csr_matrix

import nimbus
from nimbus.gui.cells import numbers_of
from nimbus.gui.keeping import Edit
from nimbus.gui.opening import Request, desk_of, open_desk
from nimbus.gui.scene import packed
from nimbus.gui.tissue import DENSITY, LabelledTissue, PointTissue


@pytest.fixture(scope="module")
def sdata(clustered_store):
    return spatialdata.read_zarr(clustered_store)


@pytest.fixture(scope="module")
def desk(sdata):
    return desk_of(sdata, Request("nimbus"))


def nodes_by_cell(sdata, field):
    table = sdata.tables["table"]
    own = (table.obs["region"] == field).to_numpy()
    node = numbers_of(table.obs["nimbus_som"])
    return dict(zip(table.obs["instance_id"].to_numpy()[own], node[own], strict=True))


def as_frame(values):
    """The same with columns called as those of an array."""
    names = [f"X_pca_{k}" for k in range(values.shape[1])]
    return pd.DataFrame(values, index=[str(k) for k in range(len(values))], columns=names)


class TestFacts:
    def test_cells_are_counted_in_their_fields(self, desk, sdata):
        table = sdata.tables["table"]
        regions = table.obs["region"].value_counts()
        assert desk.facts.cells.fields == ("fov0_labels", "fov1_labels")
        every = range(desk.facts.nodes.counts.size)
        assert desk.facts.cells.per_field(every).tolist() == [
            regions["fov0_labels"],
            regions["fov1_labels"],
        ]

    def test_the_histogram_is_of_what_was_clustered_or_of_a_layer(self, desk, sdata):
        found = desk.facts.histograms.of("CD3")
        assert found.counts.sum() == sdata.tables["table"].n_obs
        other = desk_of(sdata, Request("nimbus", layer="truth")).facts.histograms.of("CD3")
        truth = sdata.tables["table"].layers["truth"][
            :, list(sdata["table"].var_names).index("CD3")
        ]
        assert other.counts[:, -1].sum() == truth.sum()
        with pytest.raises(ValueError, match="layer 'trut' does not exist"):
            desk_of(sdata, Request("nimbus", layer="trut"))

    @pytest.mark.parametrize("form", [np.asarray, csr_matrix, as_frame])
    def test_the_histogram_is_of_the_column_of_obsm_that_was_clustered(self, form):
        low, high = np.array([[0, 10, 20, 30, 100], [1, 11, 21, 31, 101]], dtype=float)
        values = low + (high - low) * np.random.default_rng(0).random((60, 5))
        values[:, 0] = np.nan  # left out by itself
        table = AnnData(np.zeros((60, 2)), obsm={"X_pca": form(values)})
        with pytest.warns(UserWarning, match="left out, because no cell has a value: 'X_pca_0'"):
            nimbus.tl.cluster(table, obsm="X_pca", grid=(2, 2), n_metaclusters=2, key_added="all")
        nimbus.tl.cluster(
            table, obsm="X_pca", markers=["X_pca_2", "X_pca_4"], grid=(2, 2), n_metaclusters=2
        )
        for key, column in (("nimbus", 2), ("nimbus", 4), ("all", 1), ("all", 4)):
            edges = desk_of(table, Request(key)).facts.histograms.of(f"X_pca_{column}").edges
            own = values[:, column]
            assert edges[[0, -1]] == pytest.approx([own.min(), own.max()])

    def test_an_obsm_that_is_gone_is_named(self):
        table = AnnData(np.zeros((9, 1)), obsm={"X_pca": np.random.default_rng(0).random((9, 2))})
        nimbus.tl.cluster(table, obsm="X_pca", grid=(2, 2), n_metaclusters=2)
        table.obsm["X_umap"] = table.obsm.pop("X_pca")
        with pytest.raises(ValueError, match="key of obsm 'X_pca' does not exist.*'X_umap'"):
            desk_of(table, Request("nimbus"))

    def test_a_table_without_clusters_is_refused_with_what_to_do(self):
        table = AnnData(np.zeros((3, 1)))
        with pytest.raises(ValueError, match=r"run nimbus\.tl\.cluster first"):
            desk_of(table, Request("nimbus"))

    def test_write_needs_a_store(self, sdata):
        with pytest.raises(ValueError, match="have no store"):
            desk_of(sdata.tables["table"], Request("nimbus"), write=True)

    def test_only_nodes_with_cells_are_on_the_tree(self, desk):
        there = np.flatnonzero(desk.facts.nodes.counts)
        assert np.isfinite(desk.facts.places["tree"][there]).all()
        assert sorted(set(desk.facts.edges.ravel().tolist())) == there.tolist()
        assert len(desk.facts.edges) == len(there) - 1


class TestTissue:
    def test_every_drawn_pixel_has_the_node_of_its_cell(self, desk, sdata):
        tissue = desk.facts.tissue
        assert isinstance(tissue, LabelledTissue)
        field = "fov1_labels"
        scene = tissue.scene(field, "CD3", tissue.whole(field), max_pixels=160)
        labels = np.asarray(sdata.labels[field].data)
        nodes = nodes_by_cell(sdata, field)
        expected = np.vectorize(lambda cell: nodes.get(cell, -1))(labels)
        np.testing.assert_array_equal(scene.node, expected)
        image = sdata.images["fov1_image"]
        np.testing.assert_allclose(scene.values, image.sel(c="CD3").to_numpy())

    def test_a_part_is_read_at_its_own_resolution(self, desk):
        tissue = desk.facts.tissue
        left, right, top, bottom = tissue.whole("fov0_labels")
        half = (left, (left + right) / 2, top, (top + bottom) / 2)
        assert tissue.scene("fov0_labels", "CD3", half, max_pixels=80).values.shape == (80, 80)
        coarse = tissue.scene("fov0_labels", "CD3", (left, right, top, bottom), max_pixels=80)
        assert coarse.values.shape == (80, 80)
        assert coarse.extent == pytest.approx((left, right, top, bottom))

    def test_a_part_beside_the_image_shows_all_of_it(self, desk):
        tissue = desk.facts.tissue
        away = tissue.scene("fov0_labels", "CD3", (1e6, 2e6, 1e6, 2e6), max_pixels=40)
        assert away.extent == pytest.approx(tissue.whole("fov0_labels"))

    def test_a_place_has_the_node_of_the_cell_there(self, desk, sdata):
        field = "fov0_labels"
        labels = np.asarray(sdata.labels[field].data)
        nodes, tissue = nodes_by_cell(sdata, field), desk.facts.tissue
        left, right, *_ = tissue.whole(field)
        size = (right - left) / labels.shape[1]
        rng = np.random.default_rng(0)
        for row, column in rng.integers(0, 160, (30, 2)):
            found = tissue.node_at(field, (column + 0.5) * size, (row + 0.5) * size)
            assert found == nodes.get(labels[row, column], -1)
        assert tissue.node_at(field, -5.0, 3.0) == -1

    def test_a_table_alone_has_points_and_the_nearest_cell(self, sdata):
        table = sdata.tables["table"].copy()
        del table.uns["spatialdata_attrs"]
        found = desk_of(table, Request("nimbus", region_key="region")).facts
        tissue = found.tissue
        assert isinstance(tissue, PointTissue)
        assert tissue.channels("fov0_labels") == (DENSITY,)
        place = table.obsm["spatial"][5]
        node = numbers_of(table.obs["nimbus_som"])[5]
        field = str(table.obs["region"].iloc[5])
        assert tissue.node_at(field, *(place + 0.01)) == node
        scene = tissue.scene(field, DENSITY, tissue.whole(field), max_pixels=100)
        colors = np.full(26, packed("#ff0000"), np.uint32)
        assert np.count_nonzero(scene.paint(colors)) >= (table.obs["region"] == field).sum() / 2

    def test_a_table_without_places_has_no_tissue(self):
        scores = np.repeat([[0.9, 0.1], [0.1, 0.9]], 20, axis=0)
        table = AnnData(np.zeros((40, 2)), layers={"nimbus": scores})
        nimbus.tl.cluster(table, grid=(2, 2), n_metaclusters=2)
        assert desk_of(table, Request("nimbus")).facts.tissue is None


class TestStoresOfTablesInMemory:
    """``gui.remap(sdata, write=True)``: edits of the table in memory go to its store."""

    def edited(self, sdata):
        desk = desk_of(sdata, Request("nimbus"), write=True)
        desk.commit(desk.state.rename(0, "T cell"))
        return desk.saving.finish()

    def test_edits_are_in_both_when_it_is_finished(self, store):
        sdata = spatialdata.read_zarr(store)
        assert self.edited(sdata).kind == "saved"
        for table in (sdata["table"], spatialdata.read_zarr(store)["table"]):
            assert "T cell" in set(table.obs["nimbus_metacluster"])

    @pytest.mark.parametrize(
        "changed",
        [
            lambda table: table[:100].copy(),
            lambda table: table[::-1].copy(),
            lambda table: nimbus.tl.remap(table, {"1": "B cell"}) and table,
            lambda table: nimbus.tl.cluster(table, grid=(3, 3), n_metaclusters=3) or table,
        ],
        ids=["filtered", "sorted", "renamed", "clustered again"],
    )
    @pytest.mark.filterwarnings("ignore:markers without a positive cell")
    def test_a_table_that_is_another_in_the_store_is_written_first(self, store, changed):
        sdata = spatialdata.read_zarr(store)
        sdata["table"] = changed(sdata["table"])
        before = spatialdata.read_zarr(store)["table"]
        with pytest.raises(ValueError, match=r"as it is in memory.*write_table\(sdata, 'table'\)"):
            self.edited(sdata)
        pd.testing.assert_frame_equal(spatialdata.read_zarr(store)["table"].obs, before.obs)
        nimbus.io.write_table(sdata, "table")
        assert self.edited(sdata).kind == "saved"
        after = spatialdata.read_zarr(store)["table"].obs
        assert (
            after["nimbus_metacluster"].tolist()
            == sdata["table"].obs["nimbus_metacluster"].tolist()
        )

    def test_a_clustering_that_the_store_does_not_have_is_written_first(self, store):
        sdata = spatialdata.read_zarr(store)
        nimbus.tl.cluster(sdata, grid=(3, 3), n_metaclusters=3, markers=["CD3"], key_added="new")
        with pytest.raises(ValueError, match="or not these metaclusters"):
            desk_of(sdata, Request("new"), write=True)

    def test_edits_that_did_not_reach_the_store_are_not_replaced(self, store):
        sdata = spatialdata.read_zarr(store)
        desk = desk_of(sdata, Request("nimbus"), write=True)
        keeper = desk.saving.keeper
        keeper.keep(Edit(desk.state.rename(0, "T cell").clusters))  # and then the program stops
        again = spatialdata.read_zarr(store)
        with pytest.raises(ValueError, match=r"edits\.json' holds edits that did not reach"):
            desk_of(again, Request("nimbus"), write=True)
        assert open_desk(store, Request("nimbus")).state.clusters.names[0] == "T cell"


class TestStores:
    def test_edits_of_a_store_are_in_it_when_it_is_finished(self, store):
        desk = open_desk(store, Request("nimbus"))
        desk.commit(desk.state.rename(0, "T cell"))
        assert desk.saving.finish().kind == "saved"
        read = spatialdata.read_zarr(store).tables["table"]
        assert "T cell" in set(read.obs["nimbus_metacluster"])
        assert open_desk(store, Request("nimbus")).state.clusters.names[0] == "T cell"

    @pytest.mark.parametrize("name", [".", ".."])
    def test_a_store_is_opened_from_within_it(self, store, monkeypatch, name):
        monkeypatch.chdir(store if name == "." else store / "tables")
        desk = open_desk(Path(name), Request("nimbus"))
        assert desk.facts.title == "tissue.zarr"
        desk.saving.keeper.keep(Edit(desk.state.rename(0, "T cell").clusters))
        assert [path.name for path in store.parent.glob("*.json")] == [
            "tissue.zarr.table.nimbus.edits.json"
        ]

    def test_a_file_is_opened_alike(self, sdata, tmp_path):
        path = tmp_path / "cells.h5ad"
        sdata.tables["table"].write_h5ad(path)
        desk = open_desk(path, Request("nimbus"))
        desk.commit(desk.state.rename(0, "T cell"))
        assert desk.saving.finish().kind == "saved"
        assert "T cell" in set(anndata.read_h5ad(path).obs["nimbus_metacluster"])

    def test_a_store_that_is_not_there_is_named(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"no store '.*none\.zarr'"):
            open_desk(tmp_path / "none.zarr", Request("nimbus"))

    def test_a_store_without_a_table_says_what_to_do(self, tmp_path):
        spatialdata.SpatialData().write(tmp_path / "bare.zarr")
        with pytest.raises(ValueError, match="holds no table; score and cluster"):
            open_desk(tmp_path / "bare.zarr", Request("nimbus"))

    def test_an_edited_table_in_memory_is_edited_at_once(self, sdata):
        table = sdata.tables["table"].copy()
        desk = desk_of(table, Request("nimbus"))
        desk.commit(desk.state.rename(0, "T cell"))
        assert "T cell" in set(table.obs["nimbus_metacluster"])
        assert nimbus.tl.remap(table).names[0] == "T cell"
