"""Sums of one tile, some rows at a time."""

from __future__ import annotations

import numpy as np
import pytest

import nimbus.core.bands
from nimbus.core.boxes import Box
from nimbus.core.grid import Axis, Grid
from nimbus.core.tiles import Tile
from nimbus.engine.measure import (
    find_cells,
    intensity_sums,
    intensity_window,
    on_mask,
    owned_labels,
    place_sums,
    score_weights,
)
from nimbus.engine.planes import channel_planes, image_window

TILE = Tile(0, write=Box(5, 26, 3, 22), read=Box(0, 32, 0, 32))


def drawn(label_size):
    """An image, labels of another pixel size that begin beside it, and how they lie."""
    rng = np.random.default_rng(0)
    image = rng.random((2, 61, 53)).astype(np.float32)
    n_labels = [round((n + 1) / label_size) for n in image.shape[1:]]
    labels = rng.integers(0, 30, n_labels) * 5
    grid = Grid(
        *(
            Axis(n, m, factor=1.7, label_size=label_size, label_start=-0.5)
            for n, m in zip(image.shape[1:], n_labels, strict=True)
        )
    )
    for array in (image, labels):
        array.flags.writeable = False
    return image, labels, grid


def measured(label_size):
    image, labels, grid = drawn(label_size)
    box = owned_labels(grid, TILE.write)
    cells = find_cells(labels[box.slices], box)
    window = intensity_window(grid, box)
    seen = image_window(grid, TILE.write)
    weights = score_weights(cells, grid, TILE)
    scales = np.array([0.7, 0.0])
    return {
        "ids": cells.ids,
        "position": cells.position,
        "weights": weights.toarray(),
        "places": np.column_stack(place_sums(cells)),
        "intensities": np.column_stack(
            intensity_sums(image[:, *window.slices], cells, grid, window)
        ),
        "planes": channel_planes(
            image[:, *seen.slices], scales, grid, TILE.write, origin=seen, clip=1.0
        ),
    }


@pytest.mark.parametrize("label_size", [0.8, 1.0, 2.3])
@pytest.mark.parametrize("pixels", [1, 100, 333])
def test_bands_give_the_bits_of_the_whole(monkeypatch, label_size, pixels):
    whole = measured(label_size)
    monkeypatch.setattr(nimbus.core.bands, "BAND_PIXELS", pixels)
    for name, values in measured(label_size).items():
        np.testing.assert_array_equal(values, whole[name], err_msg=name)
        assert values.dtype == whole[name].dtype


def test_the_sums_are_those_of_a_loop_over_label_pixels():
    image, labels, grid = drawn(1.0)
    box = owned_labels(grid, TILE.write)
    got = measured(1.0)
    n = got["ids"].size
    place, total = np.zeros((n, 3)), np.zeros((n, 3))
    weights = np.zeros((n, *TILE.write.shape))
    for y in range(box.y0, box.y1):
        for x in range(box.x0, box.x1):
            if labels[y, x] == 0:
                continue
            k = got["ids"].tolist().index(labels[y, x])
            place[k] += 1, y + 0.5, x + 0.5
            total[k] += *image[:, y, x].astype(np.float64), 1
            row, column = (
                int(grid.y.network_of_labels(y, y + 1)[0]),
                grid.x.network_of_labels(x, x + 1)[0],
            )
            weights[k, row - TILE.write.y0, column - TILE.write.x0] += 1
    assert weights.max() > 1
    np.testing.assert_array_equal(got["places"], place)
    np.testing.assert_array_equal(got["intensities"], total)
    np.testing.assert_array_equal(got["weights"].reshape(weights.shape), weights)
    # Every owned pixel has its place in the network's grid: the area is what a score is divided by.
    np.testing.assert_array_equal(got["weights"].sum(axis=1), place[:, 0])


def test_weights_on_the_mask_are_zero_off_it():
    _, labels, grid = drawn(0.8)
    box = owned_labels(grid, TILE.write)
    weights = score_weights(find_cells(labels[box.slices], box), grid, TILE)
    mask = np.random.default_rng(1).integers(0, 2, TILE.write.shape).astype(np.uint8)
    got = on_mask(weights, mask).toarray()
    assert 0 < got.sum() < weights.sum()
    np.testing.assert_array_equal(got, weights.toarray() * mask.reshape(1, -1))
