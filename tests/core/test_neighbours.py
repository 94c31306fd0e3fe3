"""Sums over neighbours against all pairs."""

from __future__ import annotations

import numpy as np

from nimbus.core import neighbours
from nimbus.core.neighbours import sums_within


def slow(points, values, radius):
    distance = np.sqrt(((points[:, None] - points[None]) ** 2).sum(axis=-1))
    near = distance <= radius
    np.fill_diagonal(near, False)
    return near @ values


def drawn(n=90):
    rng = np.random.default_rng(0)
    points, values = rng.random((n, 2)) * 100, rng.random((n, 3))
    points.flags.writeable = values.flags.writeable = False
    return points, values


def test_sums_equal_those_over_all_pairs(monkeypatch):
    points, values = drawn()
    expected = slow(points, values, 20.0)
    np.testing.assert_allclose(sums_within(points, values, radius=20.0), expected)
    monkeypatch.setattr(neighbours, "_BLOCK", 7)
    np.testing.assert_allclose(sums_within(points, values, radius=20.0), expected)


def test_the_neighbourhood_is_a_circle_and_no_square():
    points = np.array([[0.0, 0.0], [100.0, 100.0], [119.9, 0.0], [0.0, 120.0]])
    counts = sums_within(points, np.ones((4, 1)), radius=120.0)
    assert counts[0, 0] == 2, "the corner at 141 pixels is outside, the point at 120 inside"


def test_two_cells_in_one_place_are_neighbours_of_each_other():
    np.testing.assert_array_equal(
        sums_within(np.zeros((2, 2)), np.array([[1.0], [5.0]]), radius=1.0), [[5], [1]]
    )


def test_a_cell_without_a_place_has_no_sum_and_is_no_neighbour():
    points, values = drawn(5)
    lost = points.copy()
    lost[2] = np.nan
    sums = sums_within(lost, values, radius=1000.0)
    assert np.isnan(sums[2]).all()
    np.testing.assert_allclose(sums[0], values[[1, 3, 4]].sum(axis=0))


def test_no_cells_have_no_sums():
    assert sums_within(np.zeros((0, 2)), np.zeros((0, 2)), radius=1.0).shape == (0, 2)
