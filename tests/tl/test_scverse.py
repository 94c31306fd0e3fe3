"""What clustering and naming leave in a table is what scanpy, squidpy and spatialdata-plot take."""

from __future__ import annotations

from importlib.util import find_spec

import anndata as ad
import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
import spatialdata as sd
import squidpy as sq
from matplotlib.colors import to_hex

import nimbus

matplotlib.use("Agg")

MARKERS = ["CD3", "CD20", "CD68", "PANCK"]
TYPES = {
    "T cell": [1, 0, 0, 0],
    "B cell": [0, 1, 0, 0],
    "macrophage": [0, 0, 1, 0],
    "epithelium": [0, 0, 0, 1],
}
CLUSTER, TYPE = "nimbus_metacluster", "nimbus_cell_type"


@pytest.fixture(scope="module")
def made():
    """Two fields of simulated tissue: scores, metaclusters that were edited by hand, types."""
    sdata = nimbus.datasets.tissue(
        shape=(180, 180), n_fovs=2, markers=MARKERS, n_cells=160, random_state=3
    )
    table = sdata["table"]
    rng = np.random.default_rng(0)
    truth = table.layers["truth"] == 1
    high, low = rng.beta(6, 1.6, truth.shape), rng.beta(1.2, 9, truth.shape)
    table.layers["nimbus"] = np.where(truth, high, low).astype(np.float32)
    table.layers["nimbus"][7, 1] = np.nan  # a cell without a node
    with pytest.warns(UserWarning, match="miss a value"):
        nimbus.tl.cluster(sdata, grid=(5, 5), n_metaclusters=7)
    nimbus.tl.remap(sdata, merge=[["0", "6"]], colors={"1": "red"})
    nimbus.tl.remap(sdata, {"2": "Größe/2, small"})
    nimbus.tl.annotate(sdata, pd.DataFrame(TYPES, index=MARKERS).T, posterior=True)
    return sdata


@pytest.fixture
def table(made):
    return made["table"].copy()


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    plt.close("all")


def same(new, old, where=""):
    """All that is stored is equal, in values and kinds, however deep it lies."""
    if isinstance(old, dict):
        assert set(new) == set(old), where
        for key in old:
            same(new[key], old[key], f"{where}/{key}")
    elif isinstance(old, pd.DataFrame):
        loose = {"check_dtype": False, "check_index_type": False, "check_column_type": False}
        pd.testing.assert_frame_equal(new, old, obj=where, **loose)
    elif isinstance(old, np.ndarray):
        assert np.shape(new) == old.shape, where
        if old.dtype.kind in "fc":
            np.testing.assert_array_equal(new, old, err_msg=where)
        else:
            assert np.asarray(new).tolist() == old.tolist(), where
    elif isinstance(old, list | tuple):
        assert [str(one) for one in new] == [str(one) for one in old], where
    else:
        assert new == old, where


def same_table(new, old):
    for column in old.obs:
        read, stored = (one.obs[column].astype(object) for one in (new, old))
        assert (
            read.where(read.notna(), None).tolist() == stored.where(stored.notna(), None).tolist()
        )
        if isinstance(old.obs[column].dtype, pd.CategoricalDtype):
            assert list(new.obs[column].cat.categories) == list(old.obs[column].cat.categories)
    for name, values in old.obsm.items():
        np.testing.assert_array_equal(new.obsm[name], values)
    for name in old.layers:
        if name is not None:
            np.testing.assert_array_equal(new.layers[name], old.layers[name])
    own = [key for key in old.uns if "nimbus" in key]
    assert len(own) >= 5, f"proves nothing: there is only {own}"
    for key in own:
        same(new.uns[key], old.uns[key], key)


class TestScanpy:
    @pytest.mark.parametrize("groupby", [CLUSTER, TYPE])
    def test_matrixplot_shows_the_mean_of_each_group(self, table, groupby):
        # A tree is stored with the metaclusters; of other groups scanpy makes one of X.
        table.X = np.nan_to_num(table.layers["nimbus"])
        table = table[table.obs[groupby].notna()].copy()
        drawn = sc.pl.matrixplot(
            table, MARKERS, groupby, layer="nimbus", dendrogram=True, return_fig=True, show=False
        )
        drawn.make_figure()
        scores = pd.DataFrame(table.layers["nimbus"], columns=MARKERS)
        means = scores.groupby(table.obs[groupby].to_numpy().astype(str)).mean()
        for name in means.index:
            np.testing.assert_allclose(drawn.values_df.loc[name], means.loc[name], rtol=1e-4)
        order = table.uns[f"dendrogram_{groupby}"]["categories_ordered"]
        assert sorted(order) == sorted(table.obs[groupby].cat.categories)

    def test_the_tree_of_metaclusters_is_taken_as_it_is(self, table):
        table = table[table.obs[CLUSTER].notna()].copy()
        before = np.array(table.uns[f"dendrogram_{CLUSTER}"]["linkage"])
        drawn = sc.pl.dotplot(
            table, MARKERS, CLUSTER, layer="nimbus", dendrogram=True, return_fig=True, show=False
        )
        drawn.make_figure()
        np.testing.assert_array_equal(table.uns[f"dendrogram_{CLUSTER}"]["linkage"], before)

    @pytest.mark.parametrize(
        "edit",
        [
            lambda table: nimbus.tl.remap(table, {"3": "kept"}),
            lambda table: nimbus.tl.metacluster(table, n_metaclusters=4),
        ],
        ids=["remap", "metacluster"],
    )
    def test_groups_whose_cells_were_taken_out_are_no_categories(self, table, edit):
        gone = table.obs[CLUSTER].cat.categories[0]
        part = table[table.obs[CLUSTER] != gone].copy()
        assert gone not in part.obs[CLUSTER].cat.categories, "proves nothing: anndata keeps it"
        edit(part)
        there = part.obs[CLUSTER].cat.categories
        assert set(there) == set(part.obs[CLUSTER].dropna())
        assert len(part.uns[f"{CLUSTER}_colors"]) == len(there)
        sc.pl.dotplot(part, MARKERS, CLUSTER, layer="nimbus", dendrogram=True, show=False)

    def test_a_group_that_was_taken_out_is_still_in_the_map_and_others_keep_colours(self, table):
        part = table[table.obs[CLUSTER] != "0"].copy()
        before = list(part.uns[f"{CLUSTER}_colors"])
        nimbus.tl.remap(part, {"1": "first"})
        assert list(part.uns[f"{CLUSTER}_colors"]) == before
        assert nimbus.tl.remap(part, merge=[["first", "0"]]).undo().names[0] == "0"

    def test_ranked_markers_are_those_of_the_type(self, table):
        table = table[table.obs[TYPE].isin(list(TYPES))].copy()
        sc.tl.rank_genes_groups(table, TYPE, layer="nimbus", method="t-test", use_raw=False)
        names = table.uns["rank_genes_groups"]["names"]
        for name, row in TYPES.items():
            assert names[name][0] == MARKERS[int(np.argmax(row))]

    @pytest.mark.skipif(find_spec("igraph") is None, reason="igraph is not installed here")
    def test_leiden_on_the_layer_finds_the_types(self, table):
        table = table[table.obs[TYPE].notna() & table.obs[CLUSTER].notna()].copy()
        table.obsm["X_nimbus"] = table.layers["nimbus"]
        sc.pp.neighbors(table, use_rep="X_nimbus", n_neighbors=12, method="gauss")
        sc.tl.leiden(table, flavor="igraph", n_iterations=2, directed=False, random_state=0)
        named = table[table.obs[TYPE].isin(list(TYPES))].obs
        cells = pd.crosstab(named["leiden"], named[TYPE])
        assert cells.max(axis=1).sum() / cells.to_numpy().sum() > 0.95

    def test_colours_are_taken(self, table):
        table.obsm["X_umap"] = np.asarray(table.obsm["spatial"])
        table = table[table.obs[CLUSTER].notna()].copy()
        ax = sc.pl.umap(table, color=CLUSTER, show=False)
        shown = {
            one.get_text(): to_hex(handle.get_facecolor()[0])
            for one, handle in zip(
                ax.get_legend().get_texts(), ax.get_legend().legend_handles, strict=True
            )
        }
        assert shown == {
            str(name): to_hex(color)
            for name, color in zip(
                table.obs[CLUSTER].cat.categories, table.uns[f"{CLUSTER}_colors"], strict=True
            )
        }
        assert shown["1"] == "#ff0000"


class TestSquidpy:
    @pytest.fixture
    def graph(self, table):
        table = table[table.obs[CLUSTER].notna() & table.obs[TYPE].notna()].copy()
        sq.gr.spatial_neighbors(table, library_key="region", coord_type="generic", n_neighs=6)
        return table

    def test_no_neighbours_across_fields(self, graph):
        first, second = graph.obsp["spatial_connectivities"].nonzero()
        region = graph.obs["region"].astype(str).to_numpy()
        assert first.size >= 6 * graph.n_obs
        assert (region[first] == region[second]).all()

    @pytest.mark.parametrize("key", [CLUSTER, TYPE])
    def test_enrichment_of_neighbours_is_of_our_groups(self, graph, key):
        sq.gr.nhood_enrichment(
            graph, key, library_key="region", n_perms=20, seed=0, show_progress_bar=False
        )
        found = graph.uns[f"{key}_nhood_enrichment"]
        names = list(graph.obs[key].cat.categories)
        counts = pd.DataFrame(found["count"], index=names, columns=names)
        first, second = graph.obsp["spatial_connectivities"].nonzero()
        own = graph.obs[key].astype(str).to_numpy()
        by_hand = pd.crosstab(own[first], own[second]).reindex(
            index=names, columns=names, fill_value=0
        )
        np.testing.assert_array_equal(counts.to_numpy(), by_hand.to_numpy())

    def test_tissue_has_its_structure(self, graph):
        sq.gr.nhood_enrichment(
            graph, TYPE, library_key="region", n_perms=50, seed=0, show_progress_bar=False
        )
        scores = graph.uns[f"{TYPE}_nhood_enrichment"]["zscore"]
        assert np.diag(scores).mean() > 2, "cells of one type lie together in this tissue"

    def test_co_occurrence_has_a_curve_for_each_pair(self, graph):
        one = graph[graph.obs["region"] == "fov0_labels"].copy()
        n = len(one.obs[TYPE].cat.categories)
        sq.gr.co_occurrence(one, TYPE, interval=np.linspace(2, 40, 6).astype(np.float32))
        found = one.uns[f"{TYPE}_co_occurrence"]["occ"]
        assert found.shape == (n, n, 5)
        own = list(one.obs[TYPE].cat.categories).index("B cell")
        assert found[own, own, 0] > found[own, own, -1] > 0


class TestSpatialdata:
    @pytest.mark.parametrize("key", [CLUSTER, TYPE])
    def test_plot_takes_groups_and_colours(self, made, key):
        pytest.importorskip("spatialdata_plot", reason="the extra 'plot' is not installed")
        ax = plt.subplots()[1]
        made.pl.render_labels(
            "fov0_labels", color=key, table_name="table", fill_alpha=1.0, contour_px=None
        ).pl.show(coordinate_systems="fov0", ax=ax, show=False)
        pixels = np.asarray(ax.images[0].get_array())
        labels = made["fov0_labels"].to_numpy()
        assert pixels.shape[:2] == labels.shape
        table = made["table"]
        own = table[table.obs["region"] == "fov0_labels"].obs
        colors = dict(zip(table.obs[key].cat.categories, table.uns[f"{key}_colors"], strict=True))
        for cell, name in zip(own["instance_id"][::9], own[key][::9], strict=True):
            if isinstance(name, str):
                seen = {to_hex(pixel[:3]) for pixel in pixels[labels == cell]}
                assert seen == {to_hex(colors[name])}, name

    def test_a_store_keeps_all_of_it(self, made, tmp_path):
        made.write(tmp_path / "s.zarr")
        read = sd.read_zarr(tmp_path / "s.zarr")
        same_table(read["table"], made["table"])

    def test_a_file_of_the_table_keeps_all_of_it(self, table, tmp_path):
        table.write_h5ad(tmp_path / "t.h5ad")
        read = ad.read_h5ad(tmp_path / "t.h5ad")
        same_table(read, table)
        read.write_h5ad(tmp_path / "again.h5ad")  # what was read can be written
        same_table(ad.read_h5ad(tmp_path / "again.h5ad"), table)

    def test_verbs_and_figures_go_on_with_what_was_read(self, table, tmp_path):
        table.write_h5ad(tmp_path / "t.h5ad")
        read = ad.read_h5ad(tmp_path / "t.h5ad")
        renamed = nimbus.tl.remap(read)
        assert "Größe/2, small" in renamed.names.values()
        nimbus.tl.remap(read, renamed.undo())
        assert "2" in read.obs[CLUSTER].cat.categories
        nimbus.tl.metacluster(read, n_metaclusters=4)
        assert len(nimbus.pl.metaclusters(read, show=False)) == 2
        assert len(nimbus.pl.som(read, glyph="pie", show=False)) == 2
