"""Resamples of fields and their intervals."""

from __future__ import annotations

import numpy as np
import pytest

from nimbus.metrics.confusion import confusion
from nimbus.metrics.resampling import field_weights, interval, mean_of


def test_the_first_row_counts_each_field_once_and_the_others_are_drawn():
    weights = field_weights(6, 400, np.random.default_rng(0))
    assert weights.shape == (401, 6)
    assert (weights[0] == 1).all()
    assert (weights.sum(axis=1) == 6).all()
    assert weights[1:].mean() == pytest.approx(1)
    assert weights.max() > 2


def test_one_seed_gives_one_set_of_draws():
    first, second, other = (field_weights(4, 9, np.random.default_rng(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


def test_the_interval_is_as_wide_as_the_fields_differ_not_as_the_cells_are_many():
    # Two of ten fields are all wrong; in each all cells are alike.
    n_fields = 10
    field = np.repeat(np.arange(n_fields), 200)
    right = field >= 2
    weights = field_weights(n_fields, 2000, np.random.default_rng(0))
    accuracy = confusion(right, np.ones(field.size, bool), field, weights).recall
    low, high = interval(accuracy, confidence=0.95)
    # The number of wrong fields is binomial(10, 0.2): its 2.5% and 97.5% quantiles are 0 and 5.
    assert (low, high) == pytest.approx((0.5, 1.0))
    over_cells = np.sqrt(0.8 * 0.2 / field.size)
    assert high - low > 10 * over_cells


def test_an_interval_of_95_percent_holds_the_truth_about_so_often():
    rng = np.random.default_rng(3)
    hits = 0
    for _ in range(200):
        own = rng.beta(8, 2, size=25)  # accuracy of each field; 0.8 on average
        weights = field_weights(25, 300, rng)
        low, high = interval(weights @ own / 25, confidence=0.95)
        hits += low <= 0.8 <= high
    assert 0.87 <= hits / 200 <= 0.99


def test_draws_without_the_measure_are_left_out():
    assert interval(np.array([0.5, np.nan, 0.4, 0.4]), confidence=0.9) == (0.4, 0.4)
    assert np.isnan(interval(np.array([np.nan, 0.4]), confidence=0.9)).all()
    assert np.isnan(interval(np.array([0.5]), confidence=0.9)).all()


def test_groups_without_the_measure_do_not_count_in_the_mean():
    means = mean_of([np.array([0.2, np.nan, np.nan]), np.array([0.4, 0.6, np.nan])])
    np.testing.assert_allclose(means, [0.3, 0.6, np.nan])
