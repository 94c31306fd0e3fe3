import numpy as np
import pytest

from nimbus.datasets.layout import LayoutSettings, simulate_layout
from nimbus.datasets.outlines import cut_in_two, joined, moved, neighbours, shifted
from nimbus.datasets.segmentation import SegmentationSettings, segment


@pytest.fixture(scope="module")
def layout():
    rng = np.random.default_rng(0)
    return simulate_layout((140, 150), 0.5, LayoutSettings(lumen=0.1), rng)


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


def test_merged_cells_share_the_lower_id_and_touch(layout):
    settings = SegmentationSettings("whole_cell", merged=0.3)
    labels = segment(layout, settings, np.random.default_rng(0))

    n_before, n_after = (len(np.unique(a[a > 0])) for a in (layout.cells, labels))
    assert n_after == pytest.approx(0.85 * n_before, abs=2)
    changed = labels != layout.cells
    assert (labels[changed] < layout.cells[changed]).all()


def test_half_of_a_split_cell_has_an_id_above_all_cells(layout):
    settings = SegmentationSettings("whole_cell", split=0.3)
    labels = segment(layout, settings, np.random.default_rng(0))

    new = labels > layout.n_cells
    assert new.any()
    np.testing.assert_array_equal(labels[~new], layout.cells[~new])
    cell = layout.cells[labels == labels.max()][0]
    halves = (labels == cell).sum(), (labels == labels.max()).sum()
    assert min(halves) > 0.15 * max(halves)


def test_a_cut_goes_through_the_centre():
    labels = np.ones((20, 20), dtype=np.int32)

    cut = cut_in_two(labels, np.array([True]), np.array([[9.5, 9.5]]), np.random.default_rng(0))

    assert set(np.unique(cut)) == {1, 2}
    assert abs((cut == 1).sum() - (cut == 2).sum()) < 20


def test_neighbours_are_those_of_a_slow_loop(layout):
    part = layout.cells[:40, :50]
    slow = set()
    for y, x in np.ndindex(part.shape):
        for b, a in ((y + 1, x), (y, x + 1)):
            if b < 40 and a < 50 and part[y, x] != part[b, a] and part[y, x] * part[b, a] > 0:
                slow.add(tuple(sorted((int(part[y, x]), int(part[b, a])))))

    assert {tuple(pair) for pair in neighbours(part, 1).tolist()} == slow
    assert len(joined(part, neighbours(part, 1)[:1])) == 40


def test_shifted_labels_lie_where_they_should():
    labels = np.arange(12).reshape(3, 4)

    np.testing.assert_array_equal(shifted(labels, (1, -2))[1:, :2], labels[:2, 2:])
    assert shifted(labels, (1, -2))[0].max() == 0
