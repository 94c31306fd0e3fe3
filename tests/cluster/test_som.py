import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from nimbus.cluster.assign import assign_nodes
from nimbus.cluster.batchmap import NodeSums, NumpyPass, batch_step
from nimbus.cluster.codebook import Codebook
from nimbus.cluster.grid import Grid
from nimbus.cluster.rows import SPAN, ArrayRows
from nimbus.cluster.som import SomSettings, start_codebook, train_som
from nimbus.cluster.survey import moments, survey
from support.planted import node_recall, plant_types
from support.slowmap import slow_map, slow_winner

SHORT = SomSettings(n_epochs=4, n_kmeans_steps=2, n_ordering_cells=20_000)


def draw(n_cells, n_markers=4, seed=0):
    values = np.random.default_rng(seed).random((n_cells, n_markers), dtype=np.float32)
    values *= np.arange(1, n_markers + 1, dtype=np.float32)  # no two directions alike
    values.flags.writeable = False
    return values


def same_bits(one, two):
    return one.codebook.profiles.tobytes() == two.codebook.profiles.tobytes()


class TestBatchMap:
    @pytest.mark.parametrize("shape", [(3, 4), (1, 5), (4, 2), (1, 1)])
    def test_it_equals_the_rule_written_out_in_loops(self, shape):
        values, grid = draw(60), Grid(*shape)
        settings = SomSettings(4, 2, sigma_start=1.5, sigma_end=0.4, relocate=False)
        som = train_som(ArrayRows(values), grid, settings=settings)
        start = start_codebook(moments(values), grid).profiles
        sigmas = [1.5 * (0.4 / 1.5) ** (k / 3) for k in range(4)]
        slow, layout = slow_map(values, *shape, start=start, sigmas=sigmas, n_kmeans_steps=2)
        np.testing.assert_allclose(som.codebook.profiles, slow, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(som.layout.profiles, layout, rtol=1e-9, atol=1e-12)
        if grid.n_nodes > 1:
            assert np.abs(slow - layout).max() > 1e-3, "proves nothing: the last steps do nothing"

    def test_nodes_are_ordered_with_every_kth_cell_and_end_with_all(self):
        values, grid = draw(60), Grid(3, 4)
        settings = SomSettings(4, 1, 1.0, 0.4, n_ordering_cells=20, relocate=False)
        start = start_codebook(moments(values), grid).profiles
        sigmas = [1.0 * 0.4 ** (k / 3) for k in range(4)]
        options = {"start": start, "sigmas": sigmas, "n_kmeans_steps": 1}
        thin, _ = slow_map(values, 3, 4, strides=[3] * 4, **options)
        full, _ = slow_map(values, 3, 4, **options)
        assert np.abs(thin - full).max() > 1e-3, "proves nothing: the cells do not matter"
        som = train_som(ArrayRows(values), grid, settings=settings)
        np.testing.assert_allclose(som.codebook.profiles, thin, rtol=1e-9, atol=1e-12)

    def test_threads_do_not_change_a_bit(self):
        values = draw(2 * SPAN + 777)
        grid = Grid(5, 4)
        with threadpool_limits(1, user_api="blas"):
            one = train_som(ArrayRows(values, n_jobs=1), grid, settings=SHORT)
        with threadpool_limits(2, user_api="blas"):
            two = train_som(ArrayRows(values, n_jobs=2), grid, settings=SHORT)
        assert same_bits(one, two)

    def test_the_layout_in_memory_does_not_change_a_bit(self):
        values = draw(3000)
        wide = np.zeros((3000, 8))
        wide[:, ::2] = values
        first = train_som(ArrayRows(values), Grid(5, 4))
        for other in (np.asfortranarray(values), values.astype(np.float64)):
            assert same_bits(first, train_som(ArrayRows(other), Grid(5, 4)))
        assert same_bits(first, train_som(ArrayRows(wide, columns=[0, 2, 4, 6]), Grid(5, 4)))

    def test_cells_that_miss_a_value_are_left_out(self):
        values = draw(500)
        broken = np.concatenate([values, draw(3, seed=1)])
        broken[500, 0], broken[501, 2], broken[502] = np.nan, np.inf, -np.inf
        whole, clean = (train_som(ArrayRows(v), Grid(3, 3)) for v in (broken, values))
        assert same_bits(whole, clean)
        filled = train_som(ArrayRows(np.nan_to_num(broken, posinf=9, neginf=0)), Grid(3, 3))
        assert not same_bits(filled, clean), "proves nothing: these cells would not matter"

    def test_only_kept_cells_train(self):
        values = draw(500)
        kept = np.arange(500) < 200
        som = train_som(ArrayRows(values), Grid(3, 3), kept=kept)
        assert same_bits(som, train_som(ArrayRows(values[:200]), Grid(3, 3)))

    def test_nodes_without_cells_stay_finite(self):
        values = np.repeat(np.float32([[0, 0, 1], [1, 0, 0]]), 40, axis=0)
        grid = Grid(4, 4)
        som = train_som(ArrayRows(values), grid)
        found = assign_nodes(ArrayRows(values), som.codebook, grid)
        assert (found.sums.count == 0).sum() == 14
        assert np.isfinite(som.codebook.profiles).all()
        assert found.quantisation_error == 0

    def test_cells_that_are_all_alike_give_one_node(self):
        values = np.full((50, 3), 0.25, dtype=np.float32)
        som = train_som(ArrayRows(values), Grid(2, 3))
        np.testing.assert_array_equal(som.codebook.profiles, np.full((6, 3), 0.25))

    def test_an_unreached_node_keeps_its_place(self):
        book = Codebook(np.array([[0.0], [9.0]]), np.zeros(1, "f4"), np.ones(1, "f4"))
        sums = NodeSums(np.array([[4.0], [0.0]]), np.array([2, 0]))
        assert batch_step(book, sums, np.eye(2)).profiles.tolist() == [[2.0], [9.0]]
        pulled = batch_step(book, sums, np.array([[1, 0.5], [0.5, 1]])).profiles
        assert pulled.tolist() == [[2.0], [2.0]]

    def test_no_cell_with_all_values_is_an_error(self):
        with pytest.raises(ValueError, match="no cell to train on"):
            train_som(ArrayRows(np.full((4, 2), np.nan)), Grid(2, 2))
        with pytest.raises(ValueError, match="no cell to train on"):
            train_som(ArrayRows(np.zeros((0, 2))), Grid(2, 2))


class TestImportance:
    def test_it_is_a_factor_on_the_values(self):
        values, scale = draw(400), np.array([1.0, 2.0, 0.5, 4.0])
        own = train_som(ArrayRows(values), Grid(3, 3), importance=scale)
        scaled = train_som(ArrayRows(values * scale.astype("f4")), Grid(3, 3))
        np.testing.assert_allclose(own.codebook.profiles * scale, scaled.codebook.profiles, 1e-6)
        plain = train_som(ArrayRows(values), Grid(3, 3))
        assert np.abs(own.codebook.profiles - plain.codebook.profiles).max() > 0.05

    def test_a_marker_of_weight_0_plays_no_part(self):
        values = draw(400)
        other = values.copy()
        other[:, 3] = draw(400, seed=5)[:, 0] * 100
        scale = np.array([1.0, 1.0, 1.0, 0.0])
        one, two = (
            train_som(ArrayRows(v), Grid(3, 3), importance=scale).codebook for v in (values, other)
        )
        np.testing.assert_array_equal(one.profiles[:, :3], two.profiles[:, :3])


class TestStart:
    def test_the_first_component_runs_along_the_longer_side(self):
        rng = np.random.default_rng(0)
        values = (rng.normal(size=(300, 3)) * [3, 1, 0.1]).astype("f4")
        tall = start_codebook(moments(values), Grid(5, 2)).profiles.reshape(5, 2, 3)
        wide = start_codebook(moments(values), Grid(2, 5)).profiles.reshape(2, 5, 3)
        np.testing.assert_allclose(tall, wide.transpose(1, 0, 2))
        along = tall[-1, 0] - tall[0, 0]
        assert along[0] == pytest.approx(6, rel=0.1)
        assert np.abs(along[1:]).max() < 0.5

    def test_mirrored_data_gives_mirrored_nodes_of_fixed_sign(self):
        values = draw(300)
        one = start_codebook(moments(values), Grid(3, 2)).profiles
        steps = one[4] - one[0]
        assert steps[np.argmax(np.abs(steps))] > 0


class TestNearest:
    def test_a_large_offset_loses_no_digits(self):
        values = draw(200) + np.float32(5000)
        profiles = values[::10].astype(np.float64)
        expected = [slow_winner(cell, profiles) for cell in values]
        origin = values.mean(axis=0)
        ones = np.ones(4, dtype=np.float32)

        def winners(start):
            book = Codebook(profiles, np.asarray(start, np.float32), ones)
            return assign_nodes(ArrayRows(values), book, Grid(4, 5)).node.tolist()

        assert winners(np.zeros(4)) != expected, "proves nothing: no digits were lost"
        assert winners(origin) == expected

    def test_sums_of_parts_add_up(self):
        values = draw(100)
        book = start_codebook(moments(values), Grid(2, 3))
        work = NumpyPass.of(book)
        parts, whole = work(values[:33]) + work(values[33:]), work(values)
        np.testing.assert_allclose(parts.total, whole.total)
        np.testing.assert_array_equal(parts.count, whole.count)


class TestRareTypes:
    def test_they_keep_nodes_of_their_own(self):
        #  40 cells each, differing from a common type in 2 of 25 markers; benchmarks/cluster.py has
        #  the larger test
        plan = {"n_types": 20, "n_markers": 25, "rare": (0.002, 0.002), "flip": 0.005}
        recalls, stuck = [], []
        for seed in (0, 3):
            values, kind = plant_types(20_000, seed=seed, **plan)
            grid, rows = Grid(12, 12), ArrayRows(values)
            for out, moves in ((recalls, True), (stuck, False)):
                som = train_som(rows, grid, settings=SomSettings(relocate=moves))
                node = assign_nodes(rows, som.codebook, grid).node
                out += [node_recall(node, kind, wanted) for wanted in (20, 21)]
        assert np.mean(stuck) < 0.6, "proves nothing: they are found without relocation, too"
        assert np.mean(recalls) >= 0.95


class TestSurvey:
    def test_markers_without_positives(self):
        scores = np.float32([[0.1, 0.2, np.nan], [0.7, 0.49, np.nan]])
        found = survey(scores)
        assert found.missing.tolist() == [False, False, True]
        assert found.without_positives().tolist() == [False, True, False]
        intensities = np.float32([[3.0, 0.2], [3.0, 0.4]])
        assert survey(intensities).without_positives().tolist() == [True, False]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_epochs": -1}, "numbers of passes"),
        ({"sigma_end": 0.0}, "above 0"),
        ({"sigma_start": 0.2}, "shrinks from sigma_start=0.2"),
    ],
)
def test_settings_that_cannot_be(wrong, message):
    with pytest.raises(ValueError, match=message):
        SomSettings(**wrong).checked()
