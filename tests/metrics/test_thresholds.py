"""Thresholds against slow loops and against the F1 of labelled cells."""

from __future__ import annotations

import numpy as np
import pytest

from nimbus.metrics.curves import IsotonicCurve, PlattCurve
from nimbus.metrics.positivity import best_f1
from nimbus.metrics.thresholds import best_cut, cut_for_precision, cut_for_recall, undecided_band


def drawn(seed: int, *, ties: bool = True) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    score = rng.beta(0.6, 1.5, 200)
    score = np.round(score, 2) if ties else score
    return score, score**1.5 * 0.9 + 0.02


def slow_rates(score, probability, threshold):
    called = score >= threshold
    hits = probability[called].sum()
    precision = hits / called.sum() if called.any() else np.nan
    recall = hits / probability.sum()
    return precision, recall, 2 * hits / (called.sum() + probability.sum())


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_best_cut_has_the_largest_expected_f1_of_all_thresholds(seed):
    score, probability = drawn(seed)
    cut = best_cut(score, probability)
    slow = [slow_rates(score, probability, t)[2] for t in np.unique(score)]
    assert cut.f1 == pytest.approx(max(slow), abs=1e-12)
    assert (cut.precision, cut.recall, cut.f1) == pytest.approx(
        slow_rates(score, probability, cut.threshold), abs=1e-12
    )


@pytest.mark.parametrize("ties", [False, True])
def test_of_cells_whose_truth_is_known_the_best_cut_is_that_of_the_best_f1(ties):
    score, probability = drawn(4, ties=ties)
    truth = (np.random.default_rng(0).random(200) < probability).astype(int)
    cut, best = best_cut(score, truth), best_f1(score, truth)
    assert cut.f1 == pytest.approx(best.f1, abs=1e-12)
    np.testing.assert_array_equal(score >= cut.threshold, score >= best.threshold)


def test_the_best_cut_is_where_the_probability_is_half_the_best_f1():
    score = np.linspace(0, 1, 100001)
    cut = best_cut(score, score)
    assert cut.threshold == pytest.approx(cut.f1 / 2, abs=1e-4)


@pytest.mark.parametrize("wanted", [0.3, 0.6, 0.8])
def test_the_cut_for_a_precision_is_the_lowest_that_reaches_it(wanted):
    score, probability = drawn(1)
    cut = cut_for_precision(score, probability, wanted)
    assert slow_rates(score, probability, cut.threshold)[0] >= wanted
    lower = score[score < cut.threshold].max()
    assert slow_rates(score, probability, lower)[0] < wanted


@pytest.mark.parametrize("wanted", [0.5, 0.9, 1.0])
def test_the_cut_for_a_recall_is_the_highest_that_reaches_it(wanted):
    score, probability = drawn(2)
    cut = cut_for_recall(score, probability, wanted)
    assert slow_rates(score, probability, cut.threshold)[1] >= wanted - 1e-9
    higher = score[score >= cut.threshold].min() + 1e-9
    assert slow_rates(score, probability, higher)[1] < wanted


def test_a_precision_that_no_score_reaches_calls_nobody():
    score, probability = drawn(3)
    cut = cut_for_precision(score, probability, 0.99)
    assert cut.threshold == np.inf
    assert not (score >= cut.threshold).any()
    assert cut.recall == 0


def test_scores_of_half_precision_stay_on_their_side_of_a_cut():
    score = np.array([0.1, 0.2, 0.7, 0.8], dtype=np.float32)
    cut = best_cut(score, np.array([0.0, 0.0, 1.0, 1.0]))
    assert cut.threshold == pytest.approx(0.45)


@pytest.mark.parametrize(
    ("curve", "band"),
    [
        # logit(p) = 2 logit(s): p = 0.9 at s = 0.75, since (0.75 / 0.25)^2 = 9
        (PlattCurve(2.0, 0.0), (0.25, 0.75)),
        (IsotonicCurve(np.array([0.2, 0.6]), np.array([0.0, 1.0])), (0.24, 0.56)),
        (IsotonicCurve(np.array([0.0, 1.0]), np.array([0.5, 0.8])), (0.0, np.inf)),
        (IsotonicCurve(np.array([0.0, 1.0]), np.array([0.0, 0.01])), (np.inf, np.inf)),
    ],
)
def test_scores_are_undecided_where_neither_call_is_sure_enough(curve, band):
    got = undecided_band(curve, certainty=0.9)
    assert (got.lower, got.upper) == pytest.approx(band, abs=1e-6)
    for score in np.linspace(0.001, 0.999, 77):
        probability = curve(np.array([score]))[0]
        undecided = 0.1 < probability < 0.9
        assert (got.lower <= score < got.upper) == undecided


@pytest.mark.parametrize("certainty", [0.5, 1.0, 2.0])
def test_a_certainty_that_means_nothing_is_refused(certainty):
    with pytest.raises(ValueError, match="between 0.5 and 1"):
        undecided_band(PlattCurve(1.0, 0.0), certainty=certainty)
