from __future__ import annotations

import numpy as np
import pytest
import spatialdata
from spatialdata.transformations import Scale, set_transformation

import nimbus
from nimbus.data.fields import Field, build_sdata
from nimbus.data.layers import layer_names
from support.tissue import brightness, draw_image, draw_labels, draw_sdata


def test_it_equals_a_slow_loop_and_needs_no_pixel_size():
    sdata = draw_sdata([(60, 70), (40, 90)], pixel_size_um=None)
    nimbus.pp.integrate(sdata, show_progress_bar=False)
    table = sdata.tables["table"]
    for region in ("a", "b"):
        image, labels = sdata[f"{region}_image"].to_numpy(), sdata[f"{region}_labels"].to_numpy()
        rows = table.obs["region"] == f"{region}_labels"
        for got, cell in zip(
            table.layers["integrated"][rows], table.obs["instance_id"][rows], strict=True
        ):
            np.testing.assert_allclose(got, image[:, labels == cell].mean(axis=1), rtol=1e-6)


def test_a_field_without_the_channel_keeps_its_cells_with_nan():
    fields = []
    for name, channels in (("a", ("CD3", "CD8")), ("b", ("CD3",))):
        labels = draw_labels((40, 50), n_cells=9, seed=1)
        image = draw_image(labels, n_channels=len(channels), seed=2)
        fields.append(Field(name, image, labels, channels, None))
    one, both = build_sdata(fields), build_sdata(fields)
    nimbus.pp.integrate(one, channels=["CD8"], show_progress_bar=False)
    nimbus.pp.integrate(both, show_progress_bar=False)
    table, whole = one.tables["table"], both.tables["table"]
    np.testing.assert_array_equal(table.X[:, 0], whole[:, "CD8"].X[:, 0])
    of_b = (table.obs["region"] == "b_labels").to_numpy()
    np.testing.assert_array_equal(np.isnan(table.X[:, 0]), of_b)
    np.testing.assert_array_equal(table.obs["area"], whole.obs["area"])
    np.testing.assert_array_equal(table.obsm["spatial"], whole.obsm["spatial"])


def test_cells_cut_by_tiles_keep_their_means(monkeypatch):
    whole, cut = draw_sdata([(60, 70)]), draw_sdata([(60, 70)])
    nimbus.pp.integrate(whole, show_progress_bar=False)
    monkeypatch.setattr("nimbus.engine.integrate._TILE_SIZE", 7)
    nimbus.pp.integrate(cut, show_progress_bar=False)
    np.testing.assert_allclose(cut.tables["table"].X, whole.tables["table"].X, rtol=1e-6)
    np.testing.assert_array_equal(
        cut.tables["table"].obs["area"], whole.tables["table"].obs["area"]
    )


@pytest.mark.parametrize("times", [2, 3])
def test_cells_of_coarser_labels_are_means_over_the_pixels_of_the_image(times):
    labels = draw_labels((30, 41), n_cells=15, seed=4, radius=5)
    fine = labels.repeat(times, axis=0).repeat(times, axis=1)
    image = draw_image(fine, n_channels=1, seed=4)
    sdata = build_sdata([Field("a", image, labels, ("m0",), 0.5)])
    set_transformation(sdata["a_labels"], Scale([0.5 * times] * 2, axes=("x", "y")), "a")

    nimbus.pp.integrate(sdata, show_progress_bar=False)

    table = sdata.tables["table"]
    means = [image[0, fine == cell].mean() for cell in table.obs["instance_id"]]
    np.testing.assert_allclose(table.layers["integrated"][:, 0], means, rtol=1e-6)


def test_an_existing_table_gets_only_the_layer(tmp_path):
    sdata = draw_sdata([(60, 70)])
    nimbus.tl.score(sdata, model=brightness, tta=False, show_progress_bar=False)
    table = sdata.tables["table"]
    expected = table.X.copy()
    table.X[:] = 0
    sdata.write(tmp_path / "s.zarr")
    nimbus.pp.integrate(sdata, key_added="mean", write=True, show_progress_bar=False)
    again = spatialdata.read_zarr(tmp_path / "s.zarr").tables["table"]
    np.testing.assert_array_equal(again.layers["mean"], expected)
    np.testing.assert_array_equal(again.X, 0)


@pytest.mark.parametrize("shapes", [[(60, 70)], [(60, 70), (40, 90)]])
@pytest.mark.parametrize("scored", [False, True])
def test_a_change_of_x_in_place_changes_no_layer(shapes, scored):
    """Scanpy's normalisations write into X."""
    sdata = draw_sdata(shapes)
    if scored:
        nimbus.tl.score(sdata, model=brightness, tta=False, show_progress_bar=False)
    else:
        nimbus.pp.integrate(sdata, show_progress_bar=False)
    table = sdata.tables["table"]
    before = {name: table.layers[name].copy() for name in layer_names(table)}
    table.X[:] = -1
    assert before
    for name, values in before.items():
        np.testing.assert_array_equal(table.layers[name], values)
