from __future__ import annotations

import numpy as np
import pytest

from nimbus.core.intensity import first_not_finite, histogram, pooled, scaled

QUANTILES = [0.0, 0.1, 0.5, 0.973, 0.999, 1.0]


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint16, np.int32, np.uint32, np.int64])
@pytest.mark.parametrize("q", QUANTILES)
def test_quantiles_of_integers_are_those_of_numpy(dtype, q):
    low = -50 if np.issubdtype(dtype, np.signedinteger) else 0
    values = np.random.default_rng(0).integers(low, 120, (31, 17)).astype(dtype)
    assert histogram(values).quantile(q) == pytest.approx(np.quantile(values, q), abs=1e-12)


@pytest.mark.parametrize("q", QUANTILES)
def test_quantiles_of_floats_are_within_a_thousandth(q):
    values = np.random.default_rng(0).lognormal(0, 4, 5000).astype(np.float32) - 1
    assert histogram(values).quantile(q) == pytest.approx(np.quantile(values, q), rel=1e-3)


def test_zeros_of_both_signs_are_exact():
    assert histogram(np.array([-0.0, 0.0, 0.0], dtype=np.float32)).values.tolist() == [0.0]


def test_parts_in_any_order_add_up_to_the_whole():
    values = np.random.default_rng(1).integers(0, 60_000, 999).astype(np.uint16)
    parts = [histogram(part) for part in np.array_split(values, 7)]
    whole = histogram(values)
    orders = [parts, parts[::-1], [*parts[3:], parts[0] + parts[1], parts[2]]]
    for added in map(pooled, orders):
        np.testing.assert_array_equal(added.values, whole.values)
        np.testing.assert_array_equal(added.counts, whole.counts)


def test_positive_pixels_leave_zeros_out_and_none_is_nan():
    assert histogram(np.array([0, 0, 3, 5])).positive().quantile(0.5) == 4
    assert np.isnan(histogram(np.array([0, 0])).positive().quantile(0.5))


def test_scaled_is_clipped_and_a_scale_of_zero_gives_zeros():
    image = np.array([[[-2.0, 3.0, 9.0]], [[1.0, 2.0, 3.0]]])
    image.flags.writeable = False
    np.testing.assert_allclose(
        scaled(image, np.array([6.0, 0.0]), clip=1.0), [[[0, 0.5, 1]], [[0, 0, 0]]]
    )


def test_the_first_pixel_that_is_not_finite_is_found():
    image = np.zeros((2, 3, 4), dtype=np.float32)
    assert first_not_finite(image) is None
    image[1, 2, 0], image[1, 2, 3] = np.inf, np.nan
    assert first_not_finite(image) == (1, 2, 0)
