"""Curves against scikit-learn, and the rule by which they shrink."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from nimbus.metrics.curves import (
    EDGE,
    IsotonicCurve,
    PlattCurve,
    Prior,
    WeightedCells,
    anchors_of,
    first_line,
    fit_isotonic,
    fit_platt,
    labelled,
    shrunk_curve,
)

GRID = np.linspace(0, 1, 41)


def drawn(seed: int, n: int = 300, *, ties: bool = False) -> WeightedCells:
    """Scores whose probability is not the score, with weights and parts of labels."""
    rng = np.random.default_rng(seed)
    score = rng.beta(0.7, 1.2, n)
    score = np.round(score, 1) if ties else score
    target = np.where(rng.random(n) < 0.2, rng.random(n), rng.random(n) < score**2)
    return WeightedCells(score, target, rng.uniform(0.2, 3, n))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_line_of_logits_equals_the_logistic_regression_of_scikit_learn(seed):
    cells = drawn(seed)
    x = np.tile(logit(np.clip(cells.score, EDGE, 1 - EDGE)), 2)[:, None]
    both = np.repeat([1, 0], cells.score.size)
    parts = np.concatenate([cells.target, 1 - cells.target]) * np.tile(cells.weight, 2)
    slow = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(x, both, parts)

    line = fit_platt(cells)

    assert line.slope == pytest.approx(slow.coef_[0, 0], abs=1e-4)
    assert line.intercept == pytest.approx(slow.intercept_[0], abs=1e-4)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_rising_curve_equals_that_of_scikit_learn(seed, ties):
    cells = drawn(seed, ties=ties)
    slow = IsotonicRegression(out_of_bounds="clip", y_min=0, y_max=1)
    slow.fit(cells.score, cells.target, cells.weight)

    curve = fit_isotonic(cells)

    np.testing.assert_allclose(curve(GRID), slow.predict(GRID), atol=1e-9)
    assert curve.score.size < 60, "the insides of steps are left out"


def test_both_classes_of_a_first_line_are_softened_as_platt_says():
    # 3 positive cells at 0.8 and 1 negative at 0.2: two points, so that the line meets both.
    line = first_line(np.array([0.8, 0.8, 0.8, 0.2]), np.array([True, True, True, False]))
    np.testing.assert_allclose(line(np.array([0.8, 0.2])), [4 / 5, 1 / 3], atol=1e-5)


def test_no_curve_falls():
    score = np.linspace(0.1, 0.9, 40)
    upside_down = labelled(score, score < 0.4)
    line, steps = fit_platt(upside_down), fit_isotonic(upside_down)
    assert line.slope == 0
    for curve in (line, steps):
        np.testing.assert_allclose(curve(GRID), (score < 0.4).mean(), atol=1e-6)


def test_scores_of_exactly_0_and_1_have_probabilities_between():
    line = PlattCurve(slope=1.5, intercept=0.2)
    ends = line(np.array([0.0, 1.0]))
    np.testing.assert_allclose(ends, expit(1.5 * logit([EDGE, 1 - EDGE]) + 0.2))
    assert 0 < ends[0] < ends[1] < 1


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_without_cells_the_curve_is_that_of_the_prior(method):
    prior = Prior(PlattCurve(2.0, -1.0), anchors_of(drawn(0).score), 30.0)
    empty = shrunk_curve(np.zeros(0), np.zeros(0, bool), prior, method=method)
    assert empty is prior.curve
    # and pseudo-cells alone say just that
    alone = fit_platt(prior.pseudo_cells())
    assert (alone.slope, alone.intercept) == pytest.approx((2.0, -1.0), abs=1e-4)


@pytest.mark.parametrize(("n", "expected"), [(0, 0.5), (10, 0.6), (40, 0.7), (4000, 0.796)])
def test_cells_of_one_score_give_the_weighted_mean_of_their_part_and_the_prior(n, expected):
    # n cells of 80% positive, 20 pseudo-cells of 50%: (0.8 n + 0.5 * 20) / (n + 20)
    assert (0.8 * n + 10) / (n + 20) == pytest.approx(expected, abs=0.003)
    prior = Prior(IsotonicCurve(np.array([0.3]), np.array([0.5])), np.array([0.3]), 20.0)
    positive = np.arange(n) < 0.8 * n
    for method in ("platt", "isotonic"):
        curve = shrunk_curve(np.full(n, 0.3), positive, prior, method=method)
        got = curve(np.array([0.3]))[0]
        assert got == pytest.approx((0.8 * n + 10) / (n + 20), abs=1e-6)


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_the_more_cells_a_marker_has_the_farther_it_goes_from_the_prior(method):
    rng = np.random.default_rng(3)
    score = rng.random(4000)
    positive = rng.random(4000) < expit(2 * logit(score) - 2)
    prior = Prior(PlattCurve(1.0, 1.0), anchors_of(score), 50.0)
    truth = expit(2 * logit(GRID[1:-1]) - 2)
    far = [
        np.abs(shrunk_curve(score[:n], positive[:n], prior, method=method)(GRID[1:-1]) - truth)
        for n in (0, 20, 200, 4000)
    ]
    means = [gap.mean() for gap in far]
    assert means[0] > 0.3
    assert means[0] > means[1] > means[2] > means[3]
    assert means[3] < 0.03


def test_cells_are_not_changed_and_nan_stays_nan():
    cells = drawn(0)
    for values in (cells.score, cells.target, cells.weight):
        values.flags.writeable = False
    for fit in (fit_platt, fit_isotonic):
        got = fit(cells)(np.array([np.nan, 0.5]))
        assert np.isnan(got[0])
        assert 0 < got[1] < 1
