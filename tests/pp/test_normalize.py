from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import spatialdata
from spatialdata import SpatialData

import nimbus
from nimbus.core.scalerule import ScaleRule
from nimbus.data.fields import Field, build_sdata
from nimbus.data.storedscales import stored_scales
from support.tissue import brightness, draw_sdata

SHAPES = [(60, 70), (50, 91), (33, 47)]
QUIET = {"model": brightness, "show_progress_bar": False}


def pooled(sdata, channel):
    return np.concatenate(
        [sdata[name].to_numpy()[channel].ravel() for name in sorted(sdata.images)]
    )


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32, np.uint64])
def test_integers_give_the_exact_quantile_of_all_pixels(dtype):
    sdata = draw_sdata(SHAPES, dtype=dtype)
    scales = nimbus.pp.normalize(sdata, **QUIET)
    for channel in (0, 1):
        expected = np.quantile(pooled(sdata, channel).astype(np.float64), 0.9999)
        assert expected != pooled(sdata, channel).max(), "proves nothing: it is the maximum"
        np.testing.assert_allclose(scales[f"m{channel}"], expected, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_are_within_a_thousandth(dtype):
    sdata = draw_sdata(SHAPES, dtype=dtype)
    for name in sdata.images:
        sdata[name].data = (sdata[name].data * 0.0123).astype(dtype)
    scales = nimbus.pp.normalize(sdata, quantile=0.97, **QUIET)
    expected = np.quantile(pooled(sdata, 1).astype(np.float64), 0.97)
    np.testing.assert_allclose(scales["m1"], expected, rtol=1e-3)


def test_neither_chunks_nor_the_order_of_images_change_it():
    sdata = draw_sdata(SHAPES)
    scales = nimbus.pp.normalize(sdata, quantile=0.993, **QUIET)
    cut = {k: v.chunk({"c": 1, "y": 17, "x": 23}) for k, v in sdata.images.items()}
    turned = SpatialData(images={k.translate(str.maketrans("abc", "zyx")): cut[k] for k in cut})
    assert nimbus.pp.normalize(turned, quantile=0.993, n_jobs=3, **QUIET) == scales


def test_the_rule_of_the_published_network_is_the_mean_of_positive_quantiles(monkeypatch):
    rule = ScaleRule(0.999, pixels="positive", pool="image_mean")
    monkeypatch.setattr("nimbus.engine.predictors.PAPER_RULE", rule)
    sdata = draw_sdata(SHAPES)
    images = [sdata[name].to_numpy()[0] for name in sdata.images]
    expected = np.mean([np.quantile(image[image > 0], 0.999) for image in images])
    np.testing.assert_allclose(nimbus.pp.normalize(sdata, **QUIET)["m0"], expected, rtol=1e-12)


def test_by_image_and_by_batch_pool_only_their_own():
    sdata = draw_sdata(SHAPES)
    each = nimbus.pp.normalize(sdata, by="image", quantile=0.9, **QUIET)
    for name in sdata.images:
        assert each[name]["m0"] == np.quantile(sdata[name].to_numpy()[0], 0.9)
    batches = {"a_image": "one", "b_image": "two", "c_image": "one"}
    some = nimbus.pp.normalize(sdata, by=batches, quantile=0.9, **QUIET)
    assert some["a_image"] == some["c_image"] != some["b_image"]
    assert some["b_image"] == each["b_image"]
    assert nimbus.pp.normalize(sdata, by=pd.Series(batches), quantile=0.9, **QUIET) == some


def test_scales_survive_the_store(tmp_path):
    sdata = draw_sdata(SHAPES[:1])
    nimbus.pp.normalize(sdata, quantile=0.9, **QUIET)
    sdata.write(tmp_path / "s.zarr")
    again = spatialdata.read_zarr(tmp_path / "s.zarr")
    assert again.attrs["nimbus_scales"] == sdata.attrs["nimbus_scales"]


def test_scales_of_another_models_rule_are_computed_anew_with_a_warning():
    sdata = draw_sdata(SHAPES[:1])
    nimbus.pp.normalize(sdata, **QUIET)
    sdata.attrs["nimbus_scales"][0]["rule"]["quantile"] = 0.5
    with pytest.warns(UserWarning, match="stored scales follow"):
        nimbus.tl.score(sdata, tta=False, **QUIET)
    assert [one["rule"]["quantile"] for one in sdata.attrs["nimbus_scales"]] == [0.9999]


def used(sdata):
    """Scales by image and channel of the scores."""
    frame = sdata["table"].uns["nimbus"]["scales"]
    return {(i, c): s for i, c, s in frame.itertuples(index=False)}


def test_a_second_call_keeps_the_scales_of_other_channels_and_images(tmp_path):
    sdata = draw_sdata(SHAPES[:2])
    first = nimbus.pp.normalize(sdata, quantile=0.9, **QUIET)
    one = {"image_key": "a_image", "channels": "m0"}
    second = nimbus.pp.normalize(sdata, quantile=0.5, **one, **QUIET)
    assert second["m0"] != first["m0"], "proves nothing: both quantiles are the same"
    sdata.write(tmp_path / "s.zarr")
    sdata = spatialdata.read_zarr(tmp_path / "s.zarr")
    nimbus.tl.score(sdata, tta=False, **QUIET)  # without a warning: each has a scale
    expected = {(i, c): first[c] for i in ("a_image", "b_image") for c in ("m0", "m1")}
    assert used(sdata) == expected | {("a_image", "m0"): second["m0"]}
    rules = sdata["table"].uns["nimbus"]["scale_rule"]
    of = "of all pixels, pooled over the images"
    assert rules == f"quantile 0.9 {of}; quantile 0.5 {of}"


def test_what_was_not_normalised_is_named_computed_by_the_models_rule_and_chosen_scales_stay():
    sdata = draw_sdata(SHAPES[:2])
    chosen = nimbus.pp.normalize(sdata, quantile=0.5, channels="m0", **QUIET)
    with pytest.warns(UserWarning, match=r"no scale is stored for 'm1 \(a_image\)', 'm1 \(b_im"):
        nimbus.tl.score(sdata, tta=False, **QUIET)
    by_rule = np.quantile(pooled(sdata, 1).astype(np.float64), 0.9999)
    got = used(sdata)
    for image in ("a_image", "b_image"):
        assert got[image, "m0"] == chosen["m0"]
        np.testing.assert_allclose(got[image, "m1"], by_rule, rtol=1e-12)

    nimbus.tl.score(sdata, tta=False, **QUIET)  # all are stored now
    assert used(sdata) == got


@pytest.mark.parametrize(
    ("options", "stays"), [({}, False), ({"quantile": 0.5}, True), ({"by": "image"}, True)]
)
def test_an_image_that_is_added_later_is_named_and_changes_pooled_scales_alone(options, stays):
    sdata = draw_sdata(SHAPES[:2])
    b_image = sdata.images.pop("b_image")
    nimbus.pp.normalize(sdata, **options, **QUIET)
    before = stored_scales(sdata, {"a_image": ["m0"]}, ScaleRule(0.9999))
    sdata.images["b_image"] = b_image
    with pytest.warns(UserWarning, match=r"no scale is stored for 'm0 \(b_image\)'"):
        nimbus.tl.score(sdata, tta=False, **QUIET)
    got = used(sdata)
    assert (got["a_image", "m0"] == before[0].table["a_image"]["m0"]) == stays
    assert (got["a_image", "m0"] == got["b_image", "m0"]) == (not stays)


def test_further_channels_by_the_same_rule_have_the_scales_of_one_call_without_a_warning():
    sdata, at_once = draw_sdata(SHAPES[:2]), draw_sdata(SHAPES[:2])
    nimbus.tl.score(sdata, channels="m1", tta=False, **QUIET)
    nimbus.tl.score(sdata, table_key="all", tta=False, **QUIET)
    nimbus.tl.score(at_once, table_key="all", tta=False, **QUIET)
    scales = [each["all"].var["nimbus_scale"].tolist() for each in (sdata, at_once)]
    assert scales[0] == scales[1]


def test_fields_that_were_scored_alone_have_the_scales_of_one_call_when_scored_together():
    sdata, at_once = draw_sdata(SHAPES[:2]), draw_sdata(SHAPES[:2])
    sdata.images["b_image"] = at_once.images["b_image"] = sdata.images["b_image"] * 10
    for labels in ("a_labels", "b_labels"):
        nimbus.tl.score(sdata, labels_key=labels, table_key=labels[0], tta=False, **QUIET)
    for each in (sdata, at_once):
        nimbus.tl.score(each, table_key="all", tta=False, **QUIET)
    scales = [each["all"].uns["nimbus"]["scales"] for each in (sdata, at_once)]
    pd.testing.assert_frame_equal(*scales)


@pytest.mark.parametrize("options", [{"by": "image"}, {"quantile": 0.5}])
def test_scales_of_the_whole_serve_a_crop_which_leaves_them(options):
    sdata = draw_sdata(SHAPES[:2])
    nimbus.pp.normalize(sdata, **options, **QUIET)
    nimbus.tl.score(sdata, tta=False, **QUIET)
    whole = used(sdata)
    crop = sdata.query.bounding_box(
        axes=("x", "y"),
        min_coordinate=[0, 0],
        max_coordinate=[10, 10],
        target_coordinate_system="a",
    )
    del crop.tables["table"]
    nimbus.tl.score(crop, tta=False, **QUIET)
    assert used(crop) == {pair: scale for pair, scale in whole.items() if pair[0] in crop.images}
    nimbus.tl.score(sdata, tta=False, **QUIET)
    assert used(sdata) == whole


def test_scales_of_a_crop_are_none_of_the_whole():
    """SpatialData gives a crop the same dictionary of attributes."""
    sdata = draw_sdata(SHAPES[:1])
    crop = sdata.query.bounding_box(
        axes=("x", "y"),
        min_coordinate=[0, 0],
        max_coordinate=[10, 10],
        target_coordinate_system="a",
    )
    nimbus.tl.score(crop, tta=False, **QUIET)
    assert "nimbus_scales" in crop.attrs
    assert "nimbus_scales" not in sdata.attrs


def test_scales_of_a_store_that_knows_one_rule_are_read():
    sdata = draw_sdata(SHAPES[:1])
    scales = {"a_image": {"m0": 7.0, "m1": 8.0}}
    rule = {"quantile": 0.5, "pixels": "all", "pool": "dataset"}
    sdata.attrs["nimbus_scales"] = {"rule": rule, "chosen": True, "scales": scales}
    nimbus.tl.score(sdata, tta=False, **QUIET)
    assert used(sdata) == {("a_image", "m0"): 7, ("a_image", "m1"): 8}


def test_a_channel_without_signal_has_scale_zero_and_a_warning():
    image = np.zeros((1, 20, 20), dtype=np.uint16)
    sdata = build_sdata([Field("a", image, None, ("CD3",), 0.5)])
    with pytest.warns(UserWarning, match="no signal in 'CD3"):
        assert nimbus.pp.normalize(sdata, **QUIET) == {"CD3": 0.0}


@pytest.mark.parametrize("by", ["batch", {"a_image": "one"}])
def test_batches_are_refused_before_pixels_are_read(by, monkeypatch):
    def read(*_, **__):
        raise AssertionError("pixels were read")

    monkeypatch.setattr("nimbus.data.scales.channel_histograms", read)
    with pytest.raises(ValueError, match=r"by='batch' is not|batch of image 'b_image'"):
        nimbus.pp.normalize(draw_sdata(SHAPES), by=by, **QUIET)


def test_nan_is_refused_with_its_place_or_read_as_zero():
    image = np.ones((2, 20, 20), dtype=np.float32)
    image[0, 5, 6], image[1, 5, 6] = 0, np.inf
    sdata = build_sdata([Field("a", image, None, ("CD3", "CD8"), 0.5)])
    with pytest.raises(ValueError, match="'CD8' of image 'a_image' is inf at row 5, column 6"):
        nimbus.pp.normalize(sdata, **QUIET)
    scales = nimbus.pp.normalize(sdata, nan="zero", **QUIET)
    np.testing.assert_allclose(list(scales.values()), 1, rtol=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quantile": 1.5}, r"quantile must be in \(0, 1\]"),
        ({"by": "fov"}, "'dataset', 'image'"),
        ({"by": {"a_image": "x"}}, "batch of image"),
        ({"image_key": "d_image"}, "image 'd_image' does not exist"),
        ({"channels": ["m9"]}, "channel 'm9' does not exist"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        nimbus.pp.normalize(draw_sdata(SHAPES), **options, **QUIET)
