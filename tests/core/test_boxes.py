from __future__ import annotations

import numpy as np

from nimbus.core.boxes import Box


def test_a_box_relative_to_another_finds_the_same_pixels():
    image = np.arange(80).reshape(8, 10)
    outer, inner = Box(1, 7, 2, 9), Box(3, 6, 4, 8)
    np.testing.assert_array_equal(
        image[outer.slices][inner.relative_to(outer).slices], image[inner.slices]
    )


def test_clipping_keeps_boxes_inside_and_leaves_empty_ones_empty():
    assert Box(-3, 5, 8, 20).clipped((4, 10)) == Box(0, 4, 8, 10)
    assert Box(12, 15, 0, 3).clipped((4, 10)).shape == (0, 3)
