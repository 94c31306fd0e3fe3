import numpy as np
import pytest

from nimbus.datasets.expression import draw_expression
from nimbus.datasets.markers import KNOWN, Marker, named_marker, random_marker
from nimbus.datasets.niches import CELL_TYPES


def test_positives_are_drawn_with_the_probability_of_their_type():
    types = np.repeat(["a", "b", "c"], 4000)
    marker = Marker("m", "membrane", positive=(("a", 0.9), ("b", 0.25)))

    drawn = draw_expression(types, marker, np.random.default_rng(0))

    shares = drawn.positive.reshape(3, 4000).mean(axis=1)
    np.testing.assert_allclose(shares, [0.9, 0.25, 0.0], atol=0.03)


def test_some_positives_have_two_to_ten_percent_of_the_bright_ones():
    types = np.repeat(["a"], 5000)
    marker = Marker("m", "membrane", positive=(("a", 1.0),), dim=0.4)

    level = draw_expression(types, marker, np.random.default_rng(0)).level

    relative = level / np.quantile(level, 0.999)
    assert ((relative > 0.02) & (relative < 0.10)).mean() > 0.15


def test_negatives_are_far_below_positives_and_not_empty():
    types = np.array(["a", "b"] * 1000)
    marker = Marker("m", "membrane", positive=(("a", 1.0),), dim=0.0)

    level = draw_expression(types, marker, np.random.default_rng(0)).level

    assert 0 < np.median(level[1::2]) < 0.03 * np.median(level[::2])


@pytest.mark.parametrize(
    ("name", "pattern"),
    [("CD3", "membrane"), ("ki-67", "nuclear"), ("PanKRT", "cytoplasm"), ("CD68", "granular"),
     ("SMA", "fibre"), ("H3", "nuclear"), ("E-cadherin", "membrane")],
)  # fmt: skip
def test_known_names_have_their_pattern(name, pattern):
    assert named_marker(name, np.random.default_rng(0)).pattern == pattern
    assert named_marker(name, np.random.default_rng(0)).name == name


def test_random_markers_differ_and_repeat_with_the_seed():
    markers = [random_marker(np.random.default_rng(seed)) for seed in range(80)]

    assert len({m.pattern for m in markers}) == 5
    assert any(not m.positive for m in markers), "some markers are absent"
    assert markers[3] == random_marker(np.random.default_rng(3))


def test_known_markers_name_existing_cell_types():
    from nimbus.datasets.niches import CELL_TYPES

    assert {t for m in KNOWN.values() for t, _ in m.positive} <= set(CELL_TYPES)


def test_every_seventh_random_marker_is_one_of_nearly_all_cells_most_often_of_nuclei():
    markers = [random_marker(np.random.default_rng(seed)) for seed in range(1000)]
    everywhere = [
        m
        for m in markers
        if len(m.positive) == len(CELL_TYPES) and min(p for _, p in m.positive) >= 0.8
    ]

    assert 0.11 < len(everywhere) / len(markers) < 0.17
    nuclear = np.mean([m.pattern == "nuclear" for m in everywhere])
    assert 0.4 < nuclear < 0.7
