"""Rates against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

from nimbus.metrics.confusion import RATES, confusion


def drawn(seed=0, n=300):
    rng = np.random.default_rng(seed)
    positive = rng.random(n) < 0.3
    called = rng.random(n) < np.where(positive, 0.7, 0.1)
    return called, positive, rng.integers(0, 4, n)


def test_rates_equal_those_of_scikit_learn():
    called, positive, field = drawn()
    counts = confusion(called, positive, field, np.ones((1, 4)))
    expected = {
        "precision": precision_score(positive, called),
        "recall": recall_score(positive, called),
        "specificity": recall_score(~positive, ~called),
        "f1": f1_score(positive, called),
        "accuracy": accuracy_score(positive, called),
    }
    assert {name: getattr(counts, name)[0] for name in RATES} == pytest.approx(expected)


def test_a_field_counts_as_often_as_its_weight():
    called, positive, field = drawn(1)
    weights = np.array([[2.0, 0.0, 1.0, 3.0]])
    repeated = np.repeat(np.arange(field.size), weights[0].astype(int)[field])
    expected = f1_score(positive[repeated], called[repeated])
    assert expected != pytest.approx(f1_score(positive, called)), "proves nothing"
    assert confusion(called, positive, field, weights).f1 == pytest.approx([expected])


def test_a_rate_without_denominator_is_nan_and_no_warning():
    nothing_called = confusion(
        np.zeros(2, bool), np.array([True, False]), np.zeros(2, int), np.ones((1, 1))
    )
    assert np.isnan(nothing_called.precision[0])
    assert nothing_called.f1[0] == 0
    no_negatives = confusion(np.ones(1, bool), np.ones(1, bool), np.zeros(1, int), np.ones((1, 1)))
    assert np.isnan(no_negatives.specificity[0])
