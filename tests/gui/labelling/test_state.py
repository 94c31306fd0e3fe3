"""What a person does, without a browser."""

import numpy as np
import pytest

from nimbus.gui.labelling.order import Queues
from nimbus.gui.labelling.panels import left_text, progress
from nimbus.gui.labelling.state import State

SCORES = {"CD3": np.array([0.9, 0.5, 0.6, 0.4, np.nan]), "CD8": np.array([0.5, 0.1, 0.2, 0.3, 0.9])}
VALUES = SCORES.__getitem__
QUEUE = Queues(("CD3", "CD8"), lambda _: np.zeros(5, int), VALUES, VALUES, "uncertain", 0)
FIRST = QUEUE.of("CD3").tolist()


def start(labels=None, *, goal=3, marker=None):
    return State.of(QUEUE, labels or {}, goal=goal, marker=marker)


def judged(state, *labels):
    for label in labels:
        state = state.judge(label)
    return state


def test_cells_come_in_the_order_of_the_queue_until_the_goal():
    assert FIRST[0] == 1
    state, seen = start(), []
    while state.cell is not None:
        seen.append(state.cell)
        state = state.judge("positive")
    assert seen == FIRST[:3]
    assert state.n_done("CD3") == 3


def test_a_state_is_never_changed():
    before = start()
    after = before.judge("negative")
    assert before.labels == {}
    assert before.past == ()
    assert after.labels == {(1, "CD3"): "negative"}


def test_back_after_anything_gives_the_state_before():
    begin = judged(start(), "positive")
    for step in (
        lambda s: s.judge("undetermined"),
        lambda s: s.skip(),
        lambda s: s.look_at(1).judge("negative"),
        lambda s: s.choose("CD8").judge("likely positive"),
    ):
        assert step(begin) != begin
        back = step(begin).back()
        assert back.labels == begin.labels
        assert back.skipped == begin.skipped
        assert back.past == begin.past
    state = judged(start(), "positive", "negative", "undetermined")
    for _ in range(3):
        state = state.back()
    assert state == start()
    with pytest.raises(ValueError, match="nothing to take back"):
        state.back()


def test_back_shows_the_cell_and_the_marker_again():
    state = judged(start(), "positive").choose("CD8")
    assert (state.cell, state.marker) == (0, "CD8")
    assert (state.back().cell, state.back().marker) == (1, "CD3")


def test_back_of_a_changed_mind_gives_the_label_before():
    state = judged(start(), "positive").look_at(1).judge("negative")
    assert state.labels[1, "CD3"] == "negative"
    assert state.back().labels[1, "CD3"] == "positive"


def test_a_skipped_cell_has_no_label_and_comes_again_with_its_marker():
    state = start().skip()
    assert state.labels == {}
    assert state.cell == FIRST[1]
    assert 1 not in (judged(state, "positive", "positive").cell, state.skip().cell)
    assert state.choose("CD8").choose("CD3").cell == 1


def test_labels_of_before_are_gone_on_with():
    state = start({(1, "CD3"): "positive", (FIRST[2], "CD3"): "negative"})
    assert state.cell == FIRST[1]
    done = start({(row, "CD3"): "positive" for row in FIRST[:3]})
    assert (done.marker, done.cell) == ("CD8", 0)
    assert done.past == (), "labels of another day are not taken back by accident"


def test_a_cell_without_score_is_not_in_the_queue():
    with pytest.raises(ValueError, match="no score for CD3"):
        start().look_at(4)
    assert start(marker="CD8").look_at(4).cell == 4


def test_a_done_marker_says_so_until_more_cells_are_asked_for():
    state = judged(start(goal=1), "positive")
    assert state.cell is None
    with pytest.raises(ValueError, match="CD3 is done"):
        state.judge("positive")
    assert state.with_goal(2).cell == FIRST[1]
    assert state.next_marker().marker == "CD8"
    with pytest.raises(ValueError, match="no other marker has cells left"):
        state.next_marker().judge("negative").next_marker()


def test_markers_are_counted_by_label():
    state = judged(start(goal=4), "positive", "positive", "likely negative")
    counts = state.counts()["CD3"]
    assert (counts["positive"], counts["likely negative"], counts.total()) == (2, 1, 3)
    assert state.n_wanted("CD3") == 4
    assert start(goal=100).n_wanted("CD3") == 4, "there are no more cells"


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (lambda s: s.judge("maybe"), "label 'maybe' does not exist"),
        (lambda s: s.choose("CD33"), "did you mean 'CD3'"),
        (lambda s: s.with_goal(0), "at least 1, not 0"),
    ],
)
def test_what_cannot_be_done_says_why(step, message):
    with pytest.raises(ValueError, match=message):
        step(start())


def test_a_marker_with_fewer_cells_than_asked_for_has_none_left_when_all_are_judged():
    state = start(goal=10)
    while state.cell is not None:
        state = state.judge("positive")
    assert "4 judged, 0 left of CD3" in left_text(state)
    assert "4 / 4" in progress(state)
    state = state.choose("CD8")
    assert "0 judged, 5 left of CD8" in left_text(state)
    assert "4 of 9 of all markers" in left_text(state)
