import numpy as np
import pytest
from scipy.cluster import hierarchy
from scipy.spatial.distance import squareform

from nimbus.cluster.consensus import consensus_metaclusters
from nimbus.cluster.linkage import cut_tree, linkage_tree, merge_steps
from nimbus.cluster.resampling import TIE, draw_resamples

N_MARKERS = 3


def nodes(n, seed=1):
    """Means of `n` nodes in loose groups, so that resamples differ."""
    rng = np.random.default_rng(seed)
    centers = rng.random((4, N_MARKERS))
    means = centers[rng.integers(0, 4, n)] + rng.normal(0, 0.3, (n, N_MARKERS))
    means.flags.writeable = False
    return means


def slow_groups(points, n_groups, method):
    """Plain agglomeration: merge the nearest two groups until so many are left."""
    groups = [[k] for k in range(len(points))]

    def distance(a, b):
        if method == "ward":
            gap = points[a].mean(axis=0) - points[b].mean(axis=0)
            return 2 * len(a) * len(b) / (len(a) + len(b)) * (gap @ gap)
        return np.mean([np.linalg.norm(points[i] - points[j]) for i in a for j in b])

    while len(groups) > n_groups:
        pairs = [(i, j) for j in range(len(groups)) for i in range(j)]
        i, j = min(pairs, key=lambda pair: distance(groups[pair[0]], groups[pair[1]]))
        groups[i] += groups.pop(j)
    label = np.empty(len(points), dtype=int)
    for number, members in enumerate(groups):
        label[members] = number
    return label


def slow_consensus(points, draws, n_groups, method):
    n = len(points)
    together, both = np.zeros((n, n)), np.zeros((n, n))
    for drawn in draws:
        label = slow_groups(points[drawn], n_groups, method)
        for a, i in enumerate(drawn):
            for b, j in enumerate(drawn):
                both[i, j] += 1
                together[i, j] += label[a] == label[b]
    return together / both


def same_partition(first, second):
    pairs = set(zip(first, second, strict=True))
    return len(pairs) == len(set(first)) == len(set(second))


class TestConsensus:
    @pytest.mark.parametrize("method", ["average", "ward"])
    @pytest.mark.parametrize("k", [2, 5])
    def test_the_matrix_is_that_of_a_slow_direct_count(self, method, k):
        means = nodes(14)
        draws = draw_resamples(14, n_resamples=20, share=0.7, rng=np.random.default_rng(3))
        expected = slow_consensus(means, draws, k, method)
        assert ((expected > 0) & (expected < 1)).any(), "proves nothing: resamples agree"

        found = consensus_metaclusters(
            means,
            np.ones(14, dtype=int),
            n_metaclusters=k,
            n_resamples=20,
            share=0.7,
            linkage=method,
            random_state=3,
        )

        np.testing.assert_allclose(found.matrix, expected, atol=1e-12)
        tree = hierarchy.average(
            squareform(1 - expected, checks=False)
            + TIE * merge_steps(linkage_tree(means, method=method)) / 14
        )
        assert same_partition(found.labels, hierarchy.fcluster(tree, k, "maxclust"))

    def test_measures_of_each_number_are_those_of_its_own_matrix(self):
        means, counts = nodes(14), np.arange(1, 15)
        settings = {"n_resamples": 15, "share": 0.7}
        for k in (2, 4):
            found = consensus_metaclusters(means, counts, n_metaclusters=k, **settings)
            pairs = found.matrix[np.triu_indices(14, k=1)]
            row = list(found.by_number.n_metaclusters).index(k)
            x = np.linspace(0, 1, 100_001)
            curve = np.searchsorted(np.sort(pairs), x, side="right") / pairs.size
            assert found.by_number.area[row] == pytest.approx(np.trapezoid(curve, x), abs=1e-4)
            unsure = sum(0.1 < p <= 0.9 for p in pairs) / pairs.size
            assert found.by_number.ambiguous[row] == pytest.approx(unsure)
            assert found.by_number.stability[row] == pytest.approx(found.stability.mean())

    def test_gain_is_relative_to_the_area_before(self):
        found = consensus_metaclusters(nodes(14), np.ones(14, int), n_metaclusters=3, share=0.7)
        area = found.by_number.area
        assert found.by_number.gain[0] == area[0]
        assert found.by_number.gain[2] == pytest.approx((area[2] - area[1]) / area[1])

    def test_every_number_is_met_exactly_also_by_equal_nodes(self):
        means = np.repeat([[0.0], [0.5], [1.0]], 3, axis=0)
        for k in range(1, 10):
            found = consensus_metaclusters(means, np.ones(9, int), n_metaclusters=k)
            assert sorted(set(found.labels)) == list(range(k))

    def test_where_resamples_hold_too_few_nodes_the_tree_of_all_decides(self):
        means = nodes(12)
        found = consensus_metaclusters(means, np.ones(12, int), n_metaclusters=9, share=0.5)
        assert same_partition(found.labels, cut_tree(linkage_tree(means), 9))

    def test_a_single_resample_of_all_nodes_is_plain_linkage(self):
        means = nodes(20)
        found = consensus_metaclusters(
            means, np.ones(20, int), n_metaclusters=4, n_resamples=1, share=1.0, linkage="ward"
        )
        plain = hierarchy.fcluster(hierarchy.ward(means), 4, "maxclust")
        assert same_partition(found.labels, plain)
        np.testing.assert_array_equal(found.matrix, plain[:, None] == plain)

    def test_numbers_go_by_cells_and_empty_nodes_have_none(self):
        means = np.array([[0.0], [np.nan], [1.0], [0.1], [0.9]])
        found = consensus_metaclusters(means, np.array([1, 0, 5, 2, 4]), n_metaclusters=2)
        np.testing.assert_array_equal(found.labels, [1, -1, 0, 1, 0])
        assert np.isnan(found.matrix[1]).all()
        assert np.isnan(found.matrix[:, 1]).all()
        assert np.isnan(found.stability[1])
        assert not found.rare[1]

    def test_an_empty_node_changes_nothing_for_the_others(self):
        means, counts = nodes(12), np.arange(1, 13)
        without = consensus_metaclusters(means, counts, n_metaclusters=3, share=0.7)
        more = consensus_metaclusters(
            np.insert(means, 4, 9.0, axis=0), np.insert(counts, 4, 0), n_metaclusters=3, share=0.7
        )
        np.testing.assert_array_equal(np.delete(more.labels, 4), without.labels)
        matrix = np.delete(np.delete(more.matrix, 4, axis=0), 4, axis=1)
        np.testing.assert_array_equal(matrix, without.matrix)

    def test_the_seed_alone_decides(self):
        def matrix(seed):
            return consensus_metaclusters(
                nodes(15), np.ones(15, int), n_metaclusters=3, share=0.7, random_state=seed
            ).matrix

        np.testing.assert_array_equal(matrix(1), matrix(1))
        assert (matrix(1) != matrix(2)).any()

    def test_zscores_let_a_faint_marker_count(self):
        #  marker 0 spreads over 1 without groups, marker 1 has two groups 0.01 apart
        means = np.column_stack([np.linspace(0, 1, 8), np.tile([0.0, 0.01], 4)])
        plain = consensus_metaclusters(means, np.ones(8, int), n_metaclusters=2)
        scored = consensus_metaclusters(
            means, np.ones(8, int), n_metaclusters=2, linkage="ward", zscore_cap=3
        )
        assert not same_partition(plain.labels, np.tile([0, 1], 4))
        assert same_partition(scored.labels, np.tile([0, 1], 4))

    def test_a_small_stable_node_far_from_its_siblings_is_a_candidate(self):
        rng = np.random.default_rng(0)
        centers = np.repeat([[0.0, 0.0, 0.0], [3.0, 3.0, 0.0]], 8, axis=0)
        means = np.vstack([centers + rng.normal(0, 0.05, (16, 3)), [[0.0, 0.0, 0.8]]])
        counts = np.array([100] * 16 + [5])
        found = consensus_metaclusters(means, counts, n_metaclusters=2)
        assert found.labels[16] == found.labels[0], "it is absorbed by the large type"
        np.testing.assert_array_equal(np.flatnonzero(found.rare), [16])
        counts[16] = 100
        again = consensus_metaclusters(means, counts, n_metaclusters=2)
        assert not again.rare.any()

    def test_a_rare_type_of_two_nodes_is_a_candidate(self):
        rng = np.random.default_rng(0)
        centers = np.repeat([[0.0, 0.0], [3.0, 3.0], [0.0, 2.0]], [8, 8, 2], axis=0)
        counts = np.array([100] * 16 + [5, 5])
        found = consensus_metaclusters(
            centers + rng.normal(0, 0.05, (18, 2)), counts, n_metaclusters=3
        )
        np.testing.assert_array_equal(np.flatnonzero(found.rare), [16, 17])


class TestBadInput:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"n_metaclusters": 4}, "n_metaclusters=4, but 3 nodes hold a cell"),
            ({"n_metaclusters": 0}, "choose a number from 1 to 3"),
            ({"node_counts": np.array([1, 1])}, r"shapes are \(4, 1\) and \(2,\)"),
            ({"node_counts": np.array([1, 0, 0, 0])}, "1 nodes hold a cell"),
            ({"node_counts": np.ones(4, int)}, "first is node 3"),
            ({"linkage": "single"}, "linkage is one of average, ward, complete"),
            ({"share": 0.0}, r"share in \(0, 1\]"),
            ({"n_resamples": 0}, "at least 1"),
        ],
    )
    def test_is_refused_with_what_there_is(self, change, message):
        given = {
            "node_means": np.array([[0.0], [1.0], [2.0], [np.nan]]),
            "node_counts": np.array([1, 1, 1, 0]),
            "n_metaclusters": 2,
        } | change
        with pytest.raises(ValueError, match=message):
            consensus_metaclusters(given.pop("node_means"), given.pop("node_counts"), **given)
