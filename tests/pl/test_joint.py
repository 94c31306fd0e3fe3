"""Bins, counts and colours of the density figure."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.colors import to_rgb

from nimbus.pl._joint import Bins, bins_for, blended, joint_counts, round_ticks


def test_counts_equal_a_loop_over_the_cells():
    rng = np.random.default_rng(0)
    x, y = rng.lognormal(2, 1, 500), rng.random(500)
    bins = bins_for(x, y, n_bins=8, bent=True)
    slow = np.zeros((8, 8), int)
    for a, b in zip(x, y, strict=True):
        column = sum(a >= edge for edge in bins.x[1:-1])
        row = sum(b >= edge for edge in bins.y[1:-1])
        slow[row, column] += 1
    np.testing.assert_array_equal(joint_counts(x, y, bins), slow)


def test_no_cell_is_lost_beyond_the_outermost_edges():
    bins = Bins(np.array([0.0, 1.0, 2.0]), np.array([0.0, 0.5, 1.0]), 0.0)
    x, y = np.array([-9.0, 99.0, 2.0]), np.array([1.0, 2.0, -1.0])
    assert joint_counts(x, y, bins).sum() == 3


def test_one_bright_outlier_does_not_squeeze_the_others():
    x = np.append(np.linspace(1, 2, 10_000), 1e9)
    assert bins_for(x, x, n_bins=10, bent=False).x[-1] < 3


@pytest.mark.parametrize("bent", [True, False])
@pytest.mark.parametrize("values", [[], [0.0], [0.0, 0.0], [5.0, 5.0], [-3.0, -1.0], [-2.0, 4.0]])
def test_edges_ascend_whatever_the_values(values, bent):
    x = np.array(values, dtype=float)
    bins = bins_for(x, x, n_bins=5, bent=bent)
    assert (np.diff(bins.x) > 0).all()
    assert (np.diff(bins.y) > 0).all()
    assert joint_counts(x, x, bins).sum() == x.size


def test_a_single_cell_is_seen_beside_a_million():
    many, one = np.array([[1_000_000, 0]]), np.array([[0, 1]])
    color = blended({"#0072B2": many, "#D55E00": one})
    np.testing.assert_allclose(color[0, 1], to_rgb("#D55E00"))
    lone = blended({"#0072B2": np.array([[1_000_000, 1]])})
    assert lone[0, 1].max() <= 1
    assert lone[0, 1].min() < 0.85, "paler than the fullest bin, but no paper"


def test_ticks_are_round_apart_and_on_the_axis():
    for low, high, width in (
        (0, 400, 10),
        (8, 60, 18),
        (0.001, 0.02, 0.004),
        (0, 1, 0),
        (-5, 5, 1),
    ):
        bins = Bins(np.array([low, high], float), np.array([0.0, 1.0]), width)
        ticks = round_ticks(bins)
        assert 1 <= len(ticks) <= 7, ticks
        assert all(low <= tick <= high for tick in ticks)


@pytest.mark.parametrize(("low", "high"), [(550, 990), (7, 8), (12e3, 19e3), (-400, -3)])
@pytest.mark.parametrize("width", [0, 200])
def test_an_axis_far_from_0_has_numbers_too(low, high, width):
    ticks = round_ticks(Bins(np.array([low, high], float), np.array([0.0, 1.0]), width))
    assert 2 <= len(ticks) <= 5
    assert all(low <= tick <= high for tick in ticks)
    assert np.ptp(np.diff(ticks)) == pytest.approx(0, abs=1e-9)
