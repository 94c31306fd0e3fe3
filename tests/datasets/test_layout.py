import numpy as np
import pytest

from nimbus.datasets.architecture import ArchitectureSettings, simulate_architecture
from nimbus.datasets.layout import LayoutSettings, simulate_layout
from nimbus.datasets.niches import LYMPHOID, NICHES, draw_types


def layout_of(seed=0, shape=(140, 150), pixel=0.5, n_cells=None, **settings):
    rng = np.random.default_rng(seed)
    return simulate_layout(shape, pixel, LayoutSettings(**settings), rng, n_cells=n_cells)


@pytest.fixture(scope="module")
def layout():
    return layout_of(lumen=0.1)


def test_ids_are_consecutive_and_every_cell_has_a_nucleus_inside(layout):
    ids = np.arange(1, layout.n_cells + 1)

    np.testing.assert_array_equal(np.unique(layout.cells[layout.cells > 0]), ids)
    np.testing.assert_array_equal(np.unique(layout.nuclei[layout.nuclei > 0]), ids)
    inside = layout.nuclei > 0
    np.testing.assert_array_equal(layout.cells[inside], layout.nuclei[inside])


def test_cells_have_the_size_of_real_ones(layout):
    area_um2 = np.bincount(layout.cells.ravel())[1:] * 0.25

    assert 25 < np.median(area_um2) < 120


def test_a_larger_size_gives_larger_and_fewer_cells():
    small, large = (layout_of(size=size, lumen=0.0) for size in (0.8, 1.4))

    assert large.n_cells < 0.6 * small.n_cells


def test_lymphoid_tissue_is_tighter_than_stroma():
    counts = {n.name: layout_of(niches=(n,), lumen=0.0).n_cells for n in NICHES}

    assert counts["lymphoid"] > 1.5 * counts["stroma"]


def test_stroma_has_longer_cells_than_lymphoid_tissue():
    def elongation(niche):
        layout = layout_of(niches=(niche,), lumen=0.0, warp_um=0.0)
        ratios = []
        for cell in range(1, layout.n_cells + 1):
            places = np.argwhere(layout.nuclei == cell).astype(float)
            if len(places) > 20:
                low, high = np.linalg.eigvalsh(np.cov(places.T))
                ratios.append(np.sqrt(high / low))
        return np.median(ratios)

    by_name = {n.name: n for n in NICHES}
    assert elongation(by_name["stroma"]) > 1.3 * elongation(by_name["lymphoid"])


def test_edge_distance_is_that_of_a_slow_loop(layout):
    def has_other_neighbour(y, x):
        here = layout.cells[y, x]
        around = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
        rows, columns = layout.shape
        return any(
            layout.cells[a, b] != here for a, b in around if 0 <= a < rows and 0 <= b < columns
        )

    borders = np.array([p for p in np.ndindex(layout.shape) if has_other_neighbour(*p)])
    for y, x in [(0, 0), (17, 90), (139, 149), (70, 20)]:
        nearest = np.hypot(*(borders - (y, x)).T).min() * 0.5
        assert layout.edge_um[y, x] == pytest.approx(nearest, rel=1e-5)


def test_n_cells_is_an_upper_bound():
    assert layout_of(n_cells=7).n_cells <= 7


def test_a_field_without_room_has_no_cells():
    assert layout_of(n_cells=0).n_cells == 0


def plain(**settings):
    none = {"lumen": 0.0, "follicles": 0.0, "glands": 0.0, "vessels": 0.0}
    return ArchitectureSettings(**{**none, **settings})


def test_a_vessel_has_blood_inside_a_wall_and_a_gland_a_lumen():
    rng = np.random.default_rng(0)
    tissue = simulate_architecture((300, 300), 0.5, plain(vessels=20.0), rng)
    blood, wall = tissue.blood, tissue.is_in("vessel")

    assert blood.any()
    around = np.zeros_like(blood)
    around[1:] |= blood[:-1]
    around[:-1] |= blood[1:]
    around &= ~blood
    assert (wall[around] | tissue.is_in("lumen")[around]).mean() > 0.95

    glands = simulate_architecture((300, 300), 0.5, plain(glands=20.0), rng)
    assert glands.is_in("lumen").any()
    assert not glands.blood.any()


def test_follicles_are_lymphoid():
    rng = np.random.default_rng(0)
    only_stroma = tuple(n for n in NICHES if n.name == "stroma")

    tissue = simulate_architecture((200, 200), 0.5, plain(niches=only_stroma, follicles=30.0), rng)

    assert 0.05 < tissue.is_in("lymphoid").mean() < 1


def test_clustered_types_have_neighbours_of_their_type_and_others_alternate():
    wave = np.sin(np.arange(3000) / 100)
    kind = np.zeros(3000, dtype=int)

    def same_as_next(clustering):
        types = draw_types(kind, (LYMPHOID,), wave, clustering, np.random.default_rng(0))
        return (types[1:] == types[:-1]).mean()

    assert same_as_next(1.0) > 0.9
    assert same_as_next(0.0) < 0.4


def test_no_nucleus_comes_close_to_the_border_of_its_cell():
    layout = layout_of(rim_um=1.0)

    assert layout.edge_um[layout.nuclei > 0].min() >= 1.0
    assert layout_of(rim_um=0.0).edge_um[layout_of(rim_um=0.0).nuclei > 0].min() < 0.5


def test_giants_are_larger_than_their_neighbours():
    def largest(giants):
        layout = layout_of(giants=giants, lumen=0.0, size_spread=0.05)
        return np.quantile(layout.radius_px, 0.95) / np.median(layout.radius_px)

    assert largest(0.1) > 1.15 * largest(0.0)
