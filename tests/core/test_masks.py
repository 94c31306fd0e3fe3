from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from skimage.segmentation import find_boundaries

from nimbus.core.boxes import Box
from nimbus.core.grid import Axis, Grid, same_grid
from nimbus.core.masks import cell_plane, inner_border, label_window, mask_plane


def drawn(shape=(67, 91), seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 4, (shape[0] // 3 + 1, shape[1] // 3 + 1))
    labels = labels.repeat(3, 0).repeat(3, 1)[: shape[0], : shape[1]]
    labels.flags.writeable = False
    return labels


def whole_plane(labels, grid):
    height, width = grid.network_shape
    origin = Box(0, labels.shape[0], 0, labels.shape[1])
    return mask_plane(labels, grid, Box(0, height, 0, width), origin=origin)


def test_the_border_is_that_of_skimage():
    labels = drawn()
    expected = find_boundaries(labels, mode="inner") & (labels > 0)
    assert expected.any()
    np.testing.assert_array_equal(inner_border(labels), expected)


@pytest.mark.parametrize("shape", [(66, 90), (67, 91), (1, 5), (2, 1)])
def test_at_factor_two_it_is_what_the_published_tool_shows_its_network(shape):
    labels = drawn(shape)
    border = find_boundaries(labels, mode="inner")
    expected = ((labels > 0) & ~border)[::2, ::2]
    np.testing.assert_array_equal(whole_plane(labels, same_grid(shape, 2.0)), expected)


@pytest.mark.parametrize("factor", [0.7, 1, 1.5, 2, 3, 4, 5.3])
def test_a_window_gives_the_same_plane_as_the_whole(factor):
    labels = drawn()
    grid = same_grid(labels.shape, factor)
    whole = whole_plane(labels, grid)
    rng = np.random.default_rng(1)
    for _ in range(20):
        y0, x0 = (int(rng.integers(0, n)) for n in whole.shape)
        y1 = int(rng.integers(y0 + 1, whole.shape[0] + 1))
        x1 = int(rng.integers(x0 + 1, whole.shape[1] + 1))
        box = Box(y0, y1, x0, x1)
        window = label_window(grid, box)
        part = mask_plane(labels[window.slices], grid, box, origin=window)
        np.testing.assert_array_equal(part, whole[box.slices])


@pytest.mark.parametrize("factor", [1.0, 2.0, 3.0, 4.0, 5.0])
def test_touching_cells_stay_apart_at_every_factor(factor):
    side = int(8 * factor)
    cells = np.arange(1, 17).reshape(4, 4)
    labels = cells.repeat(side, 0).repeat(side, 1)
    assert ndimage.label(labels > 0)[1] == 1, "proves nothing: the cells do not touch"
    plane = whole_plane(labels, same_grid(labels.shape, factor))
    assert ndimage.label(plane)[1] == 16


def test_labels_of_a_part_of_the_image_leave_the_rest_background():
    axis = Axis(n_image=12, n_labels=6, factor=1.0, label_start=4.0)
    plane = whole_plane(np.ones((6, 6), dtype=int), Grid(axis, axis))
    rows = np.flatnonzero(plane.any(axis=1))
    assert rows.min() >= 4
    assert rows.max() <= 9


def test_ids_lie_where_the_mask_plane_samples_them_in_every_part():
    labels = drawn((41, 37), seed=2)
    grid = same_grid(labels.shape, 1.7)
    height, width = grid.network_shape
    whole = Box(0, height, 0, width)
    all_of_it = Box(0, 41, 0, 37)
    ids = cell_plane(labels, grid, whole, origin=all_of_it)

    assert ids.dtype == np.int32
    assert (ids[mask_plane(labels, grid, whole, origin=all_of_it) > 0] > 0).all()
    for box in (Box(3, 9, 0, 11), Box(10, height, 7, width)):
        window = label_window(grid, box)
        part = cell_plane(labels[window.slices], grid, box, origin=window)
        np.testing.assert_array_equal(part, ids[box.slices])
