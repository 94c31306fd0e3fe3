from __future__ import annotations

import numpy as np
import pytest

from nimbus.core.boxes import Box
from nimbus.core.grid import same_grid
from nimbus.core.resample import area_average

FACTORS = [0.7, 1.0, 1.5, 2.0, 2.0408, 3.0, 4.0, 5.3]


@pytest.fixture(scope="module")
def image():
    image = np.random.default_rng(0).random((37, 51)).astype(np.float32)
    image.flags.writeable = False
    return image


def overlaps(size, factor, n_out):
    """Weights ``(n_out, size)`` of the pixels under each network pixel, by hand."""
    pixel = np.arange(size)
    rows = []
    for k in range(n_out):
        part = np.minimum(pixel + 1, (k + 1) * factor) - np.maximum(pixel, k * factor)
        rows.append(np.clip(part, 0, None) / np.clip(part, 0, None).sum())
    return np.array(rows)


def averaged(image, grid, box):
    origin = Box(*grid.y.image_of_network(box.y0, box.y1), *grid.x.image_of_network(box.x0, box.x1))
    return area_average(image[origin.slices], grid, box, origin=origin)


@pytest.mark.parametrize("factor", FACTORS)
def test_each_network_pixel_is_the_mean_of_the_area_under_it(image, factor):
    grid = same_grid(image.shape, factor)
    height, width = grid.network_shape
    expected = overlaps(37, factor, height) @ image @ overlaps(51, factor, width).T
    got = averaged(image, grid, Box(0, height, 0, width))
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_at_factor_two_it_is_the_mean_of_four(image):
    grid = same_grid((36, 50), 2.0)
    got = averaged(image[:36, :50], grid, Box(0, 18, 0, 25))
    expected = image[:36, :50].reshape(18, 2, 25, 2).mean(axis=(1, 3))
    np.testing.assert_allclose(got, expected, atol=1e-6)


@pytest.mark.parametrize("factor", FACTORS)
def test_a_window_gives_the_same_bits_as_the_whole(image, factor):
    grid = same_grid(image.shape, factor)
    height, width = grid.network_shape
    whole = averaged(image, grid, Box(0, height, 0, width))
    rng = np.random.default_rng(1)
    for _ in range(20):
        y0, x0 = int(rng.integers(0, height)), int(rng.integers(0, width))
        y1, x1 = int(rng.integers(y0 + 1, height + 1)), int(rng.integers(x0 + 1, width + 1))
        part = averaged(image, grid, Box(y0, y1, x0, x1))
        np.testing.assert_array_equal(part, whole[y0:y1, x0:x1])
