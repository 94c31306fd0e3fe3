"""Pieces of the panels."""

from __future__ import annotations

import numpy as np
import pytest

from nimbus.pl._panels import large_enough, round_length, values_of_pixels


def test_pixels_take_the_value_of_their_cell_by_id():
    labels = np.array([[0, 5, 5], [900, 2, 7]])
    values = values_of_pixels(labels, np.array([900, 5, 2]), np.array([0.9, np.nan, 0.2]))
    np.testing.assert_array_equal(values, [[np.nan] * 3, [0.9, 0.2, np.nan]])


def test_background_has_no_value_even_if_the_table_has_a_row_of_id_0():
    assert np.isnan(values_of_pixels(np.zeros((1, 2), int), np.array([0]), np.ones(1))).all()


def test_a_table_without_rows_colours_nothing():
    nothing = np.zeros(0, np.int64), np.zeros(0)
    assert np.isnan(values_of_pixels(np.ones((2, 2), int), *nothing)).all()


@pytest.mark.parametrize(("at_most", "length"), [(64, 50), (20, 20), (19.9, 10), (0.031, 0.02)])
def test_the_scale_bar_has_a_round_length(at_most, length):
    assert round_length(at_most) == pytest.approx(length)


def test_outlines_are_drawn_only_around_cells_that_can_be_seen():
    assert large_enough(np.repeat(np.arange(9), 40).reshape(9, 40))
    assert not large_enough(np.arange(100).reshape(10, 10))
    assert not large_enough(np.zeros((5, 5), int))
