import numpy as np

from nimbus.cluster.sample import stratified_sample


def draw(region, kept, n_cells, seed=0):
    return stratified_sample(region, kept, n_cells=n_cells, rng=np.random.default_rng(seed))


def test_every_region_keeps_its_share_and_the_rest_goes_to_the_largest_remainders():
    region = np.repeat([0, 1, 2], [500, 333, 167])[np.random.default_rng(1).permutation(1000)]
    drawn = draw(region, None, 100)
    assert np.bincount(region[drawn]).tolist() == [50, 33, 17]
    assert np.bincount(region[draw(region, None, 101)]).tolist() == [50, 34, 17]


def test_only_kept_cells_are_drawn_and_few_are_all_taken():
    region = np.repeat([0, 1], 50)
    kept = np.arange(100) % 2 == 0
    drawn = draw(region, kept, 10)
    assert drawn.sum() == 10
    assert not (drawn & ~kept).any()
    np.testing.assert_array_equal(draw(region, kept, 50), kept)
    assert draw(region, None, 100).all()


def test_the_seed_decides():
    region = np.zeros(1000, dtype=int)
    one, same, other = (draw(region, None, 100, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()
