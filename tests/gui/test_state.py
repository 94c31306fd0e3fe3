from functools import partial

import numpy as np
import pytest

from nimbus.cluster.clustermap import ClusterMap
from nimbus.cluster.edits import ClusterMapError
from nimbus.gui.state import State
from nimbus.gui.view import View

#  node          0  1  2  3  4   5
#  metacluster   0  0  1  1  2  none
START = ClusterMap.of([0, 0, 1, 1, 2, -1], names={0: "T cell", 1: "B cell"})
MARKERS = ["CD3", "CD20", "CD8", "Ki-67"]


@pytest.fixture
def state():
    return State.of(START, markers=MARKERS)


class TestSelecting:
    def test_a_click_selects_a_node_and_the_next_takes_it_back(self, state):
        assert state.toggle(3).selected == {3}
        assert state.toggle(3).toggle(0).selected == {0, 3}
        assert state.toggle(3).toggle(3).selected == set()

    @pytest.mark.parametrize("node", [5, 6, -1])
    def test_a_node_without_cells_is_refused(self, state, node):
        with pytest.raises(ClusterMapError, match=f"node {node} holds no cell"):
            state.toggle(node)

    def test_a_metacluster_is_completed_first_then_left(self, state):
        part = state.toggle(2)
        whole = part.toggle_metacluster(1)
        assert (part.whole, whole.whole, whole.selected) == ((), (1,), {2, 3})
        assert whole.toggle_metacluster(1).selected == set()

    def test_a_box_replaces_the_selection_or_adds_to_it_and_skips_empty_nodes(self, state):
        assert state.toggle(0).select([4, 5]).selected == {4}
        assert state.toggle(0).select([4, 5], add=True).selected == {0, 4}

    def test_a_range_goes_from_the_last_click_along_the_order_that_is_shown(self, state):
        shown = [4, 2, 3, 0, 1]
        assert state.toggle(2).select_to(0, order=shown).selected == {2, 3, 0}
        assert state.toggle(0).select_to(2, order=shown).selected == {2, 3, 0}
        assert state.select_to(0, order=shown).selected == {0}, "without a click before"

    def test_touched_are_the_metaclusters_of_the_selected_nodes(self, state):
        assert state.select([1, 4]).touched == (0, 2)


class TestEditing:
    def test_moved_nodes_are_in_the_other_metacluster_and_no_longer_selected(self, state):
        moved = state.select([0, 4]).move(1)
        assert moved.clusters.metacluster == (1, 0, 1, 1, 1, -1)
        assert moved.selected == set()
        assert list(moved.clusters.names) == [0, 1], "2 lost its only node"

    def test_moving_needs_a_selection_that_is_not_there_already(self, state):
        with pytest.raises(ClusterMapError, match="no node is selected"):
            state.move(1)
        with pytest.raises(ClusterMapError, match="in that metacluster already"):
            state.select([2]).move(1)

    def test_a_click_moves_only_where_that_was_chosen(self, state):
        chosen = state.select([0])
        assert chosen.click_metacluster(1).selected == {0, 2, 3}
        assert chosen.clicking("move").click_metacluster(1).clusters.metacluster[0] == 1

    def test_a_new_metacluster_has_the_next_number_as_its_name_or_a_given_one(self, state):
        assert state.select([0, 2]).new().clusters.names[3] == "3"
        assert state.select([0, 2]).new("NK").clusters.names[3] == "NK"
        assert state.select([0]).new("").clusters.names[3] == "3"

    def test_a_name_that_is_taken_is_told_before_it_is_set(self, state):
        assert "'T cell' is taken" in state.problem_of_name(1, "T cell")
        assert state.problem_of_name(1, "B cell") == "", "its own name"
        assert state.problem_of_name(1, "NK cell") == ""
        assert "no name" in state.problem_of_name(1, "  ")
        with pytest.raises(ClusterMapError, match="is taken"):
            state.rename(1, "T cell")

    def test_the_same_name_or_colour_is_no_edit(self, state):
        assert state.rename(1, "B cell") is state
        assert state.recolor(1, state.clusters.colors[1]) is state
        assert state.recolor(1, "#123456").clusters.colors[1] == "#123456"

    def test_undo_after_every_edit_gives_back_the_start_and_redo_the_end(self, state):
        steps = [
            lambda s: s.select([0]).move(1),
            lambda s: s.select([3, 4]).new("NK"),
            lambda s: s.rename(1, "plasma cell"),
            lambda s: s.recolor(1, "#123456"),
            lambda s: s.recut([0, 1, 0, 1, 0, -1]),
        ]
        seen = [state]
        for step in steps:
            seen.append(step(seen[-1]))
        back = seen[-1]
        for before in reversed(seen[:-1]):
            back = back.undo()
            assert back.clusters.now == before.clusters.now
        for after in seen[1:]:
            back = back.redo()
            assert back.clusters.now == after.clusters.now

    def test_any_clicks_leave_a_map_that_replays(self, state):
        rng = np.random.default_rng(3)
        now, n_refused = state, 0
        for _ in range(200):
            own = [int(k) for k in now.clusters.names]
            clicks = [
                now.undo,
                now.redo,
                now.new,
                partial(now.toggle, int(rng.integers(6))),
                partial(now.move, int(rng.choice(own))),
                partial(now.rename, int(rng.choice(own)), str(rng.integers(5))),
            ]
            try:
                now = clicks[rng.integers(6)]()
            except ClusterMapError:
                n_refused += 1
            assert [m >= 0 for m in now.clusters.metacluster] == [True] * 5 + [False]
        assert 0 < n_refused < 150
        assert ClusterMap.replay(now.clusters.first, now.clusters.done) == now.clusters


class TestSearch:
    @pytest.mark.parametrize(
        ("text", "nodes"),
        [("3", (3,)), ("node 3", (3,)), ("b ce", (2, 3)), ("CELL", (0, 1, 2, 3)), ("x", ())],
    )
    def test_it_finds_nodes_by_number_and_metaclusters_by_name(self, state, text, nodes):
        assert state.shown(state.view.with_search(text)).found_nodes() == nodes

    def test_a_number_finds_the_metacluster_of_that_name_too(self, state):
        assert state.shown(state.view.with_search("2")).found_nodes() == (2, 4)

    def test_it_finds_markers(self, state):
        found = state.shown(state.view.with_search("cd"))
        assert found.found_markers() == ("CD3", "CD20", "CD8")
        assert state.found_markers() == ()

    def test_what_is_found_is_selected_or_told_to_be_missing(self, state):
        assert state.shown(state.view.with_search("B cell")).select_found().selected == {2, 3}
        with pytest.raises(ClusterMapError, match="called 'NK'"):
            state.shown(state.view.with_search("NK")).select_found()


class TestView:
    def test_a_marker_goes_up_among_those_that_are_shown(self, state):
        view = state.view.hide(["CD20"]).moved("CD8", -1)
        assert view.shown_markers == ("CD8", "CD3", "Ki-67")
        assert view.by_hand
        assert view.hide([]).shown_markers == ("CD8", "CD3", "Ki-67", "CD20")

    def test_a_marker_at_the_end_stays(self, state):
        assert state.view.moved("Ki-67", 5).shown_markers == tuple(MARKERS)

    def test_one_marker_has_to_stay(self, state):
        with pytest.raises(ValueError, match="one marker has to stay"):
            state.view.hide(MARKERS)

    def test_scores_and_z_scores_keep_a_range_of_colours_each(self, state):
        view = state.view.with_limits(0.2, 0.8).with_zscore(True).with_limits(-5, 5)
        assert view.limits == (-5, 5)
        assert view.with_zscore(False).limits == (0.2, 0.8)
        with pytest.raises(ValueError, match="rises"):
            view.with_limits(1, 1)

    def test_unknown_names_are_refused(self, state):
        for wrong in (
            lambda v: v.hide(["CD33"]),
            lambda v: v.with_marker("CD33"),
            lambda v: v.with_layout("circle"),
        ):
            with pytest.raises(ValueError, match="does not exist"):
                wrong(state.view)
        with pytest.raises(ValueError, match="no marker"):
            View.of([])
