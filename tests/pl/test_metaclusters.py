import numpy as np
import pytest
from anndata import AnnData

import nimbus
from nimbus.cluster.clustermap import ClusterMap
from nimbus.data.clusters import NodeTable
from nimbus.data.profiles import ordered_profiles

#  node          0    1    2    3 (empty)   4
MEANS = np.array([[0.9, 0.1], [0.1, 0.8], [0.8, 0.2], [5.0, 5.0], [0.1, 0.9]])
COUNTS = np.array([10, 20, 30, 0, 40])
NODES = NodeTable(MEANS, COUNTS, np.ones(2), ("CD3", "CD20"))
CLUSTERS = ClusterMap.of([1, 0, 1, -1, 2], names={1: "T cell"})


class TestProfiles:
    def test_nodes_of_a_metacluster_and_alike_metaclusters_stand_together(self):
        shown = ordered_profiles(NODES, CLUSTERS, None, zscore=False)
        assert shown.names in (("T cell", "0", "2"), ("0", "2", "T cell"))
        by_node = dict(zip(shown.nodes.tolist(), shown.position.tolist(), strict=True))
        assert sorted(by_node) == [0, 1, 2, 4]
        assert by_node[0] == by_node[2] == shown.names.index("T cell")
        assert (np.diff(shown.position) >= 0).all()

    def test_each_metacluster_has_a_tree_of_its_nodes(self):
        shown = ordered_profiles(NODES, CLUSTERS, None, zscore=False)
        t_cell = shown.names.index("T cell")
        assert [tree is None for tree in shown.node_trees] == [k != t_cell for k in range(3)]
        # nodes 0 and 2 are (0.1, 0.1) apart
        np.testing.assert_allclose(shown.node_trees[t_cell], [[0, 1, np.sqrt(0.02), 2]])

    def test_means_are_over_cells(self):
        shown = ordered_profiles(NODES, CLUSTERS, ["CD20", "CD3"], zscore=False)
        t_cell = shown.names.index("T cell")
        assert shown.markers == ("CD20", "CD3")
        # (10 * 0.1 + 30 * 0.2) / 40 and (10 * 0.9 + 30 * 0.8) / 40
        np.testing.assert_allclose(shown.metacluster_values[:, t_cell], [0.175, 0.825])
        assert shown.counts[t_cell] == 40
        np.testing.assert_allclose(shown.node_values[:, list(shown.nodes).index(2)], [0.2, 0.8])

    def test_zscores_are_of_what_is_shown(self):
        shown = ordered_profiles(NODES, CLUSTERS, None, zscore=True)
        np.testing.assert_allclose(shown.node_values.mean(axis=1), 0, atol=1e-12)
        np.testing.assert_allclose(shown.node_values.std(axis=1), 1)


@pytest.fixture
def table():
    profiles = np.array([[0.9, 0.1, 0.1], [0.1, 0.9, 0.1], [0.1, 0.1, 0.9]])
    noise = np.random.default_rng(0).normal(0, 0.02, (60, 3))
    scores = np.clip(np.repeat(profiles, [30, 20, 10], axis=0) + noise, 0, 1)
    made = AnnData(np.zeros((60, 3)), layers={"nimbus": scores})
    made.var_names = ["CD3", "CD20", "ECAD"]
    nimbus.tl.cluster(made, grid=(3, 3), n_metaclusters=3)
    nimbus.tl.remap(made, {"0": "T cell"})
    return made


class TestMetaclusters:
    def test_draws_both_heatmaps_and_writes_a_file(self, table, tmp_path):
        left, right = nimbus.pl.metaclusters(table, save=tmp_path / "m.png")
        assert right.images[0].get_array().shape == (3, 3)
        n_nodes = int((table.uns["nimbus_cluster"]["node_counts"] > 0).sum())
        assert left.images[0].get_array().shape == (3, n_nodes)
        assert left.images[0].get_clim() == (0, 1)
        assert (tmp_path / "m.png").stat().st_size > 0

    def test_draws_a_single_metacluster_and_marker(self, table):
        nimbus.tl.metacluster(table, n_metaclusters=1)
        _, right = nimbus.pl.metaclusters(table, markers=["ECAD"], zscore=True, show=False)
        assert right.images[0].get_array().shape == (1, 1)

    def test_the_cells_of_each_metacluster_are_written(self, table):
        _, right = nimbus.pl.metaclusters(table, show=False)
        figure = right.figure
        [bars] = [ax for ax in figure.axes if len(ax.texts) == 3]
        written = [int(one.get_text()) for one in bars.texts]
        names = [one.get_text() for ax in figure.axes for one in ax.get_xticklabels()]
        shown = [name for name in names if name in ("T cell", "1", "2")]
        counts = table.obs["nimbus_metacluster"].value_counts()
        assert written == [counts[name] for name in shown]
        assert len(set(written)) == 3, "proves nothing: all have as many cells"

    @pytest.mark.parametrize(("shift", "label"), [(0.0, "mean score"), (-2.0, "mean")])
    def test_the_bar_calls_scores_what_are_scores(self, table, shift, label):
        table.layers["values"] = table.layers["nimbus"] + shift
        nimbus.tl.cluster(table, layer="values", grid=(3, 3), n_metaclusters=3)
        figure = nimbus.pl.metaclusters(table, show=False)[0].figure
        assert figure.axes[-1].get_ylabel() == label

    def test_long_names_of_markers_are_whole(self, table):
        table.var_names = ["CD3", "a marker of a very long name", "ECAD"]
        nimbus.tl.cluster(table, grid=(3, 3), n_metaclusters=3)
        figure = nimbus.pl.metaclusters(table, show=False)[0].figure
        figure.draw_without_rendering()
        labels = [one for ax in figure.axes for one in ax.get_yticklabels()]
        [long] = [one for one in labels if one.get_text() == "a marker of a very long name"]
        assert long.get_window_extent().x0 >= 0

    def test_an_unknown_marker_is_named(self, table):
        with pytest.raises(ValueError, match="did you mean 'CD3'"):
            nimbus.pl.metaclusters(table, markers=["CD33"])


class TestStability:
    def test_marks_the_number_there_is_and_every_node(self, table):
        agreement, _, nodes = nimbus.pl.stability(table, show=False)
        assert agreement.lines[-1].get_xdata()[0] == 3
        dots = nodes.collections[0].get_offsets()
        assert len(dots) == (table.uns["nimbus_cluster"]["node_counts"] > 0).sum()
        assert [one.get_text() for one in nodes.get_xticklabels()] == ["T cell", "1", "2"]

    def test_long_names_do_not_squeeze_the_panels(self, table):
        def height():
            axes = nimbus.pl.stability(table, show=False)
            axes[0].figure.draw_without_rendering()
            return axes[0].bbox.height / axes[0].figure.dpi

        short = height()
        nimbus.tl.remap(table, {"1": "T cells that are exhausted or resident"})
        assert height() == pytest.approx(short, rel=0.15)

    def test_needs_metaclusters(self, table):
        nimbus.tl.cluster(table, grid=(3, 3), n_metaclusters=None)
        with pytest.raises(ValueError, match=r"run nimbus\.tl\.metacluster first"):
            nimbus.pl.stability(table, show=False)
