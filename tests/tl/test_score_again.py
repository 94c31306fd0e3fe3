"""A table that is scored again in part: what this run does not measure stays, if it may."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import spatialdata

import nimbus
from support.tissue import brightness, draw_sdata

QUIET = {"model": brightness, "tta": False, "show_progress_bar": False}
SHAPES = [(60, 70), (50, 90)]


def scored(**options):
    sdata = draw_sdata(SHAPES)
    nimbus.tl.score(sdata, **QUIET | options)
    return sdata


def of_region(table, labels):
    return (table.obs["region"] == labels).to_numpy()


@pytest.fixture
def weights(tmp_path):
    pytest.importorskip("torch")
    from support.nets import saved_net

    return saved_net(tmp_path / "random.safetensors", depth=3, root_filters=2)


def darker(planes):
    return brightness(planes) * np.float32(0.5)


class TestWhatStays:
    def test_a_region_scored_again_changes_nothing_else(self):
        sdata = scored()
        table = sdata.tables["table"]
        before, record = table.layers["nimbus"].copy(), table.uns["nimbus"]
        table.layers["nimbus"][of_region(table, "b_labels")] = 0
        nimbus.tl.score(sdata, labels_key="b_labels", **QUIET)
        np.testing.assert_array_equal(table.layers["nimbus"], before)
        for name in ("scales", "fields"):
            pd.testing.assert_frame_equal(table.uns["nimbus"][name], record[name])

    def test_a_marker_scored_again_changes_no_other(self):
        sdata = scored()
        table = sdata.tables["table"]
        before, scale = table.layers["nimbus"].copy(), table.var["nimbus_scale"].copy()
        rule = table.uns["nimbus"]["scale_rule"]
        nimbus.tl.score(sdata, channels="m1", scales={"m1": 999.0}, **QUIET)
        np.testing.assert_array_equal(table.layers["nimbus"][:, 0], before[:, 0])
        assert (table.layers["nimbus"][:, 1] < before[:, 1]).any()
        assert table.var["nimbus_scale"].tolist() == [scale["m0"], 999]
        assert table.uns["nimbus"]["scale_rule"] == f"{rule}; given"
        kept = table.uns["nimbus"]["scales"].set_index(["image", "channel"])["scale"]
        assert kept["b_image", "m0"] == scale["m0"]
        assert kept["b_image", "m1"] == 999

    def test_field_after_field_gives_one_layer_with_the_scales_of_each(self):
        sdata = draw_sdata(SHAPES)
        nimbus.pp.integrate(sdata, show_progress_bar=False)
        table = sdata.tables["table"]
        for labels, scale in (("a_labels", 50.0), ("b_labels", 70.0)):
            scales = {"m0": scale, "m1": 100.0}
            nimbus.tl.score(sdata, labels_key=labels, scales=scales, **QUIET)
        assert np.isfinite(table.layers["nimbus"]).all()
        np.testing.assert_array_equal(table.var["nimbus_scale"], [np.nan, 100])
        kept = table.uns["nimbus"]["scales"].set_index(["image", "channel"])["scale"]
        assert kept.to_dict() == {
            ("a_image", "m0"): 50,
            ("a_image", "m1"): 100,
            ("b_image", "m0"): 70,
            ("b_image", "m1"): 100,
        }
        assert table.uns["nimbus"]["fields"]["labels"].tolist() == ["a_labels", "b_labels"]

    @pytest.mark.parametrize("bfloat16", [False, True])  # whether the device is fast in it
    def test_scores_of_auto_are_those_of_the_format_that_it_was(
        self, weights, monkeypatch, bfloat16
    ):
        name = "bfloat16" if bfloat16 else "float32"
        monkeypatch.setattr("nimbus.model.device.fast_bfloat16", lambda _: bfloat16)
        monkeypatch.setattr("nimbus.model.ready.fast_bfloat16", lambda _: bfloat16)
        options = {"model": weights, "device": "cpu"}
        sdata = scored(**options)
        table = sdata.tables["table"]
        assert table.uns["nimbus"]["precision"] == name
        before = table.layers["nimbus"].copy()
        nimbus.tl.score(sdata, channels="m1", precision=name, **QUIET | options)
        np.testing.assert_array_equal(table.layers["nimbus"], before)

    def test_a_field_that_lacks_the_channel_keeps_its_scores(self):
        sdata = draw_sdata(SHAPES)
        sdata["b_image"] = sdata["b_image"].assign_coords(c=["m0", "other"])
        nimbus.tl.score(sdata, **QUIET)
        before = sdata.tables["table"].layers["nimbus"].copy()
        nimbus.tl.score(sdata, channels="m1", **QUIET)
        np.testing.assert_array_equal(sdata.tables["table"].layers["nimbus"], before)

    def test_the_spread_stays_too(self):
        options = {"tta": True, "uncertainty": True}

        def upper_half(planes):  # differs between the views
            out = np.zeros_like(planes[:, :1])
            out[:, :, : out.shape[2] // 2] = 1
            return out

        sdata = scored(**options, model=upper_half)
        before = sdata.tables["table"].layers["nimbus_std"].copy()
        nimbus.tl.score(sdata, channels="m1", **QUIET | options | {"model": upper_half})
        assert before.max() > 0.4
        np.testing.assert_array_equal(sdata.tables["table"].layers["nimbus_std"], before)

    def test_a_cell_that_the_labels_lost_has_no_score_of_any_marker(self):
        sdata = scored()
        table = sdata.tables["table"]
        labels, cell = sdata["a_labels"].to_numpy(), table.obs["instance_id"].iloc[0]
        left = da.from_array(np.where(labels == cell, 0, labels))
        sdata.labels["a_labels"] = sdata["a_labels"].copy(data=left)
        with pytest.warns(UserWarning, match="1 rows of the table have no cell"):
            nimbus.tl.score(sdata, channels="m1", **QUIET)
        assert np.isnan(table.layers["nimbus"][0]).all()
        assert np.isfinite(table.layers["nimbus"][1:]).all()

    def test_it_stays_on_disk(self, tmp_path):
        sdata = scored()
        before = sdata.tables["table"].layers["nimbus"].copy()
        sdata.write(tmp_path / "s.zarr")
        sdata = spatialdata.read_zarr(tmp_path / "s.zarr")
        nimbus.tl.score(sdata, labels_key="b_labels", channels="m0", write=True, **QUIET)
        table = spatialdata.read_zarr(tmp_path / "s.zarr").tables["table"]
        np.testing.assert_array_equal(table.layers["nimbus"], before)
        assert np.isfinite(table.var["nimbus_scale"]).all()
        assert len(table.uns["nimbus"]["scales"]) == 4
        assert len(table.uns["nimbus"]["fields"]) == 2

    @pytest.mark.parametrize("options", [{"labels_key": "b_labels"}, {"channels": "m1"}])
    def test_mean_intensities_stay_too(self, options):
        sdata = scored()
        table = sdata.tables["table"]
        before = table.layers["integrated"].copy()
        nimbus.pp.integrate(sdata, show_progress_bar=False, **options)
        np.testing.assert_array_equal(table.layers["integrated"], before)


class TestWhatIsDropped:
    @pytest.mark.parametrize(
        ("options", "told"),
        [
            ({"model": darker}, "model: 'brightness' then, 'darker' now"),
            ({"tta": True}, "n_views: 1 then, 8 now"),
            ({"aggregate": "interior"}, "aggregate: 'cell' then, 'interior' now"),
        ],
    )
    def test_scores_of_other_settings_go_with_a_warning_that_counts_them(self, options, told):
        sdata = scored()
        table = sdata.tables["table"]
        of_a = of_region(table, "a_labels")
        message = rf"^{2 * of_a.sum()} scores of other regions or markers .*\({told}\)"
        with pytest.warns(UserWarning, match=message):
            nimbus.tl.score(sdata, labels_key="b_labels", **QUIET | options)
        np.testing.assert_array_equal(np.isnan(table.layers["nimbus"]), np.c_[of_a, of_a])
        assert table.uns["nimbus"]["fields"]["labels"].tolist() == ["b_labels"]
        assert table.uns["nimbus"]["scales"]["image"].unique().tolist() == ["b_image"]

    def test_scores_of_another_number_format(self, weights):
        options = {"model": weights, "device": "cpu"}
        sdata = scored(**options, precision="float32")
        with pytest.warns(UserWarning, match="precision: 'float32' then, 'bfloat16' now"):
            nimbus.tl.score(sdata, channels="m1", precision="bfloat16", **QUIET | options)
        assert np.isnan(sdata.tables["table"].layers["nimbus"][:, 0]).all()

    def test_another_scale_of_an_image_that_other_labels_share(self):
        sdata = draw_sdata([(60, 70)])
        sdata.labels["nuclei"] = sdata["a_labels"].copy(
            data=da.from_array(sdata["a_labels"].to_numpy()[::-1])
        )
        nimbus.tl.score(sdata, image_key="a_image", **QUIET)
        with pytest.warns(UserWarning, match=r"scale of 'm0' in 'a_image': \S+ then, 999 now"):
            nimbus.tl.score(sdata, labels_key="nuclei", scales={"m0": 999.0, "m1": 999.0}, **QUIET)

    def test_another_pixel_size_of_the_field_whose_other_marker_would_stay(self):
        sdata = scored()
        with pytest.warns(UserWarning, match=r"labels 'a_labels': .*0\.5\) then, .*0\.4\) now"):
            nimbus.tl.score(sdata, channels="m1", pixel_size=0.4, **QUIET)

    def test_scores_that_no_record_tells_of(self):
        sdata = scored()
        del sdata.tables["table"].uns["nimbus"]
        with pytest.warns(UserWarning, match=r"uns\['nimbus'\] does not tell how"):
            nimbus.tl.score(sdata, labels_key="b_labels", **QUIET)

    @pytest.mark.parametrize("options", [{"model": darker}, {"channels": "m1", "tta": True}])
    def test_the_spread_of_scores_that_are_replaced(self, tmp_path, options):
        scored(tta=True, uncertainty=True).write(tmp_path / "s.zarr")
        sdata = spatialdata.read_zarr(tmp_path / "s.zarr")
        before = sdata.tables["table"].layers["nimbus_std"].copy()
        nimbus.tl.score(sdata, write=True, **QUIET | options)
        expected = np.full_like(before, np.nan)
        if "channels" in options:  # the other marker keeps its scores and their spread
            expected[:, 0] = before[:, 0]
        for one in (sdata, spatialdata.read_zarr(tmp_path / "s.zarr")):
            np.testing.assert_array_equal(one.tables["table"].layers["nimbus_std"], expected)
        assert np.isfinite(before).all()

    def test_nothing_is_told_where_all_is_measured_again(self, recwarn):
        sdata = scored()
        nimbus.tl.score(sdata, **QUIET | {"model": darker})
        assert not [w for w in recwarn if "scores of other" in str(w.message)]
