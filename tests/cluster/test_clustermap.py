import numpy as np
import pytest

from nimbus.cluster.clustermap import ClusterMap
from nimbus.cluster.edits import ClusterMapError
from nimbus.cluster.palette import distinct_colors

#       node   0  1  2  3  4   5
NODES = (0, 1, 1, 2, 0, -1)


@pytest.fixture
def first():
    return ClusterMap.of(NODES, names={0: "Tumour", 1: "T cell", 2: "B cell"})


EDITS = {
    "merge": lambda m: m.merge(["T cell", "B cell"]),
    "split": lambda m: m.split([2, 0], name="new"),
    "move": lambda m: m.move([3], 0),
    "rename": lambda m: m.rename("T cell", "CD4 T cell"),
    "recolor": lambda m: m.recolor(1, "#123456"),
    "swap": lambda m: m.renamed({"T cell": "B cell", "B cell": "T cell"}),
    "assign": lambda m: m.assign(ClusterMap.of([0, 0, 1, 1, 0, -1])),
}


class TestEdits:
    def test_merged_metaclusters_keep_number_name_and_colour_of_the_first(self, first):
        merged = first.merge(["B cell", 1])
        assert merged.metacluster == (0, 2, 2, 2, 0, -1)
        assert merged.names == {0: "Tumour", 2: "B cell"}
        assert merged.colors[2] == first.colors[2]

    def test_a_split_is_numbered_above_the_largest(self, first):
        new = first.split([2, 0], name="Stroma", color="#00ff00")
        assert new.metacluster == (3, 1, 3, 2, 0, -1)
        assert new.names[3] == "Stroma"
        assert new.colors[3] == "#00ff00"

    def test_a_split_without_a_name_takes_a_free_number_and_colour(self):
        new = ClusterMap.of([0, 0, 1], names={0: "2"}).split([1])
        assert new.names == {0: "2", 1: "1", 2: "3"}
        assert len(set(new.colors.values())) == 3

    def test_a_metacluster_that_loses_its_last_node_goes_away(self, first):
        moved = first.move([3], "Tumour")
        assert moved.metacluster == (0, 1, 1, 0, 0, -1)
        assert moved.names == {0: "Tumour", 1: "T cell"}

    def test_two_can_swap_their_names(self, first):
        assert EDITS["swap"](first).names == {0: "Tumour", 1: "B cell", 2: "T cell"}

    def test_those_that_are_given_one_name_become_one_in_one_edit(self, first):
        new = first.renamed({"B cell": "Lymphocyte", "T cell": "Lymphocyte"})
        assert new.metacluster == (0, 2, 2, 2, 0, -1)
        assert new.names == {0: "Tumour", 2: "Lymphocyte"}
        assert len(new.done) == 1

    def test_nothing_changes_the_value_itself(self, first):
        before = (first.metacluster, first.names, first.colors, first.done)
        for edit in EDITS.values():
            edit(first)
        assert (first.metacluster, first.names, first.colors, first.done) == before


class TestHistory:
    @pytest.mark.parametrize("edit", EDITS.values(), ids=list(EDITS))
    def test_undo_after_do_gives_back_the_input_and_redo_the_result(self, first, edit):
        start = first.rename("Tumour", "Cancer")
        done = edit(start)
        assert done != start, "proves nothing: the edit changes nothing"
        assert done.undo() == start
        assert done.undo().now == start.now
        assert done.undo().redo() == done

    def test_all_edits_are_undone_and_redone_one_by_one(self, first):
        steps = [first]
        for name in ("rename", "recolor", "split", "move"):
            edit = {"rename": lambda m: m.rename("T cell", "x")}.get(name, EDITS[name])
            steps.append(edit(steps[-1]))
        back = [steps[-1]]
        for _ in range(4):
            back.append(back[-1].undo())
        assert back[::-1] == steps
        again = back[-1]
        for step in steps[1:]:
            again = again.redo()
            assert again == step

    def test_replaying_the_edits_gives_the_same_map(self, first):
        now = first.split([0], name="x").merge(["x", "B cell"]).recolor("x", "#abcdef")
        assert ClusterMap.replay(first, now.done) == now

    def test_an_edit_after_undo_leaves_nothing_to_redo(self, first):
        now = first.rename(0, "x").undo().rename(0, "y")
        with pytest.raises(ClusterMapError, match="no edit to redo"):
            now.redo()

    def test_without_edits_there_is_nothing_to_undo(self, first):
        with pytest.raises(ClusterMapError, match="no edit to undo"):
            first.undo()


class TestRefused:
    @pytest.mark.parametrize(
        ("edit", "message"),
        [
            (lambda m: m.rename("T cell", "Tumour"), "'Tumour' is taken"),
            (lambda m: m.renamed({"T cell": "Tumour"}), "'Tumour' is taken"),
            (lambda m: m.split([0], name="T cell"), "'T cell' is taken"),
            (lambda m: m.rename("T cell", " x"), "no space at its ends"),
            (lambda m: m.rename("T cell", ""), "is no name"),
            (lambda m: m.rename("Tcell", "x"), "did you mean 'T cell'"),
            (lambda m: m.rename(7, "x"), "no metacluster 7; there is '0', '1', '2'"),
            (lambda m: m.merge(["T cell"]), "2 or more"),
            (lambda m: m.merge(["T cell", 1]), "each once"),
            (lambda m: m.move([6], 0), "no node 6; nodes are 0 to 5"),
            (lambda m: m.move([-1], 0), "no node -1"),
            (lambda m: m.move([5], 0), "node 5 holds no cell"),
            (lambda m: m.split([]), "1 or more"),
            (lambda m: m.recolor(0, "red"), "'red' is none"),
            (lambda m: m.assign(ClusterMap.of([0, 1])), "of 2 nodes, but there are 6"),
        ],
    )
    def test_with_what_there_is(self, first, edit, message):
        with pytest.raises(ClusterMapError, match=message):
            edit(first)

    def test_a_name_of_a_metacluster_without_nodes(self):
        with pytest.raises(ClusterMapError, match="metacluster 4 has a name"):
            ClusterMap.of([0, 1], names={4: "x"})


class TestColours:
    def test_stay_apart_and_keep_their_order(self):
        colors = distinct_colors(60)
        assert distinct_colors(20) == colors[:20]
        rgb = np.array([[int(c[k : k + 2], 16) for k in (1, 3, 5)] for c in colors], dtype=float)
        gaps = np.linalg.norm(rgb[:, None] - rgb, axis=-1) + 1e9 * np.eye(60)
        assert gaps.min() >= 31, "two are as good as equal"

    def test_of_a_map_do_not_repeat_one_that_was_given(self):
        own = distinct_colors(1)[0]
        colors = ClusterMap.of([0, 1, 2], colors={2: own}).colors
        assert len(set(colors.values())) == 3
