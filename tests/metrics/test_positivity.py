"""Measures against scikit-learn, slow loops and values by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from nimbus.metrics.positivity import auroc, average_precision, best_f1, decided, f1_at


def drawn(seed: int, *, ties: bool) -> tuple[np.ndarray, np.ndarray]:
    """Scores that lean towards the truth, with or without ties."""
    rng = np.random.default_rng(seed)
    truth = (rng.random(200) < 0.2).astype(int)
    score = np.clip(rng.normal(0.3 + 0.3 * truth, 0.2), 0, 1)
    score = np.round(score, 1) if ties else score
    score.flags.writeable = truth.flags.writeable = False
    return score, truth


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_auroc_and_average_precision_equal_those_of_scikit_learn(seed, ties):
    score, truth = drawn(seed, ties=ties)
    assert auroc(score, truth) == pytest.approx(roc_auc_score(truth, score), abs=1e-12)
    assert average_precision(score, truth) == pytest.approx(
        average_precision_score(truth, score), abs=1e-12
    )


@pytest.mark.parametrize("ties", [False, True])
def test_f1_equals_that_of_scikit_learn_at_every_threshold(ties):
    score, truth = drawn(3, ties=ties)
    thresholds = np.unique(score)
    slow = [f1_score(truth, score >= t) for t in thresholds]
    fast = [f1_at(score, truth, threshold=t) for t in thresholds]
    np.testing.assert_allclose(fast, slow, atol=1e-12)
    best = best_f1(score, truth)
    assert best.f1 == pytest.approx(max(slow), abs=1e-12)
    assert f1_at(score, truth, threshold=best.threshold) == best.f1


def test_cells_of_one_score_cannot_be_told_apart():
    # Two cells of 0.4, one positive: whichever stands first, both are called at 0.4.
    score = np.array([0.4, 0.4, 0.1])
    for truth in (np.array([1, 0, 0]), np.array([0, 1, 0])):
        assert auroc(score, truth) == 0.75
        assert average_precision(score, truth) == 0.5
        assert best_f1(score, truth).f1 == pytest.approx(2 / 3)


def test_a_score_of_exactly_the_threshold_is_positive():
    assert f1_at(np.array([0.5, 0.1]), np.array([1, 0]), threshold=0.5) == 1


def test_nan_scores_and_undefined_truth_are_left_out():
    score = np.array([0.9, 0.1, np.nan, 1.0, 0.0])
    truth = np.array([1, 0, 1, -1, -1])
    assert auroc(score, truth) == auroc(score[:2], truth[:2]) == 1
    assert f1_at(score, truth) == 1, "the undefined cell of score 1 would be a false positive"
    assert decided(score, truth)[0].size == 2


def test_booleans_serve_as_truth():
    score, truth = drawn(4, ties=False)
    assert auroc(score, truth.astype(bool)) == auroc(score, truth)


@pytest.mark.parametrize("truth", [[0, 0, 0], [1, 1, 1], [-1, -1, -1]])
def test_a_measure_that_is_not_defined_is_nan_and_not_a_number_that_looks_good(truth):
    score, truth = np.array([0.1, 0.2, 0.3]), np.array(truth)
    assert np.isnan(auroc(score, truth))
    if not (truth == 1).any():
        assert np.isnan(average_precision(score, truth))
        assert np.isnan(best_f1(score, truth).f1)
        assert np.isnan(best_f1(score, truth).threshold)
        assert np.isnan(f1_at(score, truth))


def test_no_cells_give_nan():
    nothing = np.array([], dtype=float), np.array([], dtype=int)
    assert np.isnan(auroc(*nothing))
    assert np.isnan(best_f1(*nothing).f1)


def test_different_shapes_are_refused():
    with pytest.raises(ValueError, match=r"\(2,\) and \(3,\)"):
        auroc(np.zeros(2), np.zeros(3, int))
