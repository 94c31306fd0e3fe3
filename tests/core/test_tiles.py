from __future__ import annotations

import numpy as np
import pytest

from nimbus.core.tiles import plan_tiles

SHAPES = [(1, 1), (16, 16), (17, 300), (981, 743), (1025, 64)]


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("tile_size", [1, 48, 128, 5000])
def test_write_boxes_cover_the_grid_exactly_once(shape, tile_size):
    count = np.zeros(shape, dtype=int)
    for tile in plan_tiles(shape, tile_size=tile_size, multiple=16, halo=96):
        count[tile.write.slices] += 1
    assert count.min() == count.max() == 1


@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_read_boxes_hold_the_halo_and_start_and_end_at_multiples(shape):
    padded = [-(-n // 16) * 16 for n in shape]
    for tile in plan_tiles(shape, tile_size=100, multiple=16, halo=90):
        read, write = tile.read, tile.write
        for low, high, first, last, end in (
            (read.y0, read.y1, write.y0, write.y1, padded[0]),
            (read.x0, read.x1, write.x0, write.x1, padded[1]),
        ):
            assert low % 16 == high % 16 == 0
            assert low == 0 or first - low >= 90
            assert high == end or high - last >= 90


def test_no_tile_is_a_sliver():
    tiles = plan_tiles((1030, 16), tile_size=1024, multiple=16, halo=0)
    sides = {tile.write.shape[0] for tile in tiles}
    assert sides == {528, 502}


def test_a_tile_without_pixels_is_refused():
    with pytest.raises(ValueError, match="tile_size must be at least 1"):
        plan_tiles((16, 16), tile_size=0, multiple=16, halo=96)
