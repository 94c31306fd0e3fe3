import numpy as np

from nimbus.cluster.assign import assign_nodes
from nimbus.cluster.codebook import Codebook
from nimbus.cluster.grid import Grid
from nimbus.cluster.rows import SPAN, ArrayRows
from support.slowmap import slow_distance

GRID = Grid(4, 5)


def draw_book(importance, seed=0):
    rng = np.random.default_rng(seed)
    return Codebook(rng.random((20, 3)), np.float32([0.5, 0.4, 0.6]), np.float32(importance))


def draw_cells(n, seed=1):
    return np.random.default_rng(seed).random((n, 3), dtype=np.float32)


def test_nodes_distances_and_errors_equal_those_of_loops():
    importance = (1.0, 2.0, 0.3)
    cells, book = draw_cells(150), draw_book(importance)
    found = assign_nodes(ArrayRows(cells), book, GRID)
    apart = []
    for cell, node, distance in zip(cells, found.node, found.distance, strict=True):
        far = [slow_distance(cell, profile, importance) for profile in book.profiles]
        first, second = np.argsort(far)[:2]
        assert node == first
        assert np.isclose(distance, far[first], rtol=1e-5)
        down, right = abs(first // 5 - second // 5), abs(first % 5 - second % 5)
        apart.append(max(down, right) > 1)
    assert 0 < sum(apart) < 150
    assert found.topographic_error == np.mean(apart)
    assert np.isclose(found.quantisation_error, found.distance.mean())
    np.testing.assert_array_equal(found.sums.count, np.bincount(found.node, minlength=20))


def test_cells_that_miss_a_value_or_are_not_kept_have_no_node():
    cells = draw_cells(SPAN + 10)
    cells[3, 1] = np.nan
    kept = np.arange(len(cells)) % 3 != 1
    book = draw_book((1, 1, 1))
    whole = assign_nodes(ArrayRows(cells), book, GRID)
    part = assign_nodes(ArrayRows(cells), book, GRID, kept=kept)
    assert np.flatnonzero(whole.node < 0).tolist() == [3]
    np.testing.assert_array_equal(part.node, np.where(kept, whole.node, -1))
    np.testing.assert_array_equal(np.isnan(part.distance), part.node < 0)
    assert part.sums.count.sum() == kept.sum() - 1
    assert np.isclose(part.quantisation_error, np.nanmean(whole.distance[kept]))


def test_spans_without_a_kept_cell_are_not_read():
    read = []

    class Watched:
        shape = (3 * SPAN, 3)

        def __getitem__(self, span):
            read.append(span.start)
            return draw_cells(span.stop - span.start)

    kept = np.zeros(3 * SPAN, dtype=bool)
    kept[SPAN + 5] = True
    found = assign_nodes(ArrayRows(Watched(), n_jobs=1), draw_book((1, 1, 1)), GRID, kept=kept)
    assert read == [SPAN]
    assert np.flatnonzero(found.node >= 0).tolist() == [SPAN + 5]


def test_one_node_and_no_cells():
    book = Codebook(np.zeros((1, 2)), np.zeros(2, "f4"), np.ones(2, "f4"))
    one = assign_nodes(ArrayRows(np.float32([[3.0, 4.0]])), book, Grid(1, 1))
    assert (one.node.tolist(), one.distance.tolist(), one.topographic_error) == ([0], [5.0], 0.0)
    none = assign_nodes(ArrayRows(np.zeros((0, 2))), book, Grid(1, 1))
    assert none.node.size == 0
    assert none.quantisation_error == 0
