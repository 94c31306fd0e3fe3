"""Outlines against a loop over the sides of pixels."""

from __future__ import annotations

import numpy as np

from nimbus.pl._outlines import outline_segments


def test_every_side_between_different_ids_is_drawn_once():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (7, 9))
    drawn = set()
    for (x0, y0), (x1, y1) in outline_segments(labels):
        assert x0 == x1 or y0 == y1, "sides are straight"
        n = int(abs(x1 - x0) + abs(y1 - y0))
        for k in range(n):  # pieces of one pixel
            dx, dy = (x1 - x0) / n, (y1 - y0) / n
            piece = (x0 + k * dx, y0 + k * dy, x0 + (k + 1) * dx, y0 + (k + 1) * dy)
            assert piece not in drawn
            drawn.add(piece)
    slow = set()
    for y in range(7):
        for x in range(9):
            if x and labels[y, x] != labels[y, x - 1]:
                slow.add((x, y, x, y + 1))
            if y and labels[y, x] != labels[y - 1, x]:
                slow.add((x, y, x + 1, y))
    assert drawn == slow


def test_a_straight_border_is_one_segment():
    labels = np.zeros((50, 60), int)
    labels[:, 30:] = 1
    assert outline_segments(labels).tolist() == [[[30, 0], [30, 50]]]


def test_one_cell_that_fills_the_field_has_no_outline():
    assert outline_segments(np.ones((4, 5), int)).shape == (0, 2, 2)
