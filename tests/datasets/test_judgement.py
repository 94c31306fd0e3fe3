"""Labels are what a careful observer would say."""

import numpy as np
import pytest

from nimbus.datasets.effects import Effects, Recorded
from nimbus.datasets.fields import Channel
from nimbus.datasets.judgement import judged
from nimbus.datasets.layout import LayoutSettings, simulate_layout
from nimbus.datasets.places import Places, find_places

STRIPES = np.repeat([[1, 2, 3]], 15, axis=0).repeat(5, axis=1).astype(np.int32)
EFFECTS = Effects(photons=50, read_noise=0)


def places_of(image=STRIPES, label=(1, 2, 3), cell=(1, 2, 3), share=(1.0, 1.0, 1.0)):
    return Places(image, np.array(label), np.array(cell), np.array(share), max(label))


def channel(own, positive, *, background=0.0, mimic=0.0, filled=0.0):
    own, mimic, filled = (
        np.array([0.0, *np.broadcast_to(v, 3)], dtype=np.float32)[STRIPES]
        for v in (own, mimic, filled)
    )
    recorded = Recorded(own + background + mimic + filled, own, mimic, filled)
    return Channel(recorded, np.array(positive), own)


def test_a_positive_that_cannot_be_seen_is_undecided_and_a_negative_stays_negative():
    seen = channel([50.0, 0.5, 0.0], [True, True, False], background=20.0)

    np.testing.assert_array_equal(judged(seen, places_of(), EFFECTS, 100.0), [1, -1, 0])


def test_few_counts_on_a_dark_ground_are_seen():
    few = channel([0.1, 0.05, 0.0], [True, True, False])

    np.testing.assert_array_equal(judged(few, places_of(), EFFECTS, 1.0), [1, -1, 0])


def test_counts_that_few_ions_give_are_not_seen():
    few = channel([0.3, 0.0, 0.0], [True, False, False])
    ions = Effects(photons=50, read_noise=0, counts_per_ion=10)

    assert judged(few, places_of(), EFFECTS, 1.0)[0] == 1
    assert judged(few, places_of(), ions, 1.0)[0] == -1


def test_a_positive_that_denoising_removed_is_undecided():
    gone = channel([2.0, 2.0, 0.0], [True, True, False])
    gone.recorded.image[STRIPES == 2] = 0

    np.testing.assert_array_equal(judged(gone, places_of(), EFFECTS, 5.0), [1, -1, 0])


def test_a_positive_far_below_the_scale_is_undecided():
    dark = channel([50.0, 50.0, 0.0], [True, True, False])

    np.testing.assert_array_equal(judged(dark, places_of(), EFFECTS, 100.0), [1, 1, 0])
    np.testing.assert_array_equal(judged(dark, places_of(), EFFECTS, 1e5), [-1, -1, 0])


@pytest.mark.parametrize(("mimic", "label"), [(60.0, -1), (5.0, 0)])
def test_a_negative_under_light_like_that_of_positives_is_undecided(mimic, label):
    fooled = channel([50.0, 0.0, 0.0], [True, False, False], mimic=[0.0, mimic, 0.0])

    np.testing.assert_array_equal(judged(fooled, places_of(), EFFECTS, 100.0), [1, label, 0])


def test_a_bright_speck_in_a_large_cell_is_no_signal():
    speck = channel([50.0, 0.0, 0.0], [True, False, False])
    speck.recorded.mimic[7, 7] = 75 * 60.0  # as many counts in one pixel as above in the place
    speck.recorded.image[7, 7] += 75 * 60.0

    np.testing.assert_array_equal(judged(speck, places_of(), EFFECTS, 100.0), [1, 0, 0])


def test_a_merged_label_is_positive_if_a_visible_member_fills_a_good_part():
    drawn = channel([50.0, 0.0, 50.0], [True, False, True])
    merged = places_of(label=(1, 1, 2), share=(0.5, 0.5, 1.0))
    corner = places_of(label=(1, 1, 2), share=(0.3, 0.7, 1.0))

    np.testing.assert_array_equal(judged(drawn, merged, EFFECTS, 100.0), [1, 1])
    np.testing.assert_array_equal(judged(drawn, corner, EFFECTS, 100.0), [-1, 1])


def test_ids_without_a_cell_are_undecided():
    drawn = channel([50.0, 0.0, 0.0], [True, False, False])
    gap = places_of(label=(1, 2, 5))

    np.testing.assert_array_equal(judged(drawn, gap, EFFECTS, 100.0), [1, 0, -1, -1, 0])


@pytest.fixture(scope="module")
def layout():
    rng = np.random.default_rng(0)
    return simulate_layout((90, 100), 0.5, LayoutSettings(lumen=0.1), rng)


def test_the_place_of_a_nucleus_reaches_into_its_own_cell_and_no_other(layout):
    places = find_places(layout.nuclei, layout)

    for index in (0, 5, 11):
        where = places.image == index + 1
        assert (layout.cells[where] == places.cell[index]).all()
        assert where.sum() > 1.2 * (layout.nuclei == places.label[index]).sum()


def test_members_fill_the_stated_share_of_a_merged_label(layout):
    merged = np.where(layout.cells == 4, 3, layout.cells)
    places = find_places(merged, layout)

    members = places.label == 3
    areas = np.array([(layout.cells == c).sum() for c in (3, 4)])
    expected = areas / areas.sum()
    np.testing.assert_array_equal(places.cell[members], np.array([3, 4])[expected >= 0.25])
    np.testing.assert_allclose(places.share[members], expected[expected >= 0.25])


@pytest.mark.parametrize(("filled", "background", "label"), [(20.0, 5.0, -1), (20.0, 50.0, 0),
                                                              (5.0, 0.0, 0)])  # fmt: skip
def test_without_positives_bright_light_that_fills_all_cells_is_undecided(
    filled, background, label
):
    absent = channel([0.0, 0.0, 0.0], [False, False, False], filled=filled, background=background)

    np.testing.assert_array_equal(judged(absent, places_of(), EFFECTS, 100.0), [label] * 3)


@pytest.mark.parametrize(("filled", "label"), [(45.0, -1), (20.0, 0)])
def test_beside_positives_light_that_fills_all_cells_is_negative_unless_as_bright_as_they(
    filled, label
):
    image = np.repeat([[1, 2, 3, 4]], 15, axis=0).repeat(5, axis=1).astype(np.int32)
    own = np.array([0, 50, 50, 50, 0], dtype=np.float32)[image]
    light = np.array([0, 0, 0, 0, filled], dtype=np.float32)[image]
    recorded = Recorded(own + light, own, np.zeros_like(own), light)
    beside = Channel(recorded, np.array([True, True, True, False]), own)
    members = places_of(image, (1, 2, 3, 4), (1, 2, 3, 4), (1.0,) * 4)

    np.testing.assert_array_equal(judged(beside, members, EFFECTS, 100.0), [1, 1, 1, label])
