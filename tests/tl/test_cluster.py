import anndata as ad
import dask.array as da
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from scipy.sparse import csr_matrix

import nimbus
from nimbus.cluster.rows import SPAN
from support.planted import plant_types
from support.tissue import draw_sdata

KEYS = ("codebook", "layout_codebook", "node_means", "node_counts", "metacluster")
SMALL = {"grid": (5, 6), "n_metaclusters": 12}


def make_table(n_cells=600, **options):
    values, kind = plant_types(n_cells, **options)
    names = [f"M{k}" for k in range(values.shape[1])]
    obs = pd.DataFrame(
        {"type": [f"type {k}" for k in kind]}, index=[f"c{i}" for i in range(n_cells)]
    )
    table = ad.AnnData(values.copy(), obs=obs, var=pd.DataFrame(index=names))
    table.layers["nimbus"] = values
    return table


def same_result(one, two, key="nimbus"):
    for name in ("som", "metacluster"):
        left, right = (t.obs[f"{key}_{name}"] for t in (one, two))
        assert list(left.index) == list(right.index)
        # As lists: the text of categories is of objects or of str, as pandas has it.
        assert list(left.cat.categories) == list(right.cat.categories)
        assert left.cat.ordered == right.cat.ordered
        np.testing.assert_array_equal(left.cat.codes, right.cat.codes)
    pd.testing.assert_series_equal(one.obs[f"{key}_som_distance"], two.obs[f"{key}_som_distance"])
    for name in KEYS:
        first, second = (t.uns[f"{key}_cluster"][name] for t in (one, two))
        assert np.asarray(first).tobytes() == np.asarray(second).tobytes(), name


@pytest.fixture(scope="module")
def clustered():
    table = make_table()
    nimbus.tl.cluster(table, **SMALL)
    return table


class TestResult:
    def test_types_are_found(self, clustered):
        for key, purity in (("som", 0.97), ("metacluster", 0.85)):  # 30 nodes, 12 metaclusters
            pairs = pd.crosstab(clustered.obs[f"nimbus_{key}"], clustered.obs["type"])
            assert pairs.max(axis=1).sum() / 600 > purity

    def test_nodes_are_rows_of_the_codebook(self, clustered):
        uns = clustered.uns["nimbus_cluster"]
        node = clustered.obs["nimbus_som"].astype(int).to_numpy()
        away = clustered.layers["nimbus"][:, None] - uns["codebook"][None]
        far = np.sqrt((away**2).sum(axis=2))
        np.testing.assert_array_equal(node, far.argmin(axis=1))
        np.testing.assert_allclose(clustered.obs["nimbus_som_distance"], far.min(1), rtol=1e-4)
        assert uns["quantisation_error"] == pytest.approx(far.min(axis=1).mean(), rel=1e-4)
        np.testing.assert_array_equal(uns["node_counts"], np.bincount(node, minlength=30))
        for k in np.unique(node):
            own = clustered.layers["nimbus"][node == k].mean(axis=0)
            np.testing.assert_allclose(uns["node_means"][k], own, rtol=1e-5)

    def test_metaclusters_follow_the_nodes(self, clustered):
        label = clustered.uns["nimbus_cluster"]["metacluster"]
        node = clustered.obs["nimbus_som"].astype(int).to_numpy()
        np.testing.assert_array_equal(clustered.obs["nimbus_metacluster"].astype(int), label[node])
        sizes = clustered.obs["nimbus_metacluster"].value_counts(sort=False)
        assert list(sizes.index) == [str(k) for k in range(12)]
        assert sizes.iloc[0] == sizes.max()

    @pytest.mark.parametrize("kind", ["h5ad", "zarr"])
    def test_it_survives_the_disk(self, clustered, tmp_path, kind):
        path = tmp_path / f"table.{kind}"
        getattr(clustered, f"write_{kind}")(path)
        back = getattr(ad, f"read_{kind}")(path)
        same_result(back, clustered)
        settings = back.uns["nimbus_cluster"]["settings"]
        assert settings["solver_options"]["sigma_end"] == 0.3
        assert settings["source"] == "layers/nimbus"
        assert list(back.uns["nimbus_cluster"]["markers"]) == list(clustered.var_names)

    def test_scanpy_takes_it(self, clustered):
        table = clustered.copy()
        sc.tl.rank_genes_groups(table, "nimbus_metacluster", layer="nimbus", method="wilcoxon")
        assert len(table.uns["rank_genes_groups"]["names"].dtype.names) == 12


class TestSources:
    @pytest.fixture(scope="class")
    def big(self):
        table = make_table(SPAN + 900)
        nimbus.tl.cluster(table, **SMALL, n_jobs=1)
        return table

    @pytest.mark.parametrize("chunks", [(7000, 3), (SPAN + 900, 10), (SPAN - 1, 10)])
    @pytest.mark.parametrize("max_train_cells", [None, 1_000_000])
    def test_chunks_change_no_bit(self, big, chunks, max_train_cells):
        table = make_table(SPAN + 900)
        table.layers["nimbus"] = da.from_array(table.layers["nimbus"], chunks=chunks)
        nimbus.tl.cluster(table, **SMALL, max_train_cells=max_train_cells, n_jobs=2)
        assert isinstance(table.layers["nimbus"], da.Array)
        same_result(table, big)

    def test_training_on_all_in_place_is_the_same(self, big):
        table = make_table(SPAN + 900)
        nimbus.tl.cluster(table, **SMALL, max_train_cells=None, n_jobs=2)
        same_result(table, big)

    def test_a_backed_file_is_the_same(self, clustered, tmp_path):
        make_table().write_h5ad(tmp_path / "table.h5ad")
        for max_train_cells in (None, 1_000_000):
            table = ad.read_h5ad(tmp_path / "table.h5ad", backed="r")
            nimbus.tl.cluster(table, layer=None, **SMALL, max_train_cells=max_train_cells)
            assert table.isbacked
            same_result(table, clustered)
            table.file.close()

    def test_a_lazy_layer_of_a_zarr_store_is_the_same(self, clustered, tmp_path):
        import zarr

        make_table().write_zarr(tmp_path / "table.zarr")
        table = make_table()
        stored = zarr.open_group(tmp_path / "table.zarr", mode="r")["layers/nimbus"]
        table.layers["nimbus"] = ad.experimental.read_elem_lazy(stored)
        assert isinstance(table.layers["nimbus"], da.Array)
        nimbus.tl.cluster(table, **SMALL)
        same_result(table, clustered)

    def test_sparse_values_x_obsm_and_tables_of_spatialdata(self, clustered):
        table = make_table()
        table.layers["sparse"] = csr_matrix(table.layers["nimbus"])
        table.obsm["scores"] = table.to_df()
        table.obsm["plain"] = table.X
        for source in ({"layer": "sparse"}, {"layer": None}, {"obsm": "scores"}, {"obsm": "plain"}):
            nimbus.tl.cluster(table, **source, **SMALL)
            same_result(table, clustered)
        assert list(table.uns["nimbus_cluster"]["markers"])[:2] == ["plain_0", "plain_1"]

        sdata = draw_sdata([(60, 80)])
        nimbus.pp.integrate(sdata, show_progress_bar=False)
        nimbus.tl.cluster(
            sdata, layer="integrated", grid=(2, 2), n_metaclusters=2, key_added="mean"
        )
        assert sdata.tables["table"].obs["mean_metacluster"].nunique() == 2


class TestChoices:
    def test_named_markers_are_used_in_their_order(self):
        table = make_table()
        nimbus.tl.cluster(table, markers=["M3", "M1"], **SMALL | {"n_metaclusters": 4})
        uns = table.uns["nimbus_cluster"]
        assert list(uns["markers"]) == ["M3", "M1"]
        own = table.layers["nimbus"][(table.obs["nimbus_som"] == "0").to_numpy()][:, [3, 1]]
        np.testing.assert_allclose(uns["node_means"][0], own.mean(axis=0), rtol=1e-5)

    def test_a_sample_trains_and_all_cells_are_assigned(self, clustered):
        table = make_table()
        table.obs["region"] = np.repeat(["a", "b"], 300)
        nimbus.tl.cluster(table, **SMALL, max_train_cells=200, random_state=3)
        again = make_table()
        again.obs["region"] = table.obs["region"]
        nimbus.tl.cluster(again, **SMALL, max_train_cells=200, random_state=3)
        same_result(table, again)
        assert table.obs["nimbus_som"].notna().all()
        one, two = (t.uns["nimbus_cluster"]["codebook"] for t in (table, clustered))
        assert np.abs(one - two).max() > 0.01, "the sample is all cells"

    @pytest.mark.filterwarnings("ignore:markers without a positive cell")
    def test_only_the_chosen_group_is_clustered(self):
        table = make_table()
        wanted = ["type 1", "type 4"]
        options = {"grid": (3, 3), "n_metaclusters": 2}
        nimbus.tl.cluster(table, restrict_to=("type", wanted), key_added="sub", **options)
        own = table.obs["type"].isin(wanted).to_numpy()
        np.testing.assert_array_equal(table.obs["sub_som"].notna(), own)
        np.testing.assert_array_equal(table.obs["sub_metacluster"].notna(), own)
        alone = table[own].copy()
        nimbus.tl.cluster(alone, key_added="sub", **options)
        for name in KEYS:
            one, two = (t.uns["sub_cluster"][name] for t in (table, alone))
            np.testing.assert_array_equal(one, two)
        pairs = pd.crosstab(table.obs["sub_metacluster"], table.obs["type"])
        assert pairs.max(axis=1).sum() > 0.95 * own.sum()

    def test_weights_decide_what_separates(self):
        table = make_table()
        options = {"grid": (1, 2), "n_metaclusters": None}
        for marker in ("M2", "M5"):
            nimbus.tl.cluster(table, weights={marker: 10.0}, key_added=marker, **options)
            series = pd.Series({marker: 10.0})
            nimbus.tl.cluster(table, weights=series, key_added="s", **options)
            assert table.obs["s_som"].tolist() == table.obs[f"{marker}_som"].tolist()
            means = table.uns[f"{marker}_cluster"]["node_means"]
            assert np.argmax(np.abs(means[1] - means[0])) == int(marker[1])
        assert "M2_metacluster" not in table.obs

    def test_minisom_runs_with_its_own_options(self):
        pytest.importorskip("minisom")
        table = make_table()
        nimbus.tl.cluster(table, solver="minisom", solver_options={"sigma": 1.5}, **SMALL)
        assert table.uns["nimbus_cluster"]["settings"]["solver_options"] == {"sigma": 1.5}
        assert table.obs["nimbus_metacluster"].nunique() == 12

    def test_pytorch_on_the_processor_is_the_same_but_for_rounding(self, clustered):
        pytest.importorskip("torch")
        table = make_table()
        nimbus.tl.cluster(table, device="cpu", **SMALL)
        one, two = (t.uns["nimbus_cluster"]["codebook"] for t in (table, clustered))
        np.testing.assert_allclose(one, two, atol=1e-4)

    def test_a_second_run_leaves_nothing_of_the_first(self):
        table = make_table()
        nimbus.tl.cluster(table, **SMALL)
        nimbus.tl.cluster(table, grid=(2, 2), n_metaclusters=None)
        assert "nimbus_metacluster" not in table.obs
        assert "metacluster" not in table.uns["nimbus_cluster"]


class TestGaps:
    def test_cells_without_scores_get_no_node_and_a_warning(self, clustered):
        table = make_table()
        table.layers["nimbus"] = np.concatenate(
            [table.layers["nimbus"][:597], np.full((3, 10), np.nan)]
        )
        with pytest.warns(UserWarning, match="3 of 600 cells miss a value in layers/nimbus"):
            nimbus.tl.cluster(table, **SMALL)
        for name in ("som", "som_distance", "metacluster"):
            assert np.flatnonzero(table.obs[f"nimbus_{name}"].isna()).tolist() == [597, 598, 599]

    def test_markers_without_any_score_are_left_out(self):
        table = make_table()
        table.layers["nimbus"][:, 4] = np.nan
        with pytest.warns(UserWarning, match="left out, because no cell has a value: 'M4'"):
            nimbus.tl.cluster(table, **SMALL)
        assert table.uns["nimbus_cluster"]["codebook"].shape == (30, 9)
        assert table.obs["nimbus_som"].notna().all()
        with pytest.raises(ValueError, match="no cell has a value in layers/nimbus .* 'M4'"):
            nimbus.tl.cluster(table, markers=["M4", "M5"], **SMALL)

    def test_markers_without_positives_are_named(self):
        table = make_table()
        table.layers["nimbus"][:, [2, 6]] *= 0.3
        with pytest.warns(UserWarning, match="without a positive cell in .*: 'M2', 'M6'"):
            nimbus.tl.cluster(table, **SMALL)

    def test_a_map_too_large_for_its_cells_is_warned_of_with_one_that_fits(self):
        table = make_table(320)
        told = r"320 cells on a map of 256 nodes: .* grid=\(4, 4\) \(--grid 4 4\)"
        with pytest.warns(UserWarning, match=told):
            nimbus.tl.cluster(table)
        nimbus.tl.cluster(table, grid=(4, 4), n_metaclusters=8)  # as it says: no warning

    @pytest.mark.filterwarnings("ignore:markers without a positive cell")
    def test_no_smaller_map_is_advised_than_the_smallest(self):
        with pytest.warns(UserWarning, match="6 cells on a map of 4 nodes.*too; so few cells"):
            nimbus.tl.cluster(make_table(6), grid=(2, 2), n_metaclusters=2)

    def test_only_the_cells_that_are_clustered_count_for_the_size_of_the_map(self):
        table = make_table()
        few = int(table.obs["type"].isin(["type 0", "type 1"]).sum())
        assert few < 3 * 100 < 600, "proves nothing"
        with pytest.warns(UserWarning, match=f"^{few} cells on a map of 100 nodes"):
            nimbus.tl.cluster(
                table, grid=(10, 10), restrict_to=("type", ["type 0", "type 1"]), key_added="sub"
            )

    @pytest.mark.filterwarnings("ignore:markers without a positive cell")
    def test_empty_nodes_are_no_error(self):
        table = make_table(20)
        with pytest.warns(UserWarning, match="20 cells on a map of 36 nodes"):
            nimbus.tl.cluster(table, grid=(6, 6), n_metaclusters=3)
        uns = table.uns["nimbus_cluster"]
        empty = uns["node_counts"] == 0
        assert empty.sum() >= 16
        np.testing.assert_array_equal(uns["metacluster"] == -1, empty)
        assert np.isfinite(uns["node_means"]).all()
        assert len(table.obs["nimbus_som"].cat.categories) == 36 - empty.sum()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"layer": "nimbsu"}, "layer 'nimbsu' does not exist; did you mean 'nimbus'"),
        ({"obsm": "X_pca"}, "key of obsm 'X_pca' does not exist"),
        ({"markers": ["M11"]}, "marker 'M11' does not exist"),
        ({"markers": []}, "at least one marker"),
        ({"markers": ["M1", "M1"]}, "each once"),
        ({"weights": {"CD3": 1}}, "marker 'CD3' does not exist"),
        ({"weights": {"M1": -1}}, "weights are 0 or more"),
        ({"grid": (0, 3)}, "has no nodes"),
        ({"solver": "online"}, "solver 'online' is not known; there is: 'batch', 'minisom'"),
        ({"solver_options": {"sigma": 1}}, "solver 'batch' has no option 'sigma'"),
        ({"n_metaclusters": 31}, "from 1 to the 30 nodes"),
        ({"max_train_cells": 0}, "max_train_cells must be at least 1"),
        ({"restrict_to": ("kind", ["a"])}, "column of obs 'kind' does not exist"),
        ({"restrict_to": ("type", ["type 99"])}, "'type 99' does not exist"),
        ({"restrict_to": ("nimbus_som", ["1"])}, "key_added='nimbus_sub'"),
        ({"region_key": "fov"}, "column of obs 'fov' does not exist"),
        ({"n_jobs": 0}, "n_jobs must be at least 1"),
    ],
)
def test_what_cannot_be_is_refused_and_leaves_the_table_alone(wrong, message):
    table = make_table(100)
    with pytest.raises(ValueError, match=message):
        nimbus.tl.cluster(table, **SMALL | wrong)
    assert list(table.obs) == ["type"]
    assert not table.uns


def test_a_clustering_that_fails_leaves_the_one_before(clustered):
    table = clustered[:60].copy()
    named = nimbus.tl.remap(table, {"0": "T cell"})
    obs = table.obs.copy()

    with pytest.raises(ValueError, match="nodes hold a cell"):
        nimbus.tl.cluster(table, n_metaclusters=70)

    pd.testing.assert_frame_equal(table.obs, obs)
    assert nimbus.tl.remap(table) == named
