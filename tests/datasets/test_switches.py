import dataclasses

import numpy as np
import pytest

from nimbus.datasets.cohort import CohortSettings, simulate_cohort
from nimbus.datasets.effects import Effects
from nimbus.datasets.layout import LayoutSettings
from nimbus.datasets.markers import Marker
from nimbus.datasets.pattern_settings import PatternSettings
from nimbus.datasets.segmentation import SegmentationSettings
from nimbus.datasets.switches import EFFECTS, without

EVERY = (
    Effects(),
    PatternSettings(),
    Marker("m", "membrane", ()),
    LayoutSettings(),
    SegmentationSettings(),
)


def filled(settings):
    """The settings with every number at 0.5."""
    numbers = [f.name for f in dataclasses.fields(settings) if f.type == "float"]
    return dataclasses.replace(settings, **dict.fromkeys(numbers, 0.5))


@pytest.mark.parametrize("name", EFFECTS)
def test_every_effect_switches_off_something_and_only_of_one_kind_of_settings(name):
    changed = [s for s in map(filled, EVERY) if without(s, {name}) != s]

    assert len(changed) == 1
    fields = [f.name for f in dataclasses.fields(changed[0])]
    before, after = changed[0], without(changed[0], {name})
    different = [f for f in fields if getattr(before, f) != getattr(after, f)]
    assert all(getattr(after, f) in (0.0, float("inf")) for f in different)


def test_nothing_is_left_of_the_light_when_every_effect_is_off():
    bare = without(filled(Effects()), EFFECTS)

    assert bare.haze == bare.nuclear_haze == bare.bleed == bare.seams == bare.step == 0
    assert bare.saturation == float("inf")
    assert bare.photons == 0.5


def test_a_cohort_without_haze_is_the_same_tissue_and_darker():
    plain = CohortSettings(shape=(64, 64), markers=("CD3",), effects=Effects(haze=0.5))
    bare = dataclasses.replace(plain, without=("haze",))
    with_haze, no_haze = (simulate_cohort(s, random_state=0)[0] for s in (plain, bare))

    np.testing.assert_array_equal(with_haze.labels, no_haze.labels)
    np.testing.assert_array_equal(with_haze.truth, no_haze.truth)
    assert no_haze.image.mean() < 0.8 * with_haze.image.mean()
