"""Nodes move from where they are hardly needed to where cells differ."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from nimbus.cluster.codebook import Codebook
from nimbus.cluster.grid import Grid
from nimbus.cluster.relocation import WORTH, in_layout, relocate
from nimbus.cluster.rows import ArrayRows
from nimbus.cluster.som import SomSettings, train_som
from support.planted import plant_types
from support.slowmap import slow_winner


def book(profiles, importance=None):
    profiles = np.asarray(profiles, dtype=np.float64)
    ones = np.ones(profiles.shape[1]) if importance is None else np.asarray(importance)
    return Codebook(profiles, np.zeros(profiles.shape[1], "f4"), ones.astype("f4"))


def error(values, profiles):
    """Sum of squared distances of the cells from their nearest node."""
    return sum(min(((v - p) ** 2).sum() for p in profiles) for v in values.astype(float))


def scatter(cells):
    return float(((cells - cells.mean(axis=0)) ** 2).sum()) if len(cells) else 0.0


def slow_change(cells, discount):
    """The best split along the first component and the cheapest join of two other nodes."""
    best = max(range(len(cells)), key=lambda k: slow_split(cells[k])[0] / len(cells[k]) ** discount)
    gain, low, high = slow_split(cells[best])
    others = [k for k in range(len(cells)) if k != best]
    cost, pair = min(
        (
            (scatter(np.concatenate([cells[i], cells[j]])) - scatter(cells[i]) - scatter(cells[j]))
            / (len(cells[i]) + len(cells[j])) ** discount,
            (i, j),
        )
        for i, j in itertools.combinations(others, 2)
    )
    return best, pair, gain / len(cells[best]) ** discount > WORTH * cost, low, high


def slow_split(cells):
    """Gain of the best cut across the first component; every one is tried."""
    centred = cells - cells.mean(axis=0)
    _, directions = np.linalg.eigh(np.cov(centred.T, bias=True))
    along = centred @ directions[:, -1]
    found = []
    for cut in np.sort(along)[:-1]:
        low, high = along <= cut, along > cut
        gain = scatter(along[:, None]) - scatter(along[low, None]) - scatter(along[high, None])
        found.append((gain, cells[low].mean(axis=0), cells[high].mean(axis=0)))
    return max(found, key=lambda one: one[0])


class TestOneChange:
    @pytest.mark.parametrize("discount", [0.0, 0.5])
    @pytest.mark.parametrize("seed", [0, 1, 3, 4])
    def test_it_is_that_of_trying_every_cut_and_every_pair(self, discount, seed):
        rng = np.random.default_rng(seed)
        centers = rng.random((6, 4))
        values = centers[rng.integers(0, 6, 90)] + rng.normal(0, 0.08, (90, 4))
        values = values.astype(np.float32)
        values.flags.writeable = False
        nodes = centers[[0, 1, 2]].tolist() + (centers[3] + rng.normal(0, 0.02, (2, 4))).tolist()
        winner = np.array([slow_winner(cell, nodes) for cell in values])
        cells = [values[winner == k].astype(float) for k in range(5)]
        assert min(map(len, cells)) > 1
        mixed, (i, j), pays, low, high = slow_change(cells, discount)
        assert pays, "proves nothing: no change pays"
        moved, n = relocate(values, book(nodes), discount=discount)
        assert n == 1
        kept, freed = (i, j) if len(cells[i]) > len(cells[j]) else (j, i)
        expected = np.array(nodes)
        expected[kept] = np.concatenate([cells[i], cells[j]]).mean(axis=0)
        halves = [expected.copy(), expected.copy()]
        halves[0][[mixed, freed]] = low, high
        halves[1][[mixed, freed]] = high, low  # a component has no sign
        assert any(np.allclose(moved.profiles, half, atol=1e-6) for half in halves)

    def test_what_does_not_pay_is_left(self):
        values = np.random.default_rng(0).random((200, 3), dtype=np.float32)
        near = book([[0.2, 0.5, 0.5], [0.8, 0.5, 0.5]])
        same, n = relocate(values, near)
        assert n == 0
        assert same is near

    def test_a_node_without_cells_is_used_first(self):
        values = np.float32([[0], [0.1], [1], [1.1], [5], [5.1], [9], [9.1]])
        moved, n = relocate(values, book([[0.0], [1.0], [7.0], [100.0]]))
        assert n == 1
        assert sorted(moved.profiles.ravel().round(2)) == [0.05, 1.0, 5.05, 9.05]

    def test_a_single_cell_far_from_all_others_makes_no_node(self):
        values = np.random.default_rng(0).random((400, 2), dtype=np.float32)
        nodes = book([[0.25, 0.25], [0.26, 0.25], [0.75, 0.25], [0.25, 0.75], [0.75, 0.75]])
        for n_far, made in ((7, False), (8, True)):  # 8: a tenth of the mean node
            values[:n_far] = 30.0
            moved, _ = relocate(values, nodes)
            assert (moved.profiles > 29).all(axis=1).any() == made

    def test_markers_without_weight_play_no_part(self):
        rng = np.random.default_rng(3)
        values = rng.random((300, 2), dtype=np.float32)
        values[:, 1] *= 100
        nodes = rng.random((6, 2))
        weighted = relocate(values, book(nodes, [1, 0]))[0].profiles[:, 0]
        alone = relocate(values[:, :1], book(nodes[:, :1]))[0].profiles[:, 0]
        np.testing.assert_allclose(weighted, alone, rtol=1e-6)
        assert not np.allclose(weighted, relocate(values, book(nodes))[0].profiles[:, 0])


class TestWholeMap:
    def test_the_error_falls_below_what_kmeans_reaches(self):
        values, _ = plant_types(5000, seed=3)
        rows, grid = ArrayRows(values), Grid(8, 8)
        long = SomSettings(n_kmeans_steps=30, relocate=False)
        stuck = train_som(rows, grid, settings=long).codebook.profiles
        moved = train_som(rows, grid).codebook.profiles
        assert error(values, moved) < 0.985 * error(values, stuck)

    def test_nodes_keep_the_order_of_the_layout_as_well_as_they_can(self):
        rng = np.random.default_rng(0)
        layout = book(rng.random((5, 3)), [1, 2, 0.5])
        other = layout.moved(rng.random((5, 3)))
        scale = layout.importance
        cost = min(
            ((((other.profiles[list(p)] - layout.profiles) * scale) ** 2).sum(), p)
            for p in itertools.permutations(range(5))
        )
        assert cost[1] != (0, 1, 2, 3, 4), "proves nothing: they lie in order"
        np.testing.assert_array_equal(
            in_layout(other, layout).profiles, other.profiles[list(cost[1])]
        )
