from __future__ import annotations

import math

import numpy as np
import pytest

from nimbus.metrics.agreement import cohen_kappa, consensus


def test_kappa_of_a_table_counted_by_hand():
    # 20 both yes, 15 both no, 5 and 10 apart: (0.7 - 0.5) / (1 - 0.5)
    first = np.repeat([1, 1, 0, 0], [20, 5, 10, 15])
    second = np.repeat([1, 0, 1, 0], [20, 5, 10, 15])
    found = cohen_kappa(first, second)
    assert (found.n, found.share) == (50, 0.7)
    assert found.kappa == pytest.approx(0.4)


def test_kappa_agrees_with_an_independent_library_and_has_no_sides():
    metrics = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(0)
    first = rng.integers(0, 2, 60)
    second = np.where(rng.random(60) < 0.8, first, 1 - first)
    found = cohen_kappa(first, second)
    assert found.kappa == pytest.approx(metrics.cohen_kappa_score(first, second))
    assert cohen_kappa(second, first) == found


def test_pairs_that_one_left_open_do_not_count():
    first, second = np.array([1, 0, -1, 1, -2]), np.array([1, 0, 1, -1, 0])
    assert cohen_kappa(first, second).n == 2
    assert cohen_kappa(first, second).kappa == 1


def test_without_pairs_or_with_one_label_kappa_is_nan():
    assert math.isnan(cohen_kappa(np.array([-1]), np.array([1])).share)
    same = cohen_kappa(np.ones(4, int), np.ones(4, int))
    assert same.share == 1
    assert math.isnan(same.kappa)


def test_annotators_of_different_pairs_are_refused():
    with pytest.raises(ValueError, match="not the same"):
        cohen_kappa(np.array([1]), np.array([1, 0]))


def test_three_must_all_agree():
    #                 agree  differ  doubt  one absent  nobody
    judged = np.array([[1, 0, 0, 1, -2], [1, 0, 0, 1, -2], [1, 1, -1, -2, -2]])
    np.testing.assert_array_equal(consensus(judged, min_annotators=3), [1, -1, -1, -1, -1])
    np.testing.assert_array_equal(consensus(judged, min_annotators=2), [1, -1, -1, 1, -1])
