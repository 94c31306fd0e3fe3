import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from matplotlib.colors import to_hex
from matplotlib.patches import Wedge

import nimbus
from nimbus.data.clusters import NodeTable
from nimbus.pl._glyphs import draw_pies, draw_stars
from nimbus.pl._nodecontent import shares_of_nodes, unit_values
from nimbus.pl._nodes import grid_layout, tree_of_nodes


@pytest.fixture
def table():
    profiles = np.array([[0.9, 0.1, 0.1], [0.1, 0.9, 0.1], [0.1, 0.1, 0.9]])
    noise = np.random.default_rng(0).normal(0, 0.02, (60, 3))
    scores = np.clip(np.repeat(profiles, [30, 20, 10], axis=0) + noise, 0, 1)
    made = AnnData(np.zeros((60, 3)), layers={"nimbus": scores})
    made.var_names = ["CD3", "CD20", "ECAD"]
    made.obs["kind"] = np.repeat(["T", "B", "epithelium"], [30, 20, 10])
    nimbus.tl.cluster(made, grid=(3, 4), n_metaclusters=3)
    return made


@pytest.fixture
def wedges(monkeypatch):
    """Sectors as they are made: (radius, first angle, last angle)."""
    made = []
    init = Wedge.__init__

    def recorded(self, center, r, theta1, theta2, **kwargs):
        made.append((tuple(center), r, theta1, theta2))
        init(self, center, r, theta1, theta2, **kwargs)

    monkeypatch.setattr(Wedge, "__init__", recorded)
    return made


class TestGlyphs:
    def test_a_sector_of_a_star_is_as_long_as_its_value(self, wedges):
        import matplotlib.pyplot as plt

        values = np.array([[1.0, 0.5, 0.0, 0.25]])
        draw_stars(plt.gca(), np.array([[3.0, 4.0]]), np.array([2.0]), values, ["r", "g", "b", "k"])
        # clockwise from the top; the third is 0 and has none
        assert [one[1:] for one in wedges] == [(2, 0, 90), (1, -90, 0), (0.5, -270, -180)]
        assert {one[0] for one in wedges} == {(3, 4)}

    def test_a_sector_of_a_pie_is_as_wide_as_its_share(self, wedges):
        import matplotlib.pyplot as plt

        shares = np.array([[0.75, 0.0, 0.25], [0.0, 0.0, 0.0]])
        draw_pies(plt.gca(), np.zeros((2, 2)), np.ones(2), shares, ["r", "g", "b"])
        assert [one[1:] for one in wedges] == [(1, -180, 90), (1, -270, -180)]


class TestContent:
    def test_scores_stay_and_other_values_are_spread(self):
        scores = np.array([[0.2, 0.9], [0.4, 0.1]])
        of_scores = NodeTable(scores, np.array([1, 1]), np.ones(2), ("a", "b"))
        np.testing.assert_array_equal(unit_values(of_scores, ["b", "a"]), scores[:, ::-1])
        means = np.array([[10.0, 5.0], [30.0, 5.0], [20.0, 5.0], [999.0, 5.0]])
        of_means = NodeTable(means, np.array([1, 1, 1, 0]), np.ones(2), ("a", "b"))
        np.testing.assert_allclose(
            unit_values(of_means, ["a", "b"])[:3], [[0, 0], [1, 0], [0.5, 0]]
        )

    def test_shares_are_of_the_cells_that_have_a_group(self):
        made = AnnData(np.zeros((6, 1)))
        made.obs["nimbus_som"] = pd.Categorical(["2", "2", "2", "0", None, "2"])
        groups = pd.Series(pd.Categorical(["a", "b", "a", "b", "a", None]))
        shares = shares_of_nodes(made, groups, 3, key="nimbus")
        np.testing.assert_allclose(shares, [[0, 1], [0, 0], [2 / 3, 1 / 3]])


class TestLayouts:
    def test_walls_of_the_grid_are_those_of_the_ordered_map(self, table):
        record = table.uns["nimbus_cluster"]
        nodes = nimbus.data.clusters.nodes_of(record)
        book = np.random.default_rng(1).random(record["codebook"].shape)
        placed = grid_layout(nodes, record | {"layout_codebook": book})
        assert placed.place[5].tolist() == [1, 1]  # column, row of node 5 of 3 x 4
        assert len(placed.lines) == 3 * 3 + 2 * 4
        walls = {
            tuple(np.ravel(line).tolist()): s
            for line, s in zip(placed.lines, placed.strength, strict=True)
        }
        apart = np.linalg.norm(book[0] - book[1])  # nodes 0 and 1 are side by side
        other = np.linalg.norm(book[0] - book[4])  # nodes 0 and 4 one above the other
        upright, level = walls[0.5, -0.5, 0.5, 0.5], walls[-0.5, 0.5, 0.5, 0.5]
        assert upright / level == pytest.approx(apart / other)
        assert apart / other != pytest.approx(1, rel=0.1), "proves nothing: both are alike"

    def test_the_tree_leaves_out_nodes_without_cells(self, table):
        record = table.uns["nimbus_cluster"]
        record["node_counts"] = record["node_counts"].copy()
        record["node_counts"][[0, 7]] = 0
        placed = tree_of_nodes(nimbus.data.clusters.nodes_of(record))
        assert not {0, 7} & set(placed.nodes.tolist())
        assert len(placed.lines) == len(placed.nodes) - 1


class TestSom:
    def test_draws_both_layouts_and_writes_a_file(self, table, tmp_path):
        axes = nimbus.pl.som(table, save=tmp_path / "som.png")
        assert [ax.get_title() for ax in axes] == ["3 x 4 nodes", "minimum spanning tree"]
        assert (tmp_path / "som.png").stat().st_size > 0

    def test_tiles_have_the_colour_of_their_metacluster(self, table):
        [ax] = nimbus.pl.som(table, layout="grid", show=False)
        clusters = nimbus.tl.remap(table)
        tiles = [to_hex(c) for c in ax.collections[0].get_facecolors()]
        wanted = [clusters.colors.get(m, "#ffffff") for m in clusters.metacluster]
        assert tiles == wanted
        assert len(set(wanted)) >= 3, "proves nothing: all have one colour"

    def test_discs_have_the_value_of_a_marker(self, table):
        [ax] = nimbus.pl.som(table, layout="tree", glyph="disc", color="CD20", show=False)
        record = table.uns["nimbus_cluster"]
        there = record["node_counts"] > 0
        drawn = next(one for one in ax.collections if one.get_array() is not None)
        np.testing.assert_allclose(drawn.get_array(), record["node_means"][there, 1])
        assert drawn.get_clim() == (0, 1)

    def test_the_colours_of_values_reach_from_the_least_to_the_largest(self, table):
        table.layers["z"] = table.layers["nimbus"] - 2.0  # all below 0
        nimbus.tl.cluster(table, layer="z", key_added="z", grid=(3, 4), n_metaclusters=3)
        [ax] = nimbus.pl.som(table, key="z", layout="tree", glyph="disc", color="CD20", show=False)
        drawn = next(one for one in ax.collections if one.get_array() is not None)
        assert drawn.get_clim() == (drawn.get_array().min(), drawn.get_array().max())

    @pytest.mark.parametrize("layout", ["grid", "tree", ["grid", "tree"]])
    def test_all_legends_are_seen_however_many_names_they_have(self, layout):
        rng = np.random.default_rng(0)
        made = AnnData(np.zeros((300, 60)), layers={"nimbus": rng.random((300, 60))})
        made.var_names = [f"a marker of a long name {k}" for k in range(60)]
        nimbus.tl.cluster(made, grid=(6, 6), n_metaclusters=30)
        axes = nimbus.pl.som(made, layout=layout, panel_size=3.0, show=False)
        figure = axes[0].figure
        figure.draw_without_rendering()
        legends = [one for one in axes[-1].get_children() if type(one).__name__ == "Legend"]
        markers, groups = (one.get_window_extent() for one in legends)
        assert axes[-1].bbox.x1 <= markers.x0
        assert markers.x1 <= groups.x0
        assert groups.x1 <= figure.bbox.x1
        assert min(markers.y0, groups.y0) >= figure.bbox.y0
        for ax in axes:
            assert max(ax.bbox.size) / figure.dpi == pytest.approx(3.0, rel=0.1)

    def test_pies_take_the_metacluster_where_there_is_no_type(self, table):
        assert "nimbus_cell_type" not in table.obs
        [ax] = nimbus.pl.som(table, layout="grid", glyph="pie", show=False)
        legends = [one for one in ax.get_children() if type(one).__name__ == "Legend"]
        assert [one.get_title().get_text() for one in legends] == ["metacluster"]

    def test_numbers_are_those_of_remap(self, table):
        [ax] = nimbus.pl.som(table, layout="grid", glyph="disc", node_numbers=True, show=False)
        [five] = [one for one in ax.texts if one.get_text() == "5"]
        assert five.get_position() == (1, 1)

    def test_needs_no_metaclusters(self, table):
        nimbus.tl.cluster(table, grid=(3, 4), n_metaclusters=None)
        assert len(nimbus.pl.som(table, show=False)) == 2

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"layout": "gird"}, "did you mean 'grid'"),
            ({"glyph": "donut"}, "glyph 'donut' does not exist"),
            ({"glyph": "disc", "color": "CD2"}, "did you mean 'CD20'"),
            ({"glyph": "pie", "color": "knd"}, "did you mean 'kind'"),
            ({"markers": ["CD33"]}, "did you mean 'CD3'"),
            ({"markers": ["CD3", "CD3"]}, "'CD3'"),
            ({"key": "leiden"}, r"name another \(key=.*there is 'nimbus'"),
        ],
    )
    def test_what_does_not_exist_is_named(self, table, given, message):
        with pytest.raises(ValueError, match=message):
            nimbus.pl.som(table, show=False, **given)
