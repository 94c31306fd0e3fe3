"""Calibration errors against scikit-learn and slow loops; curves against known ones."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss
from statsmodels.stats.proportion import proportion_confint

from nimbus.metrics.calibration import (
    LabelledScores,
    brier,
    cross_fitted,
    expected_calibration_error,
    fit_curves,
    folds_of,
    reliability,
    wilson_interval,
)

GRID = np.linspace(0.05, 0.95, 19)


def drawn(seed: int, n: int = 500) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    score = rng.beta(0.6, 0.9, n)
    truth = (rng.random(n) < score**1.7).astype(np.int8)
    score.flags.writeable = truth.flags.writeable = False
    return score, truth


def pairs_of(line, *, n_fields=6, n_markers=3, n=600, seed=0):
    """Labelled scores of several fields whose true curve is a line of the logits."""
    rng = np.random.default_rng(seed)
    score = rng.beta(0.7, 0.9, n)
    return LabelledScores(
        score=score,
        positive=rng.random(n) < expit(line[0] * logit(score) + line[1]),
        marker=rng.integers(0, n_markers, n),
        fold=rng.integers(0, n_fields, n),
    )


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_error_equals_that_of_a_slow_loop(seed):
    score, truth = drawn(seed)
    slow = 0.0
    for low in np.arange(10) / 10:
        own = (score >= low) & (score < low + 0.1)
        if own.any():
            slow += own.mean() * abs(score[own].mean() - truth[own].mean())
    assert slow > 0.05, "proves nothing: the scores are calibrated"
    assert expected_calibration_error(score, truth) == pytest.approx(slow, abs=1e-12)
    assert brier(score, truth) == pytest.approx(brier_score_loss(truth, score), abs=1e-12)


def test_bins_equal_the_calibration_curve_of_scikit_learn():
    score, truth = drawn(3, n=5000)
    observed, mean = calibration_curve(truth, score, n_bins=10)
    own = reliability(score, truth)
    np.testing.assert_allclose(own.observed, observed)
    np.testing.assert_allclose(own.mean, mean)
    assert own.n_cells.sum() == 5000


def test_edges_belong_to_the_bin_above_and_1_to_the_last():
    own = reliability(np.array([0.0, 0.5, 1.0]), np.array([0, 0, 1]), n_bins=2)
    np.testing.assert_array_equal(own.n_cells, [1, 2])
    np.testing.assert_array_equal(own.observed, [0, 0.5])


def test_probabilities_that_keep_their_promise_have_no_error():
    score = np.repeat([0.25, 0.75], 400)
    truth = np.concatenate([np.arange(400) % 4 == 0, np.arange(400) % 4 != 0])
    assert expected_calibration_error(score, truth) == 0
    assert expected_calibration_error(np.clip(score + 0.1, 0, 1), truth) == pytest.approx(0.1)


def test_undecided_cells_are_left_out_and_no_cell_gives_nan():
    score, truth = np.array([0.1, np.nan, 0.9, 0.5]), np.array([0, 1, 1, -1])
    assert expected_calibration_error(score, truth) == pytest.approx(0.1)
    assert brier(score, truth) == pytest.approx(0.01)
    assert np.isnan(expected_calibration_error(score[:0], truth[:0]))
    assert np.isnan(brier(score[1:2], truth[1:2]))


def test_intervals_equal_those_of_statsmodels():
    n_positive, n = np.array([0, 3, 10, 57]), np.array([4, 11, 10, 900])
    low, high = proportion_confint(n_positive, n, method="wilson")
    own = wilson_interval(n_positive, n)
    np.testing.assert_allclose(own[0], low, atol=1e-12)
    np.testing.assert_allclose(own[1], high, atol=1e-12)


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_a_known_curve_is_found_from_labelled_cells(method):
    pairs = pairs_of((0.6, -0.8), n=20000)
    curves = fit_curves(pairs, n_markers=3, method=method, shrinkage=50)
    truth = expit(0.6 * logit(GRID) - 0.8)
    assert np.abs(GRID - truth).max() > 0.25
    for curve in (curves.pooled, *curves.markers):
        assert np.abs(curve(GRID) - truth).max() < (0.03 if method == "platt" else 0.09)


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_a_marker_without_cells_gets_the_pooled_curve(method):
    pairs = pairs_of((1.5, 0.4))
    curves = fit_curves(pairs, n_markers=5, method=method, shrinkage=50)
    assert curves.markers[4] is curves.pooled
    assert not np.allclose(curves.markers[0](GRID), curves.pooled(GRID))


def test_markers_with_few_cells_are_better_off_near_the_pooled_curve():
    # Each marker has a line of its own around a common one, and 30 labelled cells.
    rng = np.random.default_rng(5)
    lines = rng.normal([1.0, -1.0], [0.15, 0.3], size=(20, 2))
    marker = np.repeat(np.arange(20), 30)
    score = rng.beta(0.7, 0.9, marker.size)
    truth = expit(lines[marker, 0] * logit(score) + lines[marker, 1])
    pairs = LabelledScores(score, rng.random(marker.size) < truth, marker, marker * 0)

    def distance(shrinkage):
        curves = fit_curves(pairs, n_markers=20, method="platt", shrinkage=shrinkage).markers
        gaps = [
            np.abs(curve(GRID) - expit(a * logit(GRID) + b)).mean()
            for curve, (a, b) in zip(curves, lines, strict=True)
        ]
        return np.mean(gaps)

    assert distance(50) < 0.7 * distance(0.1)


def test_held_out_probabilities_do_not_know_the_labels_of_their_fold():
    pairs = pairs_of((1.0, -0.5))
    first = pairs.fold == 0
    turned = LabelledScores(
        pairs.score, np.where(first, ~pairs.positive, pairs.positive), pairs.marker, pairs.fold
    )
    before, after = (
        cross_fitted(p, n_markers=3, method="platt", shrinkage=20) for p in (pairs, turned)
    )
    np.testing.assert_array_equal(before[first], after[first])
    assert not np.allclose(before[~first], after[~first])


def test_a_fold_is_unknown_where_the_others_lack_a_class():
    pairs = LabelledScores(
        score=np.array([0.1, 0.9, 0.2, 0.3]),
        positive=np.array([False, True, False, False]),
        marker=np.zeros(4, int),
        fold=np.array([0, 0, 1, 1]),
    )
    got = cross_fitted(pairs, n_markers=1, method="platt", shrinkage=5)
    np.testing.assert_array_equal(np.isnan(got), [True, True, False, False])


def test_folds_keep_fields_whole_and_are_about_as_large_as_each_other():
    rng = np.random.default_rng(0)
    field = np.repeat(np.arange(40), rng.integers(1, 60, 40))
    fold = folds_of(field, n_folds=5)
    assert all(len(set(fold[field == f])) == 1 for f in range(40))
    sizes = np.bincount(fold, minlength=5)
    assert sizes.max() - sizes.min() < 60
