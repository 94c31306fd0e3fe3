import numpy as np
import pytest

from nimbus.datasets.layout import NICHES, LayoutSettings, simulate_layout
from nimbus.datasets.segmentation import SegmentationSettings, moved, segment


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


def test_nuclear_labels_are_smaller_and_expanded_ones_lie_between(layout):
    rng = np.random.default_rng(0)
    sizes = {
        kind: (segment(layout, SegmentationSettings(kind), rng) > 0).sum()
        for kind in ("nuclear", "expanded", "whole_cell")
    }

    assert sizes["nuclear"] < 0.8 * sizes["whole_cell"]
    assert sizes["nuclear"] < sizes["expanded"]


def test_missed_cells_have_no_label(layout):
    settings = SegmentationSettings("whole_cell", missed=0.5)
    labels = segment(layout, settings, np.random.default_rng(0))

    left = len(np.unique(labels[labels > 0])) / layout.n_cells
    assert 0.3 < left < 0.7


def test_outlines_move_by_the_given_distance():
    labels = np.zeros((11, 11), dtype=np.int32)
    labels[4:7, 4:7] = 5

    grown, shrunk = moved(labels, 2.0), moved(labels, -0.5)

    assert (grown > 0).sum() == 9 + 4 * 3 * 2 + 4  # two rows on each side, one pixel per corner
    assert moved(labels, 0.0) is labels
    assert (shrunk > 0).sum() < 9
