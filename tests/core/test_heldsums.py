"""Sums of tiles that are held in few bytes and joined some cells at a time."""

from __future__ import annotations

import gc
import weakref
from itertools import pairwise

import numpy as np
import pytest

from nimbus.core import heldsums
from nimbus.core.cellsums import CellSums
from nimbus.core.heldsums import HeldSums, lean, lean_ids


def parts(rng, n_parts=7, largest=40, views=2):
    """Tiles that share cells, with sums whose order of addition can be seen in the last bits."""
    for _ in range(n_parts):
        ids = np.sort(rng.choice(np.arange(1, largest), rng.integers(1, largest - 1), False))
        score = rng.random((ids.size, views, 3)) * 10.0 ** rng.integers(-8, 8, (ids.size, 1, 1))
        yield CellSums(ids, {"score": score, "area": rng.integers(1, 90, ids.size).astype(float)})


def slow_totals(tiles, name):
    """Cell by cell, tile after tile."""
    out = {}
    for tile in tiles:
        for cell, row in zip(tile.ids.tolist(), tile.sums[name], strict=True):
            out[cell] = out.get(cell, 0.0) + row
    return [out[cell] for cell in sorted(out)]


def held_of(tiles):
    held = HeldSums()
    for tile in tiles:
        held.add(tile)
    return held


@pytest.mark.parametrize("block", [1, 5, 1000], ids=["cell by cell", "some cells", "all cells"])
@pytest.mark.parametrize("most", [3, 1000])
def test_sums_are_bit_for_bit_those_of_a_loop_in_the_order_of_the_tiles(monkeypatch, block, most):
    monkeypatch.setattr(heldsums, "SMALLEST_BLOCK", block)
    monkeypatch.setattr(heldsums, "MOST_BLOCKS", most)
    tiles = list(parts(np.random.default_rng(0)))
    backwards = slow_totals(tiles[::-1], "score")
    assert not np.array_equal(backwards, slow_totals(tiles, "score")), "the order would not matter"

    joined = held_of(tiles).joined()

    np.testing.assert_array_equal(joined.ids, np.unique(np.concatenate([t.ids for t in tiles])))
    (area,) = joined.finished(("area",), lambda sums: (sums["area"],))
    (score,) = joined.finished(("score",), lambda sums: (sums["score"],))
    np.testing.assert_array_equal(area, slow_totals(tiles, "area"))
    np.testing.assert_array_equal(score, slow_totals(tiles, "score"))


@pytest.mark.parametrize("n_channels", [1, 2, 5])
@pytest.mark.parametrize("n_views", [1, 8])
def test_means_over_views_have_the_same_bits_however_many_cells_there_are(n_views, n_channels):
    views = np.random.default_rng(0).random((50, n_views, n_channels))
    for size in (1, 2, 7):
        for first, last in pairwise(np.unique([*range(0, 50, size), 50])):
            some = views[first:last]
            np.testing.assert_array_equal(some.mean(axis=1), views.mean(axis=1)[first:last])
            np.testing.assert_array_equal(some.std(axis=1), views.std(axis=1)[first:last])


def test_what_was_added_may_change_afterwards():
    ids, area = np.array([1, 2]), np.array([3.0, 0.1])
    held = HeldSums()
    held.add(CellSums(ids, {"area": area}))
    ids += 5
    area += 5
    joined = held.joined()
    assert joined.ids.tolist() == [1, 2]
    assert joined.finished(("area",), lambda sums: (sums["area"],))[0].tolist() == [3.0, 0.1]


def test_sums_are_gone_once_they_were_asked_for():
    held = held_of(parts(np.random.default_rng(0)))
    watched = [weakref.ref(one) for one in held.sums["score"]]
    joined = held.joined()
    joined.finished(("area",), lambda sums: (sums["area"],))
    assert all(one() is not None for one in watched)
    joined.finished(("score",), lambda sums: (sums["score"],))
    gc.collect()
    assert all(one() is None for one in watched)
    assert held.parts == []


def test_sums_that_are_asked_for_again_are_kept():
    joined = held_of(parts(np.random.default_rng(0))).joined()
    (first,) = joined.finished(("area",), lambda sums: (sums["area"],), again=("area",))
    (second,) = joined.finished(("area",), lambda sums: (sums["area"],))
    np.testing.assert_array_equal(first, second)
    assert "area" not in joined.sums


def test_ids_beyond_32_bits_stay_apart():
    assert lean_ids(np.array([1, 2**31 - 1])).dtype == np.int32
    far = 2**31 + 5
    assert np.array([far]).astype(np.int32)[0] != far
    joined = held_of([CellSums(np.array([5, far]), {"area": np.array([1.0, 2.0])})]).joined()
    assert joined.ids.tolist() == [5, far]


@pytest.mark.parametrize(
    ("largest", "kind"),
    [(2**16 - 1, np.uint16), (2**16, np.uint32), (2**32 - 1, np.uint32), (2**32, np.float32),
     (2**32 + 1, np.float64), (0.5, np.float32), (-1, np.float32), (0.1, np.float64),
     (-(2**24) - 1, np.float64), (1e300, np.float64), (1e-300, np.float64), (np.nan, np.float64)],
)  # fmt: skip
def test_sums_are_held_in_the_fewest_bytes_in_which_no_bit_changes(largest, kind):
    values = np.array([0.0, 3.0, largest])
    held = lean(values)
    assert held.dtype == kind
    np.testing.assert_array_equal(held.astype(float), values)


def test_sums_of_tiles_in_different_types_add_up_as_floats():
    tiles = [CellSums(np.array([1, 2]), {"area": np.array([2.0**16 - 1, more])})
             for more in (5.0, 2.0**32 - 1, 0.1)]  # fmt: skip
    held = held_of(tiles)
    assert [part.dtype for part in held.sums["area"]] == [np.uint16, np.uint32, np.float64]
    (total,) = held.joined().finished(("area",), lambda sums: (sums["area"],))
    assert total.tolist() == [3 * (2.0**16 - 1), 5.0 + (2.0**32 - 1) + 0.1]
