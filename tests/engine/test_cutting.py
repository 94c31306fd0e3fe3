import dataclasses

import dask.array as da
import numpy as np
import pytest

from nimbus.core.boxes import Box
from nimbus.core.grid import same_grid
from nimbus.core.shards import PLANE_MAX, merged
from nimbus.engine import cutting
from nimbus.engine.cutting import CutPlan, LabelledField, cut_tiles, plan_blocks, plan_cuts
from nimbus.engine.source import FieldSource
from support.tissue import draw_image, draw_labels

PLAN = CutPlan(tile_size=32, overlap=8, min_visible=0.4)


def drawn_field(shape=(150, 130), factor=2.0, *, labels=None, known=None, scales=(60.0, 110.0)):
    labels = draw_labels(shape, n_cells=60, seed=3) if labels is None else labels
    image = draw_image(labels, n_channels=len(scales), seed=5)
    ids = np.unique(labels)[1:].astype(np.int64)
    rng = np.random.default_rng(1)
    truth = rng.integers(-1, 2, (ids.size, len(scales))).astype(np.int8) if known is None else known
    source = FieldSource(
        "image", "labels", da.from_array(image), da.from_array(labels, chunks=40),
        same_grid(shape, factor), tuple(f"m{k}" for k in range(len(scales))), np.array(scales),
    )  # fmt: skip
    return LabelledField(source, ids, truth, np.arange(10, 10 + len(scales), dtype=np.int32))


def cut_tile(field, tile, plan):
    return cut_tiles(field, [tile], plan)


def test_tiles_cover_the_grid_and_have_one_size():
    covered = np.zeros((75, 65), dtype=int)
    for tile in plan_cuts(covered.shape, PLAN):
        assert tile.read.shape == (32, 32)
        covered[tile.read.slices] += 1
    assert covered.min() == 1
    assert covered.max() > 1


def test_each_cell_keeps_its_label_wherever_it_is_cut():
    field = drawn_field()
    labels = field.source.labels.compute()
    network = labels[::2, ::2]  # a network pixel is two label pixels, sampled at its upper left
    seen = {}
    n_cut = 0
    for tile in plan_cuts((75, 65), PLAN):
        tiles = cut_tile(field, tile, PLAN)
        here = network[tile.read.slices]
        for sample, source in enumerate(tiles.source):
            for number in range(1, tiles.ids.max() + 1):
                pixels = tiles.ids[0] == number
                cell = np.unique(here[pixels])
                assert cell.size == 1, "a number stands for one cell"
                part = pixels.sum() / (network == cell[0]).sum()
                n_cut += part < 1
                known = field.labels[field.ids == cell[0], source - 10][0]
                label = tiles.labels[sample, number - 1]
                assert label == (known if part >= 0.4 else -1)
                seen.setdefault((int(cell[0]), int(source)), set()).add(int(label))
    assert n_cut > 50, "proves nothing: no cell was cut"
    decided = {(int(i), c + 10) for i, c in zip(*np.nonzero(field.labels >= 0), strict=True)}
    for row, source in decided:
        cell = int(field.ids[row])
        if (network == cell).any():
            assert int(field.labels[row, source - 10]) in seen[cell, source]


def test_a_cell_that_lies_in_two_tiles_by_halves_is_decided_in_both():
    labels = np.zeros((16, 32), dtype=np.int64)
    labels[4:12, 12:20] = 70_000  # needs more than 16 bits
    field = drawn_field((16, 32), 1.0, labels=labels, known=np.array([[1]], np.int8), scales=(9.0,))
    plan = CutPlan(tile_size=16, overlap=0, min_visible=0.4)

    tiles = [cut_tile(field, tile, plan) for tile in plan_cuts((16, 32), plan)]

    assert [t.labels.tolist() for t in tiles] == [[[1]], [[1]]]
    assert [t.ids.dtype.name for t in tiles] == ["int32", "int32"]
    np.testing.assert_array_equal(np.concatenate([t.ids[0] for t in tiles], axis=1), labels > 0)


def test_what_tiles_write_covers_the_grid_once():
    written = np.zeros((75, 65), dtype=int)
    for tile in plan_cuts(written.shape, PLAN):
        written[tile.write.slices] += 1
        assert tile.write.clipped((75, 65)) == tile.write
        assert tile.write.joined(tile.read) == tile.read
    assert (written == 1).all()


@pytest.mark.parametrize("overlap", [0, 8])
def test_a_cell_that_is_wanted_once_is_decided_in_the_tile_that_holds_its_middle(overlap):
    field = drawn_field(known=np.ones((60, 2), np.int8))
    network = field.source.labels.compute()[::2, ::2]
    often = CutPlan(tile_size=32, overlap=overlap, min_visible=0.4)
    once = dataclasses.replace(often, once=True)
    plans = {plan.once: plan_cuts((75, 65), plan) for plan in (often, once)}

    found = {}
    for tile in plans[True]:
        tiles = cut_tile(field, tile, once)
        here = network[tile.read.slices]
        for number in np.flatnonzero(tiles.labels[0] == 1) + 1 if tiles is not None else ():
            [cell] = np.unique(here[tiles.ids[0] == number])
            assert cell not in found
            found[cell] = tile
            y, x = np.argwhere(network == cell).mean(axis=0)
            assert tile.write.y0 <= y < tile.write.y1
            assert tile.write.x0 <= x < tile.write.x1

    cells = set(np.unique(network)) - {0}
    assert len(found) > 0.9 * len(cells), "a cell may show too little of itself in a corner"
    parts = [cut_tile(field, tile, often) for tile in plans[False]]
    assert sum((part.labels[0] == 1).sum() for part in parts) > 1.2 * len(cells)


def test_channels_and_tiles_without_a_decided_cell_are_left_out_and_not_read():
    field = drawn_field()
    field.labels[:, 0] = -1
    tile = plan_cuts((75, 65), PLAN)[0]

    assert cut_tile(field, tile, PLAN).source.tolist() == [11]

    field.labels[:] = -1
    unread = dataclasses.replace(field, source=dataclasses.replace(field.source, image=None))
    assert cut_tile(unread, tile, PLAN) is None


def test_a_channel_without_signal_is_left_out():
    field = drawn_field(scales=(60.0, 0.0))

    tiles = cut_tile(field, plan_cuts((75, 65), PLAN)[0], PLAN)

    assert tiles.source.tolist() == [10]


def test_cells_without_a_row_are_undecided():
    field = drawn_field()
    some = LabelledField(
        field.source, field.ids[::2], np.ones_like(field.labels[::2]), field.sources
    )

    tiles = cut_tile(some, plan_cuts((75, 65), PLAN)[0], PLAN)

    assert set(np.unique(tiles.labels)) == {-1, 1}


@pytest.mark.parametrize("factor", [1.0, 2.0, 1.37])
def test_a_field_smaller_than_a_tile_is_reflected_without_cells(factor):
    field = drawn_field((40, 25), factor)
    (tile,) = plan_cuts(field.source.grid.network_shape, CutPlan(48, 8, 0.4))
    tiles = cut_tile(field, tile, PLAN)
    height, width = field.source.grid.network_shape

    assert tiles.planes.shape[1:] == (48, 48)
    assert tile.write == Box(0, height, 0, width)
    plane, mask = tiles.planes[0], tiles.masks[0]
    np.testing.assert_array_equal(plane[height], plane[height - 2])
    np.testing.assert_array_equal(mask[:, width], mask[:, width - 2])
    assert (tiles.ids[0, height:] == 0).all()
    assert (tiles.ids[0, :, width:] == 0).all()
    assert (tiles.ids[0, :height, :width] > 0).any()


def test_planes_are_the_clipped_channel_averaged_over_network_pixels():
    field = drawn_field(scales=(60.0, 110.0))
    tile = plan_cuts((75, 65), PLAN)[3]
    tiles = cut_tile(field, tile, PLAN)

    whole = np.minimum(field.source.image[1].compute() / 110.0, 1.0)
    expected = whole.reshape(75, 2, 65, 2).mean(axis=(1, 3))[tile.read.slices]
    assert (whole == 1).any(), "proves nothing: nothing is clipped"
    np.testing.assert_allclose(tiles.planes[-1] / PLANE_MAX, expected, atol=1 / PLANE_MAX)


def test_a_block_of_tiles_is_its_tiles_one_by_one(monkeypatch):
    monkeypatch.setattr(cutting, "BLOCK", 40)
    field = drawn_field(factor=1.7)
    blocks = plan_blocks(field.source.grid.network_shape, PLAN)
    single = [cut_tile(field, tile, PLAN) for block in blocks for tile in block]
    together = merged([cut_tiles(field, block, PLAN) for block in blocks])

    assert 1 < len(blocks) < len(single)
    assert {t.index for b in blocks for t in b} == set(range(len(single)))
    expected = merged(single)
    for name in ("planes", "geometry", "labels", "masks", "ids", "source"):
        np.testing.assert_array_equal(getattr(together, name), getattr(expected, name))


def test_labels_stay_with_their_channel_when_another_is_left_out():
    field = drawn_field(scales=(60.0, 110.0, 90.0))
    field.labels[:] = [0, -1, 1]
    tiles = cut_tile(field, plan_cuts((75, 65), PLAN)[0], PLAN)

    assert tiles.source.tolist() == [10, 12]
    assert [max(row.tolist()) for row in tiles.labels] == [0, 1]
