"""Mutual information against scikit-learn and slow permutations."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.feature_selection import mutual_info_classif
from sklearn.metrics import mutual_info_score

from nimbus.metrics.information import information, information_of_counts, quantile_bins


def drawn(seed=0, n=600, strength=0.3):
    rng = np.random.default_rng(seed)
    value = rng.normal(size=n)
    wrong = rng.random(n) < 0.2 + strength * (value > 0.5)
    return value, wrong


def slow_information(bins, wrong):
    """As scikit-learn has it, which takes a millisecond for each call."""
    total = 0.0
    for own in np.unique(bins):
        for kind in (False, True):
            both = ((bins == own) & (wrong == kind)).mean()
            if both:
                total += both * np.log(both / (bins == own).mean() / (wrong == kind).mean())
    return total


def found(bins, wrong, *, seed=0, n_permutations=500, group=None):
    rng = np.random.default_rng(seed)
    return information(bins, wrong, group=group, n_permutations=n_permutations, rng=rng)


def test_information_of_bins_equals_that_of_scikit_learn():
    value, wrong = drawn()
    bins = quantile_bins(value, 10)
    expected = mutual_info_score(bins, wrong)
    assert found(bins, wrong).value == pytest.approx(expected, abs=1e-12)
    assert slow_information(bins, wrong) == pytest.approx(expected, abs=1e-12)


def test_it_is_near_the_estimate_from_nearest_neighbours():
    value, wrong = drawn(1, n=5000)
    own = found(quantile_bins(value, 10), wrong)
    [other] = mutual_info_classif(value[:, None], wrong, random_state=0)
    assert own.value - own.null_mean == pytest.approx(other, abs=0.012)
    assert other > 0.03, "proves nothing: there is no information"


def test_the_null_equals_that_of_shuffled_cells():
    value, wrong = drawn(2, n=200)
    bins = quantile_bins(value, 8)
    own = found(bins, wrong, n_permutations=4000)
    rng = np.random.default_rng(9)
    slow = [slow_information(bins, rng.permutation(wrong)) for _ in range(600)]
    assert own.null_mean == pytest.approx(np.mean(slow), rel=0.05)
    assert own.null_high == pytest.approx(np.quantile(slow, 0.95), rel=0.1)


def test_the_null_of_groups_shuffles_whole_groups():
    # Errors belong to groups: of single cells each seems a proof, of groups there are six.
    group = np.repeat(np.arange(6), 50)
    bins, wrong = group % 3, np.isin(group, (0, 3))
    of_cells, of_groups = found(bins, wrong), found(bins, wrong, group=group)
    assert of_cells.value == of_groups.value == pytest.approx(mutual_info_score(bins, wrong))
    assert of_cells.p_value < 0.01
    rng = np.random.default_rng(1)
    slow = [slow_information(rng.permutation(bins[::50])[group], wrong) for _ in range(600)]
    part = np.mean(np.array(slow) >= of_groups.value - 1e-12)
    assert 0.1 < part < 0.4, "of 15 pairs of groups three share a bin"
    assert of_groups.p_value == pytest.approx(part, abs=0.06)
    assert of_groups.null_mean == pytest.approx(np.mean(slow), rel=0.1)


def test_without_a_relation_p_values_are_even():
    p = [found(*binned(drawn(seed, n=150, strength=0.0)), n_permutations=99).p_value
         for seed in range(120)]  # fmt: skip
    assert 0.4 < np.mean(p) < 0.62
    assert np.mean(np.array(p) <= 0.05) < 0.12


def binned(cells):
    return quantile_bins(cells[0], 5), cells[1]


def test_a_covariate_that_tells_all_explains_all():
    wrong = np.repeat([False, True], [300, 100])
    own = found(wrong.astype(int), wrong)
    assert own.value == pytest.approx(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25)))
    assert own.explained == pytest.approx(1, abs=0.02)


def test_what_chance_gives_explains_nothing():
    cells = [binned(drawn(seed, n=150, strength=0.0)) for seed in range(60)]
    own = [found(bins, wrong, n_permutations=99) for bins, wrong in cells]
    excess = np.array([max(one.value - one.null_mean, 0) for one in own])
    entropy = [slow_information(wrong, wrong) for _, wrong in cells]
    assert excess.mean() < 0.5 * np.mean([one.value for one in own]), "proves nothing"
    np.testing.assert_allclose([one.explained for one in own], excess / entropy)


@pytest.mark.parametrize("wrong", [np.zeros(20, bool), np.ones(20, bool), np.zeros(0, bool)])
def test_without_errors_there_is_nothing_to_explain(wrong):
    own = found(np.arange(wrong.size) % 4, wrong)
    assert own.value == 0
    assert own.p_value == 1
    assert np.isnan(own.explained)


def test_bins_hold_equal_numbers_and_ties_stay_together():
    value = np.random.default_rng(0).permutation(1000).astype(float)
    assert (np.bincount(quantile_bins(value, 10)) == 100).all()
    tied = np.r_[np.zeros(60), np.arange(1.0, 41.0)]
    bins = quantile_bins(tied, 10)
    assert (bins[:60] == 0).all()
    assert (np.diff(bins) >= 0).all()
    assert quantile_bins(np.full(5, 3.0), 4).tolist() == [0] * 5


def test_empty_bins_do_not_matter():
    errors, cells = np.array([1, 0, 4]), np.array([5, 0, 6])
    assert information_of_counts(errors, cells) == information_of_counts(
        errors[[0, 2]], cells[[0, 2]]
    )
