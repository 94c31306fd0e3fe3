from __future__ import annotations

import itertools

import numpy as np
import pytest

from nimbus.core.grid import OUTSIDE, Axis

FACTORS = [0.7, 1.0, 1.5, 2.0, 2.0408, 3.0, 4.0, 5.3]


@pytest.mark.parametrize("factor", FACTORS)
@pytest.mark.parametrize("size", [1, 2, 17, 67])
def test_network_pixels_cover_the_image_and_no_more(factor, size):
    axis = Axis(size, size, factor)
    assert (axis.n_network - 1) * factor < size <= axis.n_network * factor + 1e-6


@pytest.mark.parametrize("factor", FACTORS)
def test_every_label_pixel_belongs_to_exactly_one_run_of_network_pixels(factor):
    axis = Axis(67, 67, factor)
    starts = list(range(0, axis.n_network, 5))
    runs = [axis.labels_of_network(k, min(k + 5, axis.n_network)) for k in starts]
    assert runs[0][0] == 0
    assert runs[-1][1] == 67
    assert all(left[1] == right[0] for left, right in itertools.pairwise(runs))


def test_the_nearest_network_pixel_is_that_of_the_label_pixels_centre():
    #  network |    0    |    1    |  2        factor 2.5
    #  labels  | 0 | 1 | 2 | 3 | 4 | 5         centres 0.5 ... 5.5
    axis = Axis(6, 6, 2.5)
    np.testing.assert_array_equal(axis.network_of_labels(0, 6), [0, 0, 1, 1, 1, 2])


def test_label_pixels_off_the_image_have_no_network_pixel():
    axis = Axis(n_image=4, n_labels=4, factor=1.0, label_start=-1.0)
    np.testing.assert_array_equal(axis.network_of_labels(0, 4), [OUTSIDE, 0, 1, 2])


def test_half_pixels_beyond_the_labels_are_outside_and_beyond_the_image_repeat_its_edge():
    axis = Axis(n_image=6, n_labels=2, factor=2.0, label_start=2.0)
    np.testing.assert_array_equal(
        axis.labels_of_half(-1, 7), [OUTSIDE, OUTSIDE, OUTSIDE, 0, 1, OUTSIDE, OUTSIDE, OUTSIDE]
    )
    whole = Axis(n_image=3, n_labels=3, factor=2.0)
    np.testing.assert_array_equal(whole.labels_of_half(-1, 5), [0, 0, 1, 2, 2, 2])


@pytest.mark.parametrize(("label_size", "n_labels"), [(0.5, 12), (1.0, 6), (2.0, 3), (3.0, 2)])
def test_places_of_runs_of_labels_cover_the_image_once(label_size, n_labels):
    axis = Axis(n_image=6, n_labels=n_labels, factor=2.0, label_size=label_size)
    label, image = zip(*(axis.finest_of_labels(k, k + 1) for k in range(n_labels)), strict=True)
    n_places = max(n_labels, 6)
    np.testing.assert_array_equal(np.concatenate(image), np.arange(n_places) * 6 // n_places)
    np.testing.assert_array_equal(np.concatenate(label), np.arange(n_places) * n_labels // n_places)


def test_a_half_pixel_whose_centre_is_beyond_the_edge_repeats_the_edge():
    axis = Axis(n_image=5, n_labels=5, factor=8.0)
    np.testing.assert_array_equal(axis.labels_of_half(0, 2), [2, 4])


def level_axis(n_finest, shrink, size, start, *, factor):
    """A level without the pixels that fill none; `size` and `start` in finest pixels."""
    n_level = n_finest // shrink
    n_labels = int(np.ceil((n_finest + 3 - start) / size))  # reaches beyond the image
    return Axis(
        n_level,
        n_labels,
        factor,
        label_size=size / shrink,
        label_start=start / shrink,
        rest=n_finest / shrink - n_level,
    )


def by_hand(axis, shrink, n_finest, size, start, *, factor):
    """Network pixel and level pixel of each label pixel, one by one in finest pixels."""
    network, level = [], []
    for k in range(axis.n_labels):
        centre = start + (k + 0.5) * size
        on_image = 0 <= centre < n_finest
        nearest = min(int(centre // (shrink * factor)), axis.n_network - 1)
        network.append(nearest if on_image else OUTSIDE)
        level.append(min(int(centre // shrink), axis.n_image - 1) if on_image else None)
    return np.array(network), level


LEVELS = [(131, 4), (131, 2), (130, 4), (128, 4), (7, 4), (5, 3)]


@pytest.mark.parametrize(("n_finest", "shrink"), LEVELS)
@pytest.mark.parametrize(("size", "start"), [(1, 0), (1, -2), (0.5, 0), (2, 0), (3, 0), (5, -5)])
@pytest.mark.parametrize("factor", [1.0, 1.5])
def test_label_pixels_past_the_end_of_a_level_belong_to_its_last_pixel(
    n_finest, shrink, size, start, factor
):
    axis = level_axis(n_finest, shrink, size, start, factor=factor)
    network, level = by_hand(axis, shrink, n_finest, size, start, factor=factor)
    assert (network == OUTSIDE).any(), "proves nothing: no label pixel is off the image"
    np.testing.assert_array_equal(axis.network_of_labels(0, axis.n_labels), network)

    for k in range(axis.n_network):
        first, last = axis.labels_of_network(k, k + 1)
        np.testing.assert_array_equal(np.flatnonzero(network == k), np.arange(first, last))

    for k in np.flatnonzero(network != OUTSIDE):
        label, image = axis.finest_of_labels(k, k + 1)
        assert set(label) == {k}
        if size <= shrink:
            assert image.tolist() == [level[k]]
    runs = [axis.finest_of_labels(k, k + 1) for k in range(axis.n_labels)]
    whole = axis.finest_of_labels(0, axis.n_labels)
    for part, parts in zip(whole, zip(*runs, strict=True), strict=True):
        np.testing.assert_array_equal(part, np.concatenate(parts))
    assert 0 <= whole[1].min() <= whole[1].max() == axis.n_image - 1
