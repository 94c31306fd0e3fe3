import anndata
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

import nimbus
from nimbus.cluster.clustermap import ClusterMap
from nimbus.cluster.edits import ClusterMapError
from nimbus.cluster.mapcsv import map_to_csv
from nimbus.cluster.mapfiles import write_map

#  type        0    1    2    3
#  cells      40   30   20   10
PROFILES = np.array([[0.9, 0.1, 0.1], [0.1, 0.9, 0.1], [0.1, 0.1, 0.9], [0.9, 0.9, 0.1]])
TYPES = np.repeat(np.arange(4), [40, 30, 20, 10])


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    scores = np.clip(PROFILES[TYPES] + rng.normal(0, 0.02, (100, 3)), 0, 1)
    made = AnnData(np.zeros((100, 3), np.float32), layers={"nimbus": scores.astype(np.float32)})
    made.var_names = ["CD3", "CD20", "ECAD"]
    nimbus.tl.cluster(made, grid=(3, 3), n_metaclusters=4)
    return made


def names(table):
    return table.obs["nimbus_metacluster"].astype(str).tolist()


def sizes(table):
    return table.obs["nimbus_metacluster"].value_counts().to_dict()


class TestMetacluster:
    def test_planted_types_come_out_by_size_with_stabilities(self, table):
        assert names(table) == TYPES.astype(str).tolist()
        found = table.uns["nimbus_cluster"]["consensus"]
        there = table.uns["nimbus_cluster"]["node_counts"] > 0
        np.testing.assert_array_equal(np.isfinite(found["stability"]), there)

    def test_another_number_needs_the_nodes_alone(self, table):
        del table.layers["nimbus"]
        nimbus.tl.metacluster(table, n_metaclusters=2)
        assert len(sizes(table)) == 2
        nimbus.tl.metacluster(table, n_metaclusters=4)
        assert names(table) == TYPES.astype(str).tolist()

    def test_the_names_before_are_an_undo_away(self, table):
        named = nimbus.tl.remap(table, {"0": "T cell"})
        nimbus.tl.metacluster(table, n_metaclusters=2)
        back = nimbus.tl.remap(table, nimbus.tl.remap(table).undo())
        assert back == named
        assert names(table)[0] == "T cell"

    def test_weights_of_markers_count_as_in_training(self, table):
        table.uns["nimbus_cluster"]["importance"] = np.array([1.0, 0.0, 0.0])
        nimbus.tl.metacluster(table, n_metaclusters=2)
        assert names(table)[0] == names(table)[95] != names(table)[45]

    def test_the_preset_is_wards_linkage_of_capped_zscores(self, table):
        nimbus.tl.metacluster(table, n_metaclusters=3, preset="pixie", options={"share": 0.8})
        settings = table.uns["nimbus_cluster"]["consensus"]["settings"]
        assert (settings["linkage"], settings["zscore_cap"], settings["share"]) == ("ward", 3, 0.8)

    def test_the_method_linkage_has_no_doubt(self, table):
        nimbus.tl.metacluster(table, n_metaclusters=3, method="linkage")
        matrix = table.uns["nimbus_cluster"]["consensus"]["matrix"]
        assert set(np.unique(matrix[np.isfinite(matrix)])) == {0.0, 1.0}

    def test_cells_without_a_node_have_no_metacluster(self, table):
        table.layers["nimbus"][7] = np.nan
        with pytest.warns(UserWarning, match="1 of 100 cells"):
            nimbus.tl.cluster(table, grid=(3, 3), n_metaclusters=4)
        assert table.obs["nimbus_metacluster"].isna().sum() == 1
        assert table.obs["nimbus_metacluster"].isna().iloc[7]

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"n_metaclusters": 99}, "choose a number from 1 to"),
            ({"n_metaclusters": 2, "method": "leiden"}, "method 'leiden' does not exist"),
            ({"n_metaclusters": 2, "preset": "pixi"}, "did you mean 'pixie'"),
            ({"n_metaclusters": 2, "options": {"n_resample": 3}}, "did you mean 'n_resamples'"),
            ({"n_metaclusters": 2, "key_added": "other"}, "there is 'nimbus'"),
        ],
    )
    def test_bad_settings_are_refused(self, table, given, message):
        with pytest.raises(ValueError, match=message):
            nimbus.tl.metacluster(table, **given)


class TestRemap:
    def test_a_dictionary_renames_and_merges(self, table):
        nimbus.tl.remap(table, {"0": "T cell", "3": "T cell", 1: "B cell"})
        assert sizes(table) == {"T cell": 50, "B cell": 30, "2": 20}

    def test_a_series_is_a_dictionary(self, table):
        nimbus.tl.remap(table, pd.Series({"0": "T cell", "2": "T cell"}))
        assert set(names(table)) == {"T cell", "1", "3"}

    def test_names_that_were_not_given_through_the_map_are_not_replaced_in_silence(self, table):
        column = table.obs["nimbus_metacluster"]
        table.obs["nimbus_metacluster"] = column.cat.rename_categories({"0": "T cell"})
        with pytest.warns(UserWarning, match=r"held 'T cell', which the map .* does not know"):
            nimbus.tl.remap(table, {"1": "B cell"})
        assert set(names(table)) == {"0", "B cell", "2", "3"}

    def test_undo_gives_back_the_table(self, table):
        before = (names(table), list(table.uns["nimbus_metacluster_colors"]))
        now = nimbus.tl.remap(table, {"0": "T cell", "3": "T cell"}, colors={"1": "red"})
        assert (names(table), list(table.uns["nimbus_metacluster_colors"])) != before
        nimbus.tl.remap(table, now.undo().undo())
        assert (names(table), list(table.uns["nimbus_metacluster_colors"])) == before

    def test_splits_moves_merges_and_colours(self, table):
        nodes = nimbus.tl.remap(table).nodes_of("0")
        counts = table.uns["nimbus_cluster"]["node_counts"]
        now = nimbus.tl.remap(
            table, split={"x": nodes[:1]}, move={"1": nodes[:1]}, merge=[["3", "2"]]
        )
        moved = int(counts[nodes[0]])
        assert sizes(table) == {
            name: n for name, n in {"0": 40 - moved, "1": 30 + moved, "3": 30}.items() if n
        }
        assert len(now.done) == 3
        nimbus.tl.remap(table, colors={"3": "tab:red"})
        assert table.uns["nimbus_metacluster_colors"][-1] == "#d62728"

    def test_a_script_replays_what_was_done_by_hand(self, table):
        other = table.copy()
        by_hand = nimbus.tl.remap(table, {"0": "T cell"}, merge=[["1", "2"]])
        start = nimbus.tl.remap(other)
        nimbus.tl.remap(other, ClusterMap.replay(start, by_hand.done))
        assert names(other) == names(table)

    @pytest.mark.parametrize("kind", ["json", "csv", "pixie", "frame"])
    def test_a_file_gives_back_the_names(self, table, kind, tmp_path):
        other = table.copy()
        now = nimbus.tl.remap(table, {"0": "T cell", "3": "T cell"})
        path = tmp_path / ("map.json" if kind == "json" else "map.csv")
        write_map(now, path)
        if kind == "pixie":
            path.write_text(map_to_csv(now, style="pixie"))
        nimbus.tl.remap(other, pd.read_csv(path) if kind == "frame" else path)
        assert names(other) == names(table)

    @pytest.mark.parametrize(
        ("mapping", "message"),
        [
            ({"0": "1"}, "'1' is taken"),
            ({"T cell": "x"}, "metacluster 'T cell' does not exist"),
            (ClusterMap.of([0, 1]), "of 2 nodes, but the clustering has 9"),
            (ClusterMap.of([-1] * 7 + [0, 1]), "hold cells, but have no metacluster"),
            (pd.DataFrame({"a": [1]}), "needs the columns"),
            ({"2": 5}, "5 is no name of a metacluster: it is text"),
            ({"2": float("nan")}, "nan is no name of a metacluster: it is text"),
        ],
    )
    def test_what_cannot_be_is_refused_and_changes_nothing(self, table, mapping, message):
        before = (names(table), table.uns["nimbus_cluster"]["map"])
        with pytest.raises((ClusterMapError, ValueError), match=message):
            nimbus.tl.remap(table, mapping, colors={"1": "red"})
        assert (names(table), table.uns["nimbus_cluster"]["map"]) == before

    def test_needs_metaclusters(self, table):
        nimbus.tl.cluster(table, grid=(3, 3), n_metaclusters=None)
        with pytest.raises(ValueError, match=r"run nimbus\.tl\.metacluster first"):
            nimbus.tl.remap(table, {"0": "x"})


class TestScverse:
    @pytest.mark.parametrize("kind", ["h5ad", "zarr"])
    def test_files_keep_metaclusters_history_and_stabilities(self, table, kind, tmp_path):
        now = nimbus.tl.remap(table, {"0": "T cell", "3": "T cell"})
        path = tmp_path / f"table.{kind}"
        getattr(table, f"write_{kind}")(path)
        read = getattr(anndata, f"read_{kind}")(path)
        assert nimbus.tl.remap(read) == now
        assert nimbus.tl.remap(read, now.undo()) == now.undo()
        nimbus.tl.metacluster(read, n_metaclusters=3)
        assert len(sizes(read)) == 3

    def test_matrixplot_takes_dendrogram_and_colours_as_they_are(self, table):
        sc = pytest.importorskip("scanpy")
        import matplotlib.pyplot as plt

        nimbus.tl.remap(table, {"0": "T cell"})
        stored = table.uns["dendrogram_nimbus_metacluster"]
        drawn = sc.pl.matrixplot(
            table,
            list(table.var_names),
            "nimbus_metacluster",
            layer="nimbus",
            dendrogram=True,
            return_fig=True,
            show=False,
        )
        assert list(drawn.categories_order or stored["categories_ordered"]) == list(
            stored["categories_ordered"]
        )
        # types 0 and 3 share CD3, 1 and 3 share CD20; type 2 is farthest from all
        assert stored["categories_ordered"][0] == "2" or stored["categories_ordered"][-1] == "2"
        assert table.uns["dendrogram_nimbus_metacluster"] is stored
        plt.close("all")

    def test_a_single_metacluster_has_no_dendrogram(self, table):
        nimbus.tl.metacluster(table, n_metaclusters=1)
        assert "dendrogram_nimbus_metacluster" not in table.uns

    def test_of_one_marker_it_is_made_without_correlations(self, table):
        nimbus.tl.cluster(table, markers="CD3", grid=(3, 3), n_metaclusters=2)
        stored = table.uns["dendrogram_nimbus_metacluster"]
        assert stored["linkage"].shape == (1, 4)
        assert np.isnan(stored["correlation_matrix"]).all()


@pytest.mark.parametrize(
    ("verb", "change"),
    [
        (nimbus.tl.remap, {"mapping": {"1": "B cell"}}),
        (nimbus.tl.metacluster, {"n_metaclusters": 2}),
    ],
)
def test_a_view_becomes_a_table_of_its_own_and_its_parent_stays(table, verb, change):
    nimbus.tl.remap(table, {"0": "T cell"})
    before = nimbus.tl.remap(table), names(table), table.uns["nimbus_cluster"]["consensus"]
    view = table[10:]

    with pytest.warns(anndata.ImplicitModificationWarning):
        verb(view, **change)

    assert (nimbus.tl.remap(table), names(table)) == before[:2]
    assert table.uns["nimbus_cluster"]["consensus"] is before[2]
    own = nimbus.tl.remap(view)
    assert own != before[0]
    assert set(names(view)) <= set(own.names.values())
    if verb is nimbus.tl.metacluster:
        assert view.uns["nimbus_cluster"]["consensus"]["settings"]["n_metaclusters"] == 2
