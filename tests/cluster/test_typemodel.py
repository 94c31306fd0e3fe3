"""Posteriors of cell types against the rule of Bayes written out in loops."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest

from nimbus.cluster.annotating import Look, Name, all_named
from nimbus.cluster.typeevidence import BASE_RATE, base_rates, shifted
from nimbus.cluster.typemodel import NOISE, SHARED_ERROR, UNASSIGNED, fitted, type_model
from nimbus.core.typerules import Literal, Rule, Signature, TypeRules

MARKERS = ("A", "B", "C", "D")
BASE = np.array([0.3, 0.1, 0.5, 0.05])
HALF = np.full(4, 0.5)


def lit(text):
    return Literal(text[0], text[1] == "+")


def rule(*clauses, negated=False):
    return Rule(tuple(tuple(map(lit, clause.split("|"))) for clause in clauses), negated=negated)


RULES = TypeRules(
    (
        Signature(("T",), (rule("A+"), rule("B-"))),
        Signature(("U",), (rule("A-"), rule("B+|D+"))),
        Signature(("U", "V"), (rule("A-"), rule("B+|D+"), rule("C+", "D+"))),
        Signature(("W",), (rule("C+", "D+", negated=True), rule("A+"))),
    )
)


def model(**options):
    given = {"markers": MARKERS, "base": BASE, "threshold": HALF} | options
    return type_model(RULES, **given)


def holds(one, state):
    """Whether a rule holds in a cell whose markers are positive or not."""
    every = [any(state[x.marker] == x.positive for x in clause) for clause in one.clauses]
    return all(every) != one.negated


def slow_posterior(scores, noise, prior):
    """Of one cell: sums over all states of the markers, rule by rule."""
    weights = [*prior]
    for k, signature in enumerate(RULES.signatures):
        for one in signature.rules:
            chance = {True: 0.0, False: 0.0}  # of the state, whether the rule holds
            seen = {True: 0.0, False: 0.0}  # and of the scores with it
            for bits in product([True, False], repeat=len(MARKERS)):
                state = dict(zip(MARKERS, bits, strict=True))
                p = np.prod([b if on else 1 - b for on, b in zip(bits, BASE, strict=True)])
                image = 1.0
                for on, s in zip(bits, scores, strict=True):
                    image *= 1.0 if np.isnan(s) else s if on else 1 - s
                chance[holds(one, state)] += p
                seen[holds(one, state)] += p * image
            every = seen[True] + seen[False]
            weights[k] *= ((1 - noise) * seen[True] / chance[True] + noise * every) / every
    return np.array(weights) / np.sum(weights)


def test_the_posterior_is_that_of_a_slow_sum_over_all_states():
    rng = np.random.default_rng(0)
    scores = rng.beta(0.6, 0.6, (12, 4))
    scores[0, 1] = np.nan
    scores[1, [1, 2, 3]] = np.nan
    scores[2] = [0.0, 1.0, 1.0, 0.0]
    own = model(noise=0.1)
    expected = [slow_posterior(row, 0.1, own.prior) for row in scores]
    np.testing.assert_allclose(own.posterior(own.evidence(scores)), expected, rtol=1e-9)
    assert np.ptp(np.array(expected)[:, 0]) > 0.3


def test_a_missing_score_says_nothing_and_no_score_leaves_the_prior():
    own = model(shares={"T": 5.0, "U": 1.0, "V": 2.0, "W": 1.0, UNASSIGNED: 1.0})
    nothing = own.posterior(own.evidence(np.full((1, 4), np.nan)))
    np.testing.assert_allclose(nothing, [[0.5, 0.1, 0.2, 0.1, 0.1]])
    one, two = ([[0.9, 0.2, np.nan, c]] for c in (0.2, 0.2))
    two[0][2] = 0.5  # a score that decides nothing is like none
    np.testing.assert_allclose(
        own.posterior(own.evidence(np.array(one))), own.posterior(own.evidence(np.array(two)))
    )


def test_a_blank_says_nothing_whatever_the_score():
    rules = TypeRules((Signature(("T",), (rule("A+"),)), Signature(("B",), (rule("B+"),))))
    own = type_model(rules, markers=MARKERS, base=BASE, threshold=HALF)
    low, high = ([[0.9, 0.1, s, s]] for s in (0.01, 0.99))
    np.testing.assert_array_equal(
        own.posterior(own.evidence(np.array(low))), own.posterior(own.evidence(np.array(high)))
    )


def test_a_rare_marker_says_much_where_it_is_and_little_where_it_is_not():
    own = type_model(
        TypeRules((Signature(("T",), (rule("D+"),)), Signature(("N",), (rule("D-"),)))),
        markers=MARKERS, base=BASE, threshold=HALF,
    )  # fmt: skip
    (there, none) = own.evidence(np.array([[0.5, 0.5, 0.5, 0.95], [0.5, 0.5, 0.5, 0.05]]))
    assert there[0] > np.log(9)
    assert abs(none[1]) < 0.06, "that a rare marker is not there is no news"


def test_a_threshold_moves_what_is_even():
    scores = np.array([[0.2, 0.9, 0.5, 0.5]])
    moved = shifted(scores, np.array([0.2, 0.5, 0.5, 0.5]))
    np.testing.assert_allclose(moved, [[0.5, 0.9, 0.5, 0.5]])
    own = model(threshold=np.array([0.2, 0.5, 0.5, 0.5]))
    evidence = dict(zip(map(str, own.rules), own.evidence(scores)[0], strict=True))
    assert evidence["A+"] == pytest.approx(0)
    assert model().evidence(scores)[0][0] < -0.5


def test_base_rates_are_shares_of_calls_within_bounds():
    scores = np.array(
        [[0.9, 0.1, 1.0, np.nan], [0.3, 0.1, 1.0, np.nan], [0.1, 0.1, np.nan, np.nan]]
    )
    found = Look(np.array([0.3, 0.5, 0.5, 0.5]))(scores.astype(np.float32))
    assert found.n_scored.tolist() == [3, 3, 2, 0]
    assert found.n_positive.tolist() == [2, 0, 2, 0]
    low, high = BASE_RATE
    rates = base_rates(found.n_positive * [1, 1, 1, 1], found.n_scored * [2, 1, 1, 1])
    np.testing.assert_allclose(rates, [1 / 3, low, high, low])
    assert found.in_range
    assert not Look(HALF[:1])(np.array([[1.01]], np.float32)).in_range


class TestDecision:
    def test_the_finest_type_that_is_likely_enough(self):
        own = model()
        types = np.array([[0.1, 0.8, 0.6, 0.1], [0.1, 0.8, 0.4, 0.1], [0.4, 0.3, 0.2, 0.3]])
        found = own.decide(types, 0.5)
        assert [own.names[k] if k >= 0 else None for k in found.code] == ["V", "U", None]
        np.testing.assert_allclose(found.confidence, [0.6, 0.8, 0.4])

    def test_a_broad_type_holds_what_is_below_it(self):
        own = model()
        posterior = np.array([[0.1, 0.2, 0.3, 0.1, 0.3]])
        np.testing.assert_allclose(own.of_types(posterior), [[0.1, 0.5, 0.3, 0.1]])


class TestGroups:
    def test_a_group_of_one_is_its_cell(self):
        own, scores = model(), np.array([[0.8, 0.2, 0.6, 0.1]])
        evidence = own.evidence(scores)
        np.testing.assert_allclose(own.of_groups(evidence, np.array([1])), own.posterior(evidence))

    def test_many_cells_count_as_four_at_most(self):
        own, scores = model(), np.array([[0.7, 0.3, 0.5, 0.3]])
        one = own.evidence(scores)
        for n_cells in (2, 10, 10**6):
            witnesses = n_cells / (1 + (n_cells - 1) * SHARED_ERROR)
            np.testing.assert_allclose(
                own.of_groups(one * n_cells, np.array([n_cells])), own.posterior(one * witnesses)
            )
        assert witnesses == pytest.approx(4, abs=1e-4)
        assert own.of_groups(one * 10**6, np.array([10**6])).max() < 0.999


def test_shares_are_estimated_and_none_of_these_keeps_its_own():
    rng = np.random.default_rng(3)
    own = type_model(
        TypeRules(
            (
                Signature(("T",), (rule("A+"), rule("B-"))),
                Signature(("B",), (rule("A-"), rule("B+"))),
            )
        ),
        markers=MARKERS, base=BASE, threshold=HALF,
    )  # fmt: skip
    is_t = rng.random(8000) < 0.8
    positive = np.stack([is_t, ~is_t, is_t, is_t], axis=1) ^ (rng.random((8000, 4)) < 0.05)
    # Scores that mean what they say: s / (1 - s) is how much likelier they are of positives.
    scores = np.where(positive, rng.beta(1.5, 0.5, (8000, 4)), rng.beta(0.5, 1.5, (8000, 4)))
    prior = fitted(own, own.ratios(scores), noise=False, prior=True).prior
    assert prior[-1] == pytest.approx(1 / 3)
    assert prior[0] / prior[:-1].sum() == pytest.approx(is_t.mean(), abs=0.04)
    assert prior.sum() == pytest.approx(1)


def test_a_marker_that_failed_loses_its_say():
    rng = np.random.default_rng(6)
    rules = TypeRules(
        (
            Signature(("T",), (rule("A+"), rule("B-"), rule("C+"))),
            Signature(("U",), (rule("A-"), rule("B+"), rule("C+"))),
        )
    )
    own = type_model(rules, markers=MARKERS, base=np.array([0.5, 0.5, 0.02, 0.02]), threshold=HALF)
    is_t = rng.random(3000) < 0.5
    positive = np.stack([is_t, ~is_t, rng.random(3000) < 0.05, is_t], axis=1)  # C stained nothing
    high, low = rng.beta(12, 1.2, (3000, 4)), rng.beta(1.2, 14, (3000, 4))
    scores = np.where(positive, high, low)
    found = fitted(own, own.ratios(scores), noise=True, prior=False)
    noise = dict(zip(map(str, own.rules), found.noise, strict=True))
    assert noise["C+"] > 0.6
    assert max(noise["A+"], noise["A-"], noise["B+"], noise["B-"]) < 0.1
    right = [
        ((one.posterior(one.evidence(scores))[:, 0] > 0.5) == is_t).mean() for one in (own, found)
    ]
    assert right[1] > 0.95 > right[0]
    none = fitted(own, own.ratios(np.full((50, 4), np.nan)), noise=True, prior=False)
    np.testing.assert_allclose(none.noise, NOISE, atol=0.05)


def test_spans_add_up_to_the_whole():
    rng = np.random.default_rng(4)
    scores = rng.beta(0.6, 0.6, (90, 4)).astype(np.float32)
    scores[5] = np.nan
    for n_groups, group in ((None, None), (3, rng.integers(-1, 3, 90))):
        work = Name(model(), Look(HALF), 0.5, True, n_groups)
        whole = all_named([work(scores, group)])
        cut = [0, 20, 21, 90]
        parts = [work(scores[a:b], None if group is None else group[a:b]) for a, b in pairwise(cut)]
        found = all_named(parts)
        np.testing.assert_array_equal(found.code, whole.code)
        np.testing.assert_array_equal(found.of_types, whole.of_types)
        for name in ("n_cells", "evidence", "scores", "n_scores", "posterior"):
            np.testing.assert_allclose(getattr(found.tally, name), getattr(whole.tally, name))
        assert whole.code[5] == -2
        assert np.isnan(whole.confidence[5])
        kept = (np.arange(90) != 5) & ((group >= 0) if group is not None else True)
        assert whole.tally.n_cells.sum() == kept.sum()
