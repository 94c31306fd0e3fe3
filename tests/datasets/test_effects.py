"""Each effect, switched on alone, changes what it says it changes."""

import dataclasses

import numpy as np
import pytest

from nimbus.datasets import detector
from nimbus.datasets.detector import isolated_removed
from nimbus.datasets.effects import Effects, record
from nimbus.datasets.layout import LayoutSettings, simulate_layout
from nimbus.datasets.optics import blur, blur_wide
from nimbus.datasets.patterns import Signal

NONE = Effects(
    psf_um=0, spillover=0, haze=0, nuclear_haze=0, cell_haze=0, blobs=0, ghosts=0, shading=0,
    gain_jitter=0, photons=100, speckle=0, read_noise=0, offset=0, hot_pixels=0, aggregates=0,
)  # fmt: skip


@pytest.fixture(scope="module")
def layout():
    return simulate_layout((120, 130), 0.5, LayoutSettings(lumen=0.2), np.random.default_rng(0))


@pytest.fixture(scope="module")
def clean(layout):
    """Cell 3 alone has the marker."""
    image = (layout.cells == 3).astype(np.float32)
    image.flags.writeable = False
    return image


def recorded(clean, layout, *, other=None, **strengths):
    effects = dataclasses.replace(NONE, **strengths)
    chance = np.random.default_rng(1)
    return record(Signal(clean, clean), layout, effects, chance, other=other).image


def test_without_effects_only_counting_noise_is_left(clean, layout):
    image = recorded(clean, layout)

    assert image[clean == 0].max() == 0
    assert image[clean == 1].mean() == pytest.approx(100, rel=0.05)


def test_own_counts_are_those_before_blur_and_noise(clean, layout):
    effects = dataclasses.replace(NONE, psf_um=1.0, haze=0.5)
    own = record(Signal(clean, clean), layout, effects, np.random.default_rng(1)).own

    np.testing.assert_allclose(own, 100 * clean)


@pytest.mark.parametrize("strength", [{"psf_um": 1.0}, {"spillover": 0.2}])
def test_blur_and_spillover_put_light_into_the_neighbours(clean, layout, strength):
    around = (blur(clean, 2.0) > 0.05) & (clean == 0)

    assert recorded(clean, layout)[around].max() == 0
    assert recorded(clean, layout, **strength)[around].mean() > 1


def test_nuclear_haze_fills_nuclei_and_nothing_else(clean, layout):
    image = recorded(np.zeros_like(clean), layout, nuclear_haze=0.3)

    assert image[layout.nuclei > 0].mean() > 15
    assert image[layout.nuclei == 0].max() == 0


def test_autofluorescence_fills_cells_and_nothing_else(clean, layout):
    image = recorded(np.zeros_like(clean), layout, cell_haze=0.3)

    assert image[layout.cells > 0].mean() > 15
    assert image[layout.cells == 0].max() == 0


@pytest.mark.parametrize("strength", [{"haze": 0.2}, {"speckle": 5.0}, {"read_noise": 5.0}])
def test_haze_speckle_and_read_noise_reach_the_background(clean, layout, strength):
    background = layout.cells == 0

    assert recorded(clean, layout)[background].max() == 0
    assert recorded(clean, layout, **strength)[background].mean() > 1


def test_speckle_has_the_stated_counts_per_pixel(clean, layout):
    image = recorded(np.zeros_like(clean), layout, speckle=0.25)

    assert image.mean() == pytest.approx(0.25, rel=0.1)


def test_ghosts_are_light_far_from_the_cell(clean, layout):
    assert recorded(clean, layout, ghosts=0.5)[clean == 0].max() > 5


def test_a_second_layer_is_the_tissue_elsewhere_and_as_sharp_as_it_is(clean, layout):
    image = recorded(clean, layout, overlap=0.5)

    elsewhere = image[clean == 0]
    assert (elsewhere > 20).sum() == pytest.approx(clean.sum(), rel=0.1)
    assert elsewhere[elsewhere > 20].mean() == pytest.approx(50, rel=0.1)


def test_a_second_layer_is_noted_as_light_that_looks_like_a_cells_own(clean, layout):
    effects = dataclasses.replace(NONE, overlap=0.5)
    mimic = record(Signal(clean, clean), layout, effects, np.random.default_rng(1)).mimic

    assert mimic.sum() == pytest.approx(50 * clean.sum(), rel=1e-3)


@pytest.mark.parametrize(
    ("strength", "variance"),
    [
        ({}, 100),
        ({"counts_per_ion": 4.0}, 100 * 4 * 1.25),
        ({"flicker": 0.3}, 100 + 30**2),
        ({"counts_per_ion": 4.0, "flicker": 0.3}, 100 * 4 * 1.25 + 30**2),
    ],
)
def test_ions_of_several_counts_and_flicker_add_noise_and_no_light(layout, strength, variance):
    image = recorded(np.ones(layout.shape, dtype=np.float32), layout, **strength)

    assert image.mean() == pytest.approx(100, rel=0.02)
    assert image.var() == pytest.approx(variance, rel=0.05)


@pytest.mark.parametrize("strength", [{"blobs": 60.0}, {"aggregates": 60.0}])
def test_blobs_and_aggregates_are_few_and_bright(clean, layout, strength):
    image = recorded(np.zeros_like(clean), layout, **strength)

    assert image.max() > 10
    assert (image > 10).mean() < 0.5


def test_hot_pixels_have_the_stated_share(clean, layout):
    image = recorded(np.zeros_like(clean), layout, hot_pixels=0.01)

    assert (image > 0).mean() == pytest.approx(0.01, rel=0.4)


def test_gain_jitter_and_shading_change_the_gain(clean, layout):
    plain = recorded(clean, layout)[clean == 1].mean()

    assert abs(recorded(clean, layout, gain_jitter=0.5)[clean == 1].mean() / plain - 1) > 0.05
    flat = np.ones_like(clean)
    spread = blur(recorded(flat, layout, shading=0.3), 5).std()
    assert spread > 3 * blur(recorded(flat, layout), 5).std()


def test_saturation_is_the_largest_count(clean, layout):
    assert recorded(clean, layout).max() > 80
    assert recorded(clean, layout, saturation=80.0).max() == 80


def test_offset_is_added_and_never_below_zero(clean, layout):
    assert recorded(clean, layout, offset=7.0).min() == 7
    assert recorded(clean, layout, offset=-30.0).min() == 0


def test_saturated_lines_run_along_a_row(clean, layout):
    image = recorded(clean, layout, lines=100.0)
    top = image == image.max()

    assert top.sum(axis=1).max() >= 10


def test_denoising_removes_isolated_counts_and_keeps_dense_ones():
    counts = np.zeros((30, 30))
    counts[3, 4] = 1
    counts[15:22, 12:20] = 2

    left = isolated_removed(counts, 0.2)

    assert left[3, 4] == 0
    np.testing.assert_array_equal(left[15:22, 12:20], 2)


def test_a_wide_blur_on_a_coarse_grid_is_nearly_the_exact_one():
    image = np.random.default_rng(0).random((61, 83)).astype(np.float32)
    image[20:40, 30:50] += 3

    np.testing.assert_allclose(blur_wide(image, 6.0), blur(image, 6.0), atol=0.25)


def test_an_effect_that_is_switched_off_leaves_the_noise_of_the_others_alone(clean, layout):
    both = recorded(clean, layout, read_noise=3.0, hot_pixels=0.01)
    noise = recorded(clean, layout, read_noise=3.0)

    same = both == noise
    assert not same.all()
    assert same.mean() > 0.98


def test_seams_lie_where_they_lay_when_the_light_is_even():
    def drawn(strength):
        chance = np.random.default_rng(2)
        detector.shading((900, 900), strength, 0.1, chance)
        return detector.seams((900, 900), 0.2, 0.5, chance)

    np.testing.assert_array_equal(drawn(0.0), drawn(0.1))


def test_another_marker_bleeds_through_where_it_is(clean, layout):
    other = (layout.cells == 7).astype(np.float32)
    assert recorded(clean, layout, other=other)[layout.cells == 7].max() == 0

    image = recorded(clean, layout, other=other, bleed=0.1)

    assert image[layout.cells == 7].mean() == pytest.approx(10, rel=0.2)
    assert image[(layout.cells != 7) & (clean == 0)].max() == 0


def test_misregistration_moves_the_signal_by_the_stated_distance(layout):
    square = np.zeros(layout.shape, dtype=np.float32)
    square[50:60, 60:70] = 1

    def centre(image):
        return np.argwhere(image > 50).mean(axis=0)

    moved = centre(recorded(square, layout, shift_um=3.0)) - centre(recorded(square, layout))

    assert np.hypot(*moved) * 0.5 == pytest.approx(3.0, abs=0.4)


def test_overhang_reaches_the_neighbours_and_not_further(layout):
    every = (layout.cells > 0).astype(np.float32)
    far = blur(every, 16) < 0.02
    outside = (every == 0) & ~far

    image = recorded(every, layout, overhang=0.5)

    assert recorded(every, layout)[outside].max() == 0
    assert image[outside].mean() > 1


@pytest.mark.parametrize(
    "strength",
    [{"granules": 0.5, "granule_light": 1.0}, {"elastin": 2.0}, {"debris": 10.0}],
)
def test_autofluorescence_and_debris_are_bright_in_some_places(layout, strength):
    effects = dataclasses.replace(NONE, **strength)
    dark = np.zeros(layout.shape, dtype=np.float32)
    images = [
        record(Signal(dark, dark), layout, effects, np.random.default_rng(seed)).image
        for seed in range(5)
    ]

    assert 0.0005 < (np.stack(images) > 20).mean() < 0.5


def test_red_cells_lie_in_vessels():
    rng = np.random.default_rng(0)
    layout = simulate_layout((150, 150), 0.5, LayoutSettings(vessels=60.0), rng)
    image = recorded(np.zeros(layout.shape, dtype=np.float32), layout, red_cells=0.5)

    assert layout.blood.any()
    assert image[layout.blood].mean() > 10 * max(image[~layout.blood].mean(), 0.01)


def test_granules_that_were_subtracted_too_much_are_holes(layout):
    flat = np.ones(layout.shape, dtype=np.float32)
    strengths = {"granules": 0.5, "granule_light": 3.0}
    assert recorded(flat, layout, **strengths).min() > 0

    assert (recorded(flat, layout, **strengths, holes=1.0) == 0).mean() > 0.01


def test_seams_are_steps_of_the_gain():
    gain = detector.seams((900, 900), 0.2, 0.5, np.random.default_rng(2))
    steps = np.abs(np.diff(gain, axis=1)).max(axis=0)

    assert steps.max() > 20 * np.median(steps)
    assert (detector.seams((20, 30), 0.0, 0.5, np.random.default_rng(2)) == 1).all()


def test_coarse_values_are_multiples_of_the_step():
    np.testing.assert_array_equal(
        detector.coarse(np.array([0.0, 2.9, 3.0, 7.5]), 3.0), [0.0, 0.0, 3.0, 6.0]
    )


def test_light_of_other_things_is_noted_as_such_and_haze_is_not(clean, layout):
    def mimic(**strengths):
        effects = dataclasses.replace(NONE, **strengths)
        chance = np.random.default_rng(1)
        return record(Signal(clean, clean), layout, effects, chance, other=1 - clean).mimic

    assert mimic(haze=0.5).max() == 0
    assert mimic(nuclear_haze=0.5).mean() < 0.1
    np.testing.assert_allclose(mimic(bleed=0.1), 10 * (1 - clean), atol=1e-3)
