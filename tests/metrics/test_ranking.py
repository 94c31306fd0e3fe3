"""Areas of many resamples at once, against scikit-learn on repeated cells."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from nimbus.metrics import ranking
from nimbus.metrics.ranking import coarser, rank, ranked_measures


def drawn(seed: int, *, ties: bool, n=150, n_fields=5):
    rng = np.random.default_rng(seed)
    positive = rng.random(n) < 0.25
    score = rng.normal(positive.astype(float))
    score = np.round(score, 0) if ties else score
    for array in (score, positive):
        array.flags.writeable = False
    return score, positive, rng.integers(0, n_fields, n)


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_each_resample_equals_scikit_learn_on_its_repeated_cells(seed, ties):
    score, positive, field = drawn(seed, ties=ties)
    weights = np.random.default_rng(seed).multinomial(5, [0.2] * 5, size=20).astype(float)
    areas, precisions = ranked_measures(rank(score, positive, field, n_fields=5), weights)
    for weight, area, precision in zip(weights, areas, precisions, strict=True):
        cells = np.repeat(np.arange(score.size), weight.astype(int)[field])
        assert area == pytest.approx(roc_auc_score(positive[cells], score[cells]), abs=1e-12)
        assert precision == pytest.approx(
            average_precision_score(positive[cells], score[cells]), abs=1e-12
        )
    assert np.ptp(areas) > 0.01, "proves nothing: all resamples are alike"


def test_blocks_of_resamples_add_up_to_all(monkeypatch):
    score, positive, field = drawn(3, ties=False)
    weights = np.random.default_rng(0).multinomial(5, [0.2] * 5, size=7)
    ranked = rank(score, positive, field, n_fields=5)
    whole = ranked_measures(ranked, weights)
    monkeypatch.setattr(ranking, "_BLOCK", 2 * ranked.hits.shape[0])
    np.testing.assert_allclose(ranked_measures(ranked, weights), whole, rtol=1e-12)


@pytest.mark.parametrize("positive", [[True, True], [False, False]])
def test_one_class_gives_nan_areas(positive):
    score, field = np.array([0.2, 0.7]), np.array([0, 0])
    areas, precisions = ranked_measures(
        rank(score, np.array(positive), field, n_fields=1), np.ones((1, 1))
    )
    assert np.isnan(areas[0])
    assert precisions[0] == 1 if positive[0] else np.isnan(precisions[0])


def test_a_resample_without_a_positive_cell_is_nan_and_the_others_are_not():
    score, positive = np.array([0.9, 0.1, 0.2]), np.array([True, False, False])
    ranked = rank(score, positive, np.array([0, 0, 1]), n_fields=2)
    areas, precisions = ranked_measures(ranked, np.array([[1.0, 1.0], [0.0, 2.0]]))
    np.testing.assert_array_equal(areas, [1, np.nan])
    np.testing.assert_array_equal(precisions, [1, np.nan])


def test_no_cells_give_nan():
    nothing = np.zeros(0), np.zeros(0, bool), np.zeros(0, int)
    areas, precisions = ranked_measures(rank(*nothing, n_fields=2), np.ones((3, 2)))
    assert np.isnan(areas).all()
    assert np.isnan(precisions).all()


def test_merged_steps_are_those_of_scores_that_are_tied():
    score, positive, field = drawn(4, ties=False)
    ranked = rank(score, positive, field, n_fields=5)
    n_steps = ranked.hits.shape[0]
    merged = coarser(ranked, 4)
    assert merged.hits.shape == (4, 5) != ranked.hits.shape
    levels = np.sort(score[positive])[::-1]
    lowest = np.array(
        [levels[np.flatnonzero(np.arange(n_steps) * 4 // n_steps == k)[-1]] for k in range(4)]
    )
    tied = np.array([-1.0 if s < lowest[-1] else 4.0 - np.argmax(lowest <= s) for s in score])
    weights = np.array([[1.0, 2.0, 0.0, 1.0, 1.0]])
    cells = np.repeat(np.arange(score.size), weights[0].astype(int)[field])
    area, precision = ranked_measures(merged, weights)
    assert precision[0] == pytest.approx(average_precision_score(positive[cells], tied[cells]))
    assert area[0] == pytest.approx(
        ranked_measures(rank(tied, positive, field, n_fields=5), weights)[0][0]
    )
    assert coarser(ranked, n_steps) is ranked
