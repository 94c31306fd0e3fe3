import numpy as np
import pytest
from scipy.cluster import hierarchy

from nimbus.cluster.consensus import consensus_metaclusters
from nimbus.cluster.linkage import METHODS, cut_tree, linkage_tree, merge_steps


@pytest.fixture
def points():
    return np.random.default_rng(0).random((9, 3))


@pytest.mark.parametrize("method", METHODS)
class TestWeights:
    def test_ones_give_the_tree_of_scipy(self, points, method):
        np.testing.assert_allclose(
            linkage_tree(points, method=method, weights=np.ones(9)),
            hierarchy.linkage(points, method=method),
        )

    def test_a_weight_is_as_many_equal_points(self, points, method):
        weights = np.array([1, 4, 2, 1, 3, 1, 1, 2, 5])
        repeated = hierarchy.linkage(np.repeat(points, weights, axis=0), method=method)
        tree = linkage_tree(points, method=method, weights=weights.astype(float))
        np.testing.assert_allclose(tree[:, 2], repeated[-8:, 2])
        first = np.cumsum(weights) - weights
        for k in range(2, 9):
            assert len(set(zip(cut_tree(tree, k), cut_tree(repeated, k)[first], strict=True))) == k


def test_a_large_node_draws_the_tree_to_itself():
    #  0 .. 1 ...... 3.2 .... 5      the pair 0-1 is first; then 3.2 goes left or right
    means = np.array([[0.0], [1.0], [3.2], [5.9]])
    found = {
        weighted: consensus_metaclusters(
            means,
            np.array([1, 50, 1, 1]),
            n_metaclusters=2,
            weighted=weighted,
            n_resamples=1,
            share=1.0,
        ).labels.tolist()
        for weighted in (False, True)
    }
    # mean distance of 3.2 to both is 2.7 unweighted, as far as 5.9 or nearer; 2.22 weighted
    assert found[True] == [0, 0, 0, 1]
    assert found[False] != [0, 1, 0, 1]


def test_pairs_merge_at_the_step_that_joins_them(points):
    tree = linkage_tree(points)
    steps = merge_steps(tree)
    pairs = [(i, j) for i in range(9) for j in range(i + 1, 9)]
    for k in range(1, 10):
        label = cut_tree(tree, k)
        together = [label[i] == label[j] for i, j in pairs]
        np.testing.assert_array_equal(together, steps < 9 - k)
