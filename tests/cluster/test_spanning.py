import numpy as np
from numpy.testing import assert_allclose
from scipy.spatial.distance import cdist, pdist

from nimbus.cluster.spanning import spanning_tree, tree_layout


def slow_tree(points):
    """Prim's algorithm, in loops."""
    inside, edges = {0}, []
    while len(inside) < len(points):
        far = {
            (a, b): np.linalg.norm(points[a] - points[b])
            for a in inside
            for b in range(len(points))
            if b not in inside
        }
        a, b = min(far, key=far.get)
        inside.add(b)
        edges.append(tuple(sorted((a, b))))
    return sorted(edges)


class TestSpanningTree:
    def test_equals_a_slow_one(self):
        points = np.random.default_rng(0).random((30, 4))
        assert [tuple(edge) for edge in spanning_tree(points).tolist()] == slow_tree(points)

    def test_equal_points_are_joined(self):
        points = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
        edges = spanning_tree(points)
        assert len(edges) == 3
        lengths = np.linalg.norm(points[edges[:, 0]] - points[edges[:, 1]], axis=1)
        assert sorted(lengths) == [0, 0, 1]

    def test_one_point_needs_no_edge(self):
        assert spanning_tree(np.zeros((1, 3))).shape == (0, 2)


class TestTreeLayout:
    def test_a_path_is_straight_and_its_ends_are_farthest(self):
        place = tree_layout(np.array([[0, 1], [1, 2], [2, 3], [3, 4]]))
        assert_allclose(place[:, 1], 0, atol=1e-6)
        assert (np.diff(place[:, 0]) > 0.5).all()

    def test_a_star_is_round(self):
        place = tree_layout(np.array([[0, k] for k in range(1, 7)]))
        reach = np.linalg.norm(place[1:] - place[0], axis=1)
        assert_allclose(reach, reach.mean(), rtol=1e-3)
        assert pdist(place[1:]).min() > 0.8 * reach.mean()  # six on a circle: as far as its radius

    def test_what_an_edge_joins_is_near(self):
        points = np.random.default_rng(1).random((80, 5))
        edges = spanning_tree(points)
        place = tree_layout(edges)
        joined = np.linalg.norm(place[edges[:, 0]] - place[edges[:, 1]], axis=1)
        assert np.median(joined) < 1.3
        assert joined.max() < np.median(pdist(place))
        assert np.ptp(place[:, 0]) > np.ptp(place[:, 1])

    def test_the_same_tree_has_the_same_picture(self):
        edges = spanning_tree(np.random.default_rng(2).random((40, 3)))
        np.testing.assert_array_equal(tree_layout(edges), tree_layout(edges.copy()))

    def test_one_and_two_nodes_have_a_place(self):
        assert tree_layout(np.zeros((0, 2), dtype=int)).tolist() == [[0, 0]]
        assert_allclose(cdist(*np.split(tree_layout(np.array([[0, 1]])), 2)), 1)
