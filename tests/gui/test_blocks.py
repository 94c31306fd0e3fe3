import numpy as np
import pytest

from nimbus.cluster.clustermap import ClusterMap
from nimbus.data.clusters import NodeTable
from nimbus.gui.blocks import metacluster_block, node_block, profiles_of
from nimbus.gui.state import State

#  node      0     1     2     3     4
MEANS = np.array([[0.9, 0.1, 0.2], [0.8, 0.2, 0.1], [0.1, 0.9, 0.3], [0.2, 0.7, 0.9], [0, 0, 0]])
COUNTS = np.array([10, 30, 20, 5, 0])
NODES = NodeTable(MEANS, COUNTS, np.ones(3), ("CD3", "CD20", "Ki-67"))
START = ClusterMap.of([0, 0, 1, 2, -1], names={0: "T", 1: "B"})


@pytest.fixture
def state():
    return State.of(START, markers=NODES.markers)


def blocks(state):
    profiles = profiles_of(NODES, state)
    node = node_block(profiles, state, rare=np.zeros(5, bool), stability=np.full(5, 0.5))
    return profiles, node, metacluster_block(profiles, state)


def test_columns_are_the_nodes_with_cells_those_of_a_metacluster_together(state):
    profiles, node, group = blocks(state)
    assert sorted(node.ids.tolist()) == [0, 1, 2, 3]
    assert abs(node.ids.tolist().index(0) - node.ids.tolist().index(1)) == 1
    for column, own in enumerate(node.ids):
        for row, marker in enumerate(profiles.markers):
            expected = MEANS[own, NODES.markers.index(marker)]
            assert node.values[row, column] == pytest.approx(expected)
        assert node.counts[column] == COUNTS[own]
    assert dict(zip(group.labels, group.counts.tolist(), strict=True)) == {"T": 40, "B": 20, "2": 5}


def test_a_metacluster_has_the_mean_of_its_cells(state):
    profiles, _, group = blocks(state)
    values = group.values[profiles.markers.index("CD3"), group.labels.index("T")]
    assert values == pytest.approx((10 * 0.9 + 30 * 0.8) / 40)


def test_a_metacluster_is_selected_in_the_share_of_its_nodes(state):
    _, node, group = blocks(state.select([0, 3]))
    assert dict(zip(group.labels, group.selected, strict=True)) == {"T": 0.5, "B": 0, "2": 1}
    assert node.ids[node.selected == 1].tolist() == [k for k in node.ids if k in (0, 3)]


def test_a_place_is_the_column_under_it_and_a_box_those_it_touches(state):
    _, node, _ = blocks(state)
    assert [node.column_at(x) for x in (-0.1, 0.0, 2.9, 4.0)] == [
        None,
        node.ids[0],
        node.ids[2],
        None,
    ]
    assert node.columns_within(1.5, 2.5) == node.ids[1:3].tolist()
    assert node.columns_within(2.5, 1.5) == node.ids[1:3].tolist()
    assert node.columns_within(-9, 9) == node.ids.tolist()


def test_hidden_markers_go_and_the_rest_keeps_its_order(state):
    all_markers = profiles_of(NODES, state).markers
    hidden = state.shown(state.view.hide([all_markers[1]]))
    assert profiles_of(NODES, hidden).markers == (all_markers[0], all_markers[2])
    turned = state.shown(state.view.ordered(["Ki-67", "CD3"]))
    assert profiles_of(NODES, turned).markers == ("Ki-67", "CD3", "CD20")


def test_z_scores_have_mean_0_and_reach_beyond_3(state):
    means = np.zeros((100, 1))
    means[0] = 1.0
    nodes = NodeTable(means, np.ones(100, np.int64), np.ones(1), ("CD3",))
    one = State.of(ClusterMap.of([0] * 100), markers=["CD3"])
    shown = profiles_of(nodes, one.shown(one.view.with_zscore(True)))
    assert shown.node_values.mean() == pytest.approx(0, abs=1e-9)
    assert shown.node_values.max() == pytest.approx(np.sqrt(99))


def test_along_the_dendrogram_all_nodes_have_one_tree_and_lines_that_end_at_columns(state):
    from scipy.cluster import hierarchy

    from nimbus.cluster.linkage import linkage_tree

    _, node, _ = blocks(state.shown(state.view.with_layout("dendrogram")))
    assert node.ids.tolist() == hierarchy.leaves_list(linkage_tree(MEANS[:4])).tolist()
    xs, ys = node.tree
    assert len(xs) == 3
    ends = {
        x
        for line, heights in zip(xs, ys, strict=True)
        for x, y in zip(line, heights, strict=True)
        if y == 0
    }
    assert ends == {0.5, 1.5, 2.5, 3.5}
