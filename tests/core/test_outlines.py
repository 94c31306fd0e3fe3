from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from nimbus.core.outlines import outlines
from support.tissue import draw_labels

shapely = pytest.importorskip("shapely")

HARD = np.array(
    [
        [1, 1, 1, 1, 0, 2, 0, 9],
        [1, 0, 1, 1, 0, 0, 2, 9],
        [1, 1, 0, 1, 0, 2, 2, 9],  # 1: two holes that touch at a corner
        [1, 1, 1, 1, 0, 0, 0, 9],  # 2: pieces that touch at corners
        [70_000, 70_000, 70_000, 70_000, 70_000, 0, 9, 9],
        [70_000, 3, 3, 3, 70_000, 0, 9, 0],  # 70000: a cell in its hole, a piece in the hole of
        [70_000, 3, 70_000, 3, 70_000, 0, 9, 9],  # that, and a hole that reaches the outside
        [70_000, 3, 3, 3, 70_000, 9, 0, 9],
        [70_000, 70_000, 70_000, 70_000, 0, 9, 9, 9],
    ]
)
"""All that makes outlines hard, and ids beyond 16 bits."""


def drawn_back(found, shape):
    """Label image of polygons, by an independent library."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    image = np.zeros(shape, dtype=np.int64)
    for cell, pieces in found.items():
        for piece in pieces:
            inside = shapely.contains_xy(as_polygon(piece), x.ravel(), y.ravel()).reshape(shape)
            assert (image[inside] == 0).all(), "two cells cover one pixel"
            image[inside] = cell
    return image


def as_polygon(piece):
    return shapely.Polygon(piece[0], piece[1:])


@pytest.mark.parametrize(
    "labels",
    [HARD, HARD.T, HARD[::-1], draw_labels((60, 47), n_cells=30, seed=3)],
    ids=["hard", "turned", "mirrored", "drawn"],
)
def test_outlines_cover_exactly_the_pixels_of_each_cell(labels):
    np.testing.assert_array_equal(drawn_back(outlines([labels]), labels.shape), labels)


@pytest.mark.parametrize("seed", range(8))
def test_outlines_of_noise_cover_exactly_its_pixels_and_are_valid(seed):
    labels = np.random.default_rng(seed).integers(0, 3, (13, 11))
    found = outlines([labels])
    np.testing.assert_array_equal(drawn_back(found, labels.shape), labels)
    for pieces in found.values():
        assert shapely.MultiPolygon([as_polygon(piece) for piece in pieces]).is_valid


def test_pieces_are_those_that_hang_together_by_sides():
    found = outlines([HARD])
    for cell, pieces in found.items():
        assert len(pieces) == ndimage.label(cell == HARD)[1]
    assert len(found[1][0]) == 3, "two holes"
    assert len(found[2]) == 2, "they touch at a corner alone"


def test_polygons_are_valid_and_turn_the_right_way():
    for pieces in outlines([HARD]).values():
        assert shapely.MultiPolygon([as_polygon(piece) for piece in pieces]).is_valid
        for rim, *holes in pieces:
            assert shapely.LinearRing(rim).is_ccw
            assert not any(shapely.LinearRing(hole).is_ccw for hole in holes)


def test_corners_alone_are_kept():
    [[[ring]]] = [outlines([np.full((5, 7), 4)])[4]]
    np.testing.assert_array_equal(ring, [[0, 0], [7, 0], [7, 5], [0, 5]])


@pytest.mark.parametrize("rows", [1, 2, 3, 5])
def test_how_the_rows_are_cut_does_not_matter(rows):
    whole = outlines([HARD])
    cut = outlines(HARD[top : top + rows] for top in range(0, HARD.shape[0], rows))
    assert list(cut) == list(whole)
    for cell, pieces in whole.items():
        ours = {as_polygon(piece).normalize().wkt for piece in cut[cell]}
        assert ours == {as_polygon(piece).normalize().wkt for piece in pieces}


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.uint32, np.int64, np.uint64])
def test_any_integers_are_ids(dtype):
    labels = np.array([[0, 5], [5, 0]], dtype=dtype)
    labels.flags.writeable = False
    assert len(outlines([labels])[5]) == 2


def test_no_cell_has_no_outline():
    assert outlines([np.zeros((3, 4), int)]) == {}
    assert outlines([]) == {}
    assert outlines([np.zeros((0, 4), int)]) == {}
