"""All measures of a group at once."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from nimbus.metrics import fieldwise
from nimbus.metrics.fieldwise import JudgedCells, areas_of, best_rates
from nimbus.metrics.positivity import best_f1
from nimbus.metrics.ranking import rank, ranked_measures
from nimbus.metrics.resampling import field_weights, interval


def drawn(n=3000, n_fields=12):
    rng = np.random.default_rng(0)
    positive = rng.random(n) < 0.3
    field = rng.integers(0, n_fields, n)
    score = rng.normal(1.5 * positive + np.linspace(-0.5, 0.5, n_fields)[field])
    return JudgedCells(score, positive, field)


def test_the_value_is_exact_and_the_draws_nearly(monkeypatch):
    cells, weights = drawn(), field_weights(12, 200, np.random.default_rng(1))
    exact = ranked_measures(rank(cells.score, cells.positive, cells.field, n_fields=12), weights)
    monkeypatch.setattr(fieldwise, "N_STEPS", 150)  # of 900
    rough = areas_of(cells, weights)
    assert rough["auroc"][0] == pytest.approx(roc_auc_score(cells.positive, cells.score), abs=1e-12)
    assert rough["average_precision"][0] == pytest.approx(
        average_precision_score(cells.positive, cells.score), abs=1e-12
    )
    for own, true in zip(rough.values(), exact, strict=True):
        assert (own[1:] != true[1:]).any(), "proves nothing: nothing was merged"
        ends = interval(own, confidence=0.95), interval(true, confidence=0.95)
        np.testing.assert_allclose(*ends, atol=1e-3)


def test_the_best_threshold_is_that_of_all_cells_in_every_draw():
    cells, weights = drawn(), field_weights(12, 50, np.random.default_rng(1))
    threshold, rates = best_rates(cells, weights)
    assert threshold == best_f1(cells.score, cells.positive).threshold
    assert rates["best_f1"][0] == pytest.approx(best_f1(cells.score, cells.positive).f1)
    assert np.ptp(rates["best_f1"]) > 0


def test_without_positive_cells_there_is_no_best_threshold():
    cells = JudgedCells(np.array([0.1, 0.9]), np.zeros(2, bool), np.zeros(2, int))
    threshold, rates = best_rates(cells, np.ones((3, 1)))
    assert np.isnan(threshold)
    assert all(np.isnan(values).all() for values in rates.values())
