import dataclasses

import numpy as np
import pytest

from nimbus.datasets import overlays, patterns
from nimbus.datasets.expression import Expression
from nimbus.datasets.layout import LayoutSettings, simulate_layout
from nimbus.datasets.markers import Marker
from nimbus.datasets.pattern_settings import PatternSettings
from nimbus.datasets.unevenness import gapped, sides

SMOOTH = PatternSettings(patchiness=0.0, polarity=0.0, capped=0.0, ruffle_um=0.0)


@pytest.fixture(scope="module")
def layout():
    return simulate_layout((120, 130), 0.5, LayoutSettings(lumen=0.1), np.random.default_rng(0))


def rng():
    return np.random.default_rng(1)


def test_membrane_is_brightest_at_the_border_and_empty_outside(layout):
    image = patterns.membrane(layout, SMOOTH, rng())
    inside = layout.cells > 0

    assert image[~inside].max() == 0
    assert image[inside & (layout.edge_um < 0.6)].mean() > 3 * image[layout.edge_um > 2.5].mean()


def test_nuclear_lies_in_the_nucleus_and_cytoplasm_around_it(layout):
    nucleus = layout.nuclei > 0
    around = (layout.cells > 0) & ~nucleus
    nuclear = patterns.nuclear(layout, SMOOTH, rng())
    cytoplasm = patterns.cytoplasm(layout, SMOOTH, rng())

    assert nuclear[nucleus].mean() > 5 * nuclear[around].mean()
    assert cytoplasm[around].mean() > 5 * cytoplasm[nucleus].mean()


def test_granules_are_few_bright_places(layout):
    image = patterns.granular(layout, SMOOTH, rng())[layout.cells > 0]

    assert np.quantile(image, 0.99) > 5 * np.median(image)


def test_only_cells_with_expression_are_bright(layout):
    level = np.zeros(layout.n_cells, dtype=np.float32)
    level[4] = 1
    marker = Marker("m", "membrane", positive=())

    image = patterns.signal(layout, marker, Expression(level > 0, level), SMOOTH, rng()).total

    assert image[layout.cells == 5].mean() > 0.1
    assert image[layout.cells != 5].max() == 0


def test_processes_of_a_positive_cell_lie_over_its_neighbours(layout):
    level = np.zeros(layout.n_cells, dtype=np.float32)
    level[4] = 1
    bare = Marker("m", "membrane", positive=())
    branched = dataclasses.replace(bare, process=1.0)
    cells = Expression(level > 0, level)

    without, with_processes = (
        patterns.signal(layout, m, cells, SMOOTH, rng()).total[layout.cells != 5].sum()
        for m in (bare, branched)
    )

    assert without == 0
    assert with_processes > 5


def test_fibres_lie_in_the_stroma_and_belong_to_no_cell():
    layout = simulate_layout((120, 130), 0.5, LayoutSettings(niche_um=20), np.random.default_rng(0))
    dense = dataclasses.replace(SMOOTH, fibres=40.0)
    image = overlays.fibres(layout, dense, rng())

    assert 0.05 < layout.stroma.mean() < 0.95
    assert image[layout.stroma].mean() > 5 * image[~layout.stroma].mean()


def test_patchiness_polarity_and_ruffles_change_the_image(layout):
    level = np.ones(layout.n_cells, dtype=np.float32)
    marker = Marker("m", "membrane", positive=())
    cells = Expression(level > 0, level)
    plain = patterns.signal(layout, marker, cells, SMOOTH, rng()).total

    for change in (
        {"patchiness": 0.5}, {"polarity": 0.8}, {"ruffle_um": 1.0}, {"capped": 1.0}, {"gaps": 0.4},
    ):  # fmt: skip
        other = dataclasses.replace(SMOOTH, **change)
        image = patterns.signal(layout, marker, cells, other, rng()).total
        assert np.abs(image - plain).mean() > 0.02


def test_a_process_is_in_the_total_and_not_in_what_belongs_to_the_neighbour(layout):
    level = np.zeros(layout.n_cells, dtype=np.float32)
    level[4] = 1
    marker = Marker("m", "membrane", positive=(), process=1.0)

    drawn = patterns.signal(layout, marker, Expression(level > 0, level), SMOOTH, rng())

    assert drawn.total[layout.cells != 5].sum() > 5
    assert drawn.own[layout.cells != 5].sum() == 0


def test_the_sides_of_a_cell_run_from_behind_to_the_front(layout):
    side = sides(layout, SMOOTH, rng())

    for cell in (3, 10, 20):
        inside = side[layout.cells == cell]
        assert inside.min() < -0.3
        assert inside.max() > 0.3
        assert np.abs(inside).max() < 2.5


def test_gaps_take_the_stated_part(layout):
    settings = dataclasses.replace(SMOOTH, gaps=0.3)

    assert (gapped(layout, settings, rng()) < 0.5).mean() == pytest.approx(0.3, abs=0.1)
