from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from nimbus.core.mixture import Mixture, fit_mixture


def drawn(n_low, n_high, *, means=(0.0, 5.0), sds=(1.0, 0.7), seed=0):
    rng = np.random.default_rng(seed)
    return np.concatenate(
        [rng.normal(means[0], sds[0], n_low), rng.normal(means[1], sds[1], n_high)]
    )


@pytest.mark.parametrize("n_high", [40, 1000, 3800])
def test_it_finds_the_components_that_values_were_drawn_from(n_high):
    fit = fit_mixture(drawn(4000 - n_high, n_high))
    assert fit.weight == pytest.approx(n_high / 4000, abs=0.01)
    np.testing.assert_allclose(fit.means, (0, 5), atol=0.25)
    np.testing.assert_allclose(fit.sds, (1, 0.7), atol=0.2)


def test_it_agrees_with_an_independent_library():
    mixture = pytest.importorskip("sklearn.mixture")
    values = drawn(900, 300, means=(0.0, 3.0))
    theirs = mixture.GaussianMixture(2, random_state=0, n_init=3, tol=1e-8, max_iter=1000)
    theirs.fit(values[:, None])
    order = np.argsort(theirs.means_[:, 0])
    ours = fit_mixture(values)
    np.testing.assert_allclose(ours.means, theirs.means_[order, 0], atol=0.02)
    np.testing.assert_allclose(ours.sds, np.sqrt(theirs.covariances_[order, 0, 0]), atol=0.02)
    assert ours.weight == pytest.approx(theirs.weights_[order[1]], abs=0.01)


def test_order_scale_and_shift_of_the_values_do_not_matter():
    values = drawn(500, 200)
    fit = fit_mixture(values)
    turned = fit_mixture(np.random.default_rng(1).permutation(values))
    assert turned == fit
    moved = fit_mixture(values * 3 + 7)
    np.testing.assert_allclose(moved.means, np.array(fit.means) * 3 + 7, rtol=1e-6)


def test_the_posterior_is_that_of_bayes_also_far_away():
    fit = Mixture(0.2, (0.0, 3.0), (1.0, 0.5))
    x = np.array([-1.0, 1.0, 2.0, 3.0])
    upper, lower = 0.2 * norm.pdf(x, 3, 0.5), 0.8 * norm.pdf(x, 0, 1)
    np.testing.assert_allclose(fit.posterior(x), upper / (upper + lower), rtol=1e-12)
    assert np.isfinite(fit.posterior(np.array([-1e6, 1e6]))).all()


def test_the_cut_is_where_the_posterior_reaches_the_probability_between_the_means():
    fit = Mixture(0.2, (0.0, 3.0), (1.0, 0.5))
    # The wide lower component wins again far above: only between the means the cut is one value.
    assert fit.posterior(np.array([7.0]))[0] < 0.1
    cut = fit.cut(0.9)
    assert 0 < cut < 3
    assert fit.posterior(np.array([cut]))[0] == pytest.approx(0.9, abs=1e-6)


@pytest.mark.parametrize("seed", range(5))
def test_components_are_apart_only_where_there_are_two(seed):
    near = fit_mixture(drawn(1000, 1000, means=(0.0, 0.5), sds=(1.0, 1.0), seed=seed))
    far = fit_mixture(drawn(1000, 1000, means=(0.0, 6.0), sds=(1.0, 1.0), seed=seed))
    assert not near.is_apart(separation=2.0, confidence=0.9)
    assert far.is_apart(separation=2.0, confidence=0.9)


def test_a_bump_on_the_flank_is_not_apart_however_narrow():
    bump = Mixture(0.004, (0.0, 2.0), (1.0, 0.05))
    assert bump.separation > 2, "proves nothing"
    assert not bump.is_apart(separation=2.0, confidence=0.5)


def test_spikes_of_counts_do_not_make_a_component_without_width():
    values = np.log(np.repeat([1.0, 2.0, 3.0, 40.0, 60.0], [500, 60, 30, 40, 40]))
    fit = fit_mixture(values)
    assert min(fit.sds) >= 0.05 * values.std() * 0.99


@pytest.mark.parametrize("values", [[], [2.0], [3.0, 3.0]])
def test_values_that_do_not_differ_are_refused(values):
    with pytest.raises(ValueError, match="values that differ"):
        fit_mixture(np.array(values))
