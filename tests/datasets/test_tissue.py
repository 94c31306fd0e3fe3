import numpy as np
import pytest

from nimbus.datasets import tissue
from nimbus.datasets.cohort import CohortSettings, simulate_cohort

SMALL = {"shape": (96, 110), "markers": ["DAPI", "CD45", "CD3"]}


def image_of(sdata, name="fov0_image"):
    return np.asarray(sdata[name].data)


def test_the_same_seed_gives_the_same_bits_and_another_does_not():
    first, again, other = (tissue(**SMALL, random_state=seed) for seed in (3, 3, 4))

    np.testing.assert_array_equal(image_of(first), image_of(again))
    np.testing.assert_array_equal(first["fov0_labels"].data, again["fov0_labels"].data)
    np.testing.assert_array_equal(first["table"].layers["truth"], again["table"].layers["truth"])
    assert not np.array_equal(image_of(first), image_of(other))


def test_a_field_and_a_channel_do_not_depend_on_those_that_follow():
    few = tissue(**SMALL)
    more = tissue(**{**SMALL, "markers": [*SMALL["markers"], "CD8"]}, n_fovs=2)

    np.testing.assert_array_equal(image_of(few), image_of(more)[:3])


def test_what_an_observer_says_contradicts_no_truth_and_gives_up_on_some_positives():
    layers = tissue(shape=(256, 256), markers=["CD3", "CD8", "CD20"])["table"].layers
    truth, visible = layers["truth"], layers["visible"]

    assert set(np.unique(visible)) == {-1, 0, 1}
    np.testing.assert_array_equal(truth[visible >= 0], visible[visible >= 0])
    assert 0.02 < (visible[truth == 1] == -1).mean() < 0.7


def test_positives_are_brighter_in_mean_than_negatives():
    table = tissue(shape=(256, 256), markers=["CD45", "CD3", "CD20", "PanCK"])["table"]
    truth = table.layers["truth"]

    for column in range(4):
        mean = table.X[:, column]
        positive = truth[:, column] == 1
        assert 0 < positive.mean() < 1
        assert mean[positive].mean() > 1.3 * mean[~positive].mean()


def test_the_table_is_what_a_slow_loop_over_the_labels_finds():
    sdata = tissue(shape=(80, 70), markers=["DAPI", "CD3"], n_fovs=2, platform="imc")
    table = sdata["table"]

    for region, name in (("fov0_labels", "fov0_image"), ("fov1_labels", "fov1_image")):
        labels, image = np.asarray(sdata[region].data), image_of(sdata, name)
        rows = table[table.obs["region"] == region]
        assert set(rows.obs["instance_id"]) == set(np.unique(labels)) - {0}
        for row in range(0, rows.n_obs, 7):
            where = labels == rows.obs["instance_id"].iloc[row]
            assert rows.obs["area"].iloc[row] == where.sum()
            np.testing.assert_allclose(rows.X[row], image[:, where].mean(axis=1), rtol=1e-4)
            y, x = np.nonzero(where)
            np.testing.assert_allclose(
                rows.obsm["spatial"][row], [x.mean() + 0.5, y.mean() + 0.5], rtol=1e-4
            )


@pytest.mark.parametrize(
    ("platform", "dtype"),
    [("codex", "uint16"), ("mibi", "uint16"), ("imc", "float32"), ("vectra", "float32"),
     ("cycif", "uint16")],
)  # fmt: skip
def test_every_platform_has_its_type_and_pixel_size(platform, dtype):
    field = simulate_cohort(CohortSettings(shape=(48, 48), platform=platform), random_state=0)[0]

    assert field.image.dtype == dtype
    assert 0.3 <= field.pixel_size_um <= 1.0


def test_nuclear_masks_are_smaller():
    whole, nuclear = (
        tissue(**SMALL, masks=kind)["table"].obs["area"].mean()
        for kind in ("whole_cell", "nuclear")
    )

    assert nuclear < 0.8 * whole


def test_n_cells_bounds_the_table():
    assert tissue(**SMALL, n_cells=9)["table"].n_obs <= 9


def test_a_field_none_of_whose_cells_is_seen_has_no_rows():
    options = {"shape": (32, 32), "markers": ["CD3"], "n_cells": 1, "n_fovs": 2, "masks": "nuclear"}
    sdata = tissue(**options, pixel_size=4.0)
    assert not sdata["fov0_labels"].to_numpy().any(), "proves nothing"
    table = sdata.tables["table"]
    assert table.obs["region"].tolist() == ["fov1_labels"]
    assert table.uns["spatialdata_attrs"]["region"] == ["fov1_labels"]
    with pytest.raises(ValueError, match="no cell is seen in pixels of 9 um; give a smaller"):
        tissue(**options, pixel_size=9.0)


def test_images_and_labels_are_in_micrometres():
    sdata = tissue(**SMALL, pixel_size=0.25)

    assert sdata.attrs["nimbus_units"] == {"fov0": "micrometer"}
    assert sdata["table"].obsm["spatial"].max() <= 110 * 0.25


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"platform": "xenium"}, "platform 'xenium'.*'codex'"),
        ({"masks": "cells"}, "masks 'cells'.*'nuclear'"),
        ({"markers": ["CD3", "CD3"]}, "different.*'CD3'"),
        ({"markers": []}, "names no channel"),
        ({"shape": (0, 8)}, "shape"),
        ({"shape": (64,)}, r"rows and columns, as in \(512, 512\), not \(64,\)"),
        ({"n_fovs": 0}, "n_fovs"),
        ({"n_cells": 0}, "n_cells must be at least 1, not 0"),
        ({"n_cells": -1}, "n_cells must be at least 1, not -1"),
        ({"pixel_size": 0.0}, "pixel_size"),
    ],
)
def test_bad_input_is_named(wrong, words):
    with pytest.raises(ValueError, match=words):
        tissue(**wrong)
