"""Covariates of cells against slow loops."""

from __future__ import annotations

import numpy as np
import pytest
from spatialdata import SpatialData

import nimbus
from support.judged import MARKERS, judged_table

FIVE = ["cell_size", "heterogeneity", "rarity", "sparsity", "density"]


def covariates(table, **more):
    return nimbus.tl.covariates(table, **{"pixel_size": 1.0, **more})


def in_field_and_known(table, cell, column):
    """Cells of the same field, and which of them have a truth."""
    field = table.obs["fov"].to_numpy()
    return field == field[cell], table.layers["gold"][:, column] >= 0


def test_there_is_a_row_for_each_cell_and_marker_of_known_truth_and_score():
    table = judged_table()
    table.layers["nimbus"][3] = np.nan
    table.layers["nimbus"][4:40] = 0.5  # called positive
    cells = covariates(table)
    known = (table.layers["gold"] >= 0) & np.isfinite(table.layers["nimbus"])
    assert len(cells) == known.sum()
    assert cells.groupby("marker", observed=True).size().tolist() == known.sum(axis=0).tolist()
    assert list(cells.columns) == ["cell", "field", "marker", "score", "positive", "wrong", *FIVE]
    rows = table.obs_names.get_indexer(cells["cell"])
    columns = table.var_names.get_indexer(cells["marker"])
    np.testing.assert_array_equal(cells["positive"], table.layers["gold"][rows, columns] == 1)
    called = table.layers["nimbus"][rows, columns] >= 0.5
    np.testing.assert_array_equal(cells["wrong"], called != cells["positive"])
    np.testing.assert_array_equal(cells["cell_size"], table.obs["area"].to_numpy()[rows])


def test_density_and_sparsity_count_other_cells_of_the_field_within_a_circle():
    table = judged_table(120, n_fields=2)
    cells = covariates(table, radius=90.0)
    places, gold = table.obsm["spatial"], table.layers["gold"]
    for row in cells.sample(40, random_state=0).itertuples():
        cell = table.obs_names.get_loc(row.cell)
        column = MARKERS.index(row.marker)
        same, known = in_field_and_known(table, cell, column)
        near = (np.linalg.norm(places - places[cell], axis=1) <= 90) & same
        near[cell] = False
        assert row.density == near.sum()
        judged = gold[near & known, column]
        expected = (judged == 0).mean() if judged.size else np.nan
        assert row.sparsity == pytest.approx(expected, nan_ok=True)
    square = (np.abs(places - places[0]).max(axis=1) <= 90).sum() - 1
    assert cells["density"].iloc[0] < square, "proves nothing: a square counts as many"


def test_cells_of_different_images_are_no_neighbours_whatever_names_the_field():
    table = judged_table(120, n_fields=4)
    table.obs["patient"] = np.where(table.obs["fov"].isin(["f0", "f1"]), "p0", "p1")
    by_image = covariates(table, radius=200.0)
    by_patient = covariates(table, radius=200.0, field_key="patient")
    assert by_patient["field"].nunique() == 2 < by_image["field"].nunique()
    columns = ["sparsity", "density"]
    np.testing.assert_array_equal(by_patient[columns], by_image[columns])
    table.obs["half"] = np.where(table.obsm["spatial"][:, 0] < 250, "left", "right")
    by_half = covariates(table, radius=200.0, field_key="half")
    assert (by_half["density"] <= by_image["density"]).all(), "fields of one image stay apart"
    assert by_half["density"].mean() < by_image["density"].mean()


def test_rarity_and_heterogeneity_are_of_field_and_marker():
    table = judged_table()
    cells = covariates(table)
    for row in cells.sample(40, random_state=1).itertuples():
        cell, column = table.obs_names.get_loc(row.cell), MARKERS.index(row.marker)
        same, known = in_field_and_known(table, cell, column)
        truth = table.layers["gold"][same & known, column]
        bright = table.layers["integrated"][same & known, column][truth == 1].astype(float)
        assert row.rarity == pytest.approx((truth == 0).mean())
        expected = bright.std(ddof=1) / bright.mean() if bright.size > 1 else np.nan
        assert row.heterogeneity == pytest.approx(expected, nan_ok=True)


def test_heterogeneity_of_fewer_than_two_positive_cells_is_nan():
    table = judged_table(60, n_fields=2)
    gold = table.layers["gold"]
    gold[:, 0] = np.where(gold[:, 0] == 1, 0, gold[:, 0])
    gold[0, 0] = 1
    cells = covariates(table)
    assert cells.loc[cells["marker"] == "CD3", "heterogeneity"].isna().all()
    assert cells.loc[cells["marker"] == "CD20", "heterogeneity"].notna().all()


def test_the_radius_is_in_pixels_of_the_labels():
    sdata = nimbus.datasets.tissue(
        shape=(128, 128), markers=["CD3"], platform="codex", pixel_size=0.5, random_state=0
    )
    wanted = {"layer": "truth", "truth_layer": "truth", "covariates": ["density"], "radius": 30.0}
    from_labels = nimbus.tl.covariates(sdata, **wanted)["density"]
    table = sdata.tables["table"]
    as_told = nimbus.tl.covariates(table, pixel_size=0.5, **wanted)["density"]
    np.testing.assert_array_equal(from_labels, as_told)
    with pytest.warns(UserWarning, match="taken as pixels"):
        as_pixels = nimbus.tl.covariates(table, **wanted)["density"]
    assert as_pixels.mean() > 2 * from_labels.mean()


def test_numeric_columns_of_obs_serve_as_covariates():
    table = judged_table()
    table.obs["depth"] = np.arange(table.n_obs, dtype=np.float32)
    cells = covariates(table, covariates=["depth", "cell_size"])
    assert list(cells.columns[-2:]) == ["depth", "cell_size"]
    rows = table.obs_names.get_indexer(cells["cell"])
    np.testing.assert_array_equal(cells["depth"], rows)


def test_what_the_table_does_not_allow_is_left_out_with_a_warning_or_refused():
    table = judged_table()
    del table.obsm["spatial"], table.layers["integrated"], table.obs["area"]
    with pytest.warns(UserWarning, match=r"cell_size needs obs\['area'\]") as told:
        cells = covariates(table)
    assert len(told) == 1
    assert list(cells.columns[6:]) == ["rarity"]
    for name, needs in (("density", "obsm"), ("heterogeneity", "layers"), ("cell_size", "obs")):
        with pytest.raises(ValueError, match=f"{name} needs {needs}"):
            covariates(table, covariates=[name])


@pytest.mark.parametrize("name", ["field", "score", "wrong"])
def test_a_column_with_the_name_of_another_of_the_result_is_refused(name):
    table = judged_table()
    table.obs[name] = np.arange(float(table.n_obs))
    with pytest.raises(ValueError, match=f"obs\\['{name}'\\] has the name of another column"):
        covariates(table, covariates=[name, "rarity"])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"covariates": ["cellsize"]}, "did you mean 'cell_size'"),
        ({"covariates": ["cell_type"]}, "covariate 'cell_type' does not exist"),
        ({"covariates": []}, "covariates= is empty"),
        ({"radius": 0.0}, "radius must be above 0"),
        ({"pixel_size": -1.0}, "pixel_size must be above 0"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        covariates(judged_table(), **options)


def test_labels_that_are_gone_cannot_tell_the_size_of_their_pixels():
    sdata = nimbus.datasets.tissue(shape=(64, 64), markers=["CD3"], random_state=0)
    alone = SpatialData(tables={"table": sdata.tables["table"]})
    with pytest.raises(ValueError, match="labels 'fov0_labels' of the table are not in"):
        nimbus.tl.covariates(alone, layer="truth", truth_layer="truth", covariates="density")
