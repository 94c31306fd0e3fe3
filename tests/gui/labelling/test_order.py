"""Which cells come first, whatever their order in the table."""

import numpy as np
import pytest

from nimbus.gui.labelling.order import Queues, interleaved, keenness


def queues(scores, *, order="uncertain", fields=None, means=None, seed=0):
    scores = np.asarray(scores, dtype=float)
    own = np.zeros(scores.size, int) if fields is None else np.asarray(fields)
    given = np.zeros(scores.size) if means is None else np.asarray(means, dtype=float)
    return Queues(("CD3", "CD8"), lambda _: own, lambda _: scores, lambda _: given, order, seed)


def test_scores_near_one_half_come_first_and_cells_without_one_never():
    found = queues([0.9, 0.45, np.nan, 0.2, 0.52]).of("CD3")
    assert found.tolist() == [4, 1, 3, 0]


def test_cells_that_score_and_mean_rank_differently_come_first():
    #        ranks by score 1 2 3 4 5, by mean 2 1 3 5 4 but for the last: dim and high
    found = queues([0.1, 0.2, 0.3, 0.4, 0.9], means=[7, 9, 8, 11, 1], order="disagreement")
    assert found.of("CD3")[0] == 4
    certain = queues([0.1, 0.2, 0.3, 0.4, 0.9], means=[7, 9, 8, 11, 1])
    assert certain.of("CD3")[0] != 4, "proves nothing: every order has it first"


def test_each_turn_takes_one_cell_of_every_field_until_one_is_empty():
    fields = np.array([0] * 50 + [1] * 3 + [2] * 10)
    wanted = np.random.default_rng(0).random(63) + 10 * (fields == 0)
    found = interleaved(wanted, fields, np.random.default_rng(0))
    assert sorted(found.tolist()) == list(range(63))
    for turn in range(3):
        assert sorted(fields[found[3 * turn : 3 * turn + 3]].tolist()) == [0, 1, 2]
    assert np.bincount(fields[found[:20]]).tolist() == [9, 3, 8]
    for field in range(3):  # within a field by how much they are wanted
        own = wanted[found[fields[found] == field]]
        assert (np.diff(own) <= 0).all()


def test_a_field_without_the_marker_is_left_out():
    found = queues([0.5, 0.5, 0.5], fields=[0, -1, 0]).of("CD3")
    assert sorted(found.tolist()) == [0, 2]


@pytest.mark.parametrize("order", ["uncertain", "random", "disagreement"])
def test_a_seed_repeats_the_order_and_markers_differ(order):
    scores = np.full(200, 0.5)
    first, again = queues(scores, order=order), queues(scores, order=order)
    again.of("CD8")  # what was looked at before does not matter
    assert first.of("CD3").tolist() == again.of("CD3").tolist()
    assert first.of("CD3").tolist() != first.of("CD8").tolist()
    assert first.of("CD3").tolist() != queues(scores, order=order, seed=1).of("CD3").tolist()


def test_by_chance_the_score_does_not_matter():
    scores = np.linspace(0, 1, 4000)
    found = queues(scores, order="random").of("CD3")[:400]
    assert abs(scores[found].mean() - 0.5) < 0.05
    near = np.abs(scores[found] - 0.5) < 0.05
    assert near.mean() < 0.2
    first = queues(scores).of("CD3")[:400]
    assert (np.abs(scores[first] - 0.5) < 0.051).all()


def test_ranks_of_ties_are_shared():
    same = keenness("disagreement", np.full(5, 0.3), np.full(5, 2.0), np.random.default_rng(0))
    assert same.tolist() == [0] * 5
