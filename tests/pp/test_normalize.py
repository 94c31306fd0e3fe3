from __future__ import annotations

import numpy as np
import pytest
import spatialdata
from spatialdata import SpatialData

import nimbus
from nimbus.data.fields import Field, build_sdata
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
    from nimbus.core.scalerule import ScaleRule

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


def test_scales_survive_the_store(tmp_path):
    sdata = draw_sdata(SHAPES[:1])
    nimbus.pp.normalize(sdata, quantile=0.9, **QUIET)
    sdata.write(tmp_path / "s.zarr")
    again = spatialdata.read_zarr(tmp_path / "s.zarr")
    assert again.attrs["nimbus_scales"] == sdata.attrs["nimbus_scales"]


def test_scales_of_another_models_rule_are_computed_anew_with_a_warning():
    sdata = draw_sdata(SHAPES[:1])
    nimbus.pp.normalize(sdata, **QUIET)
    sdata.attrs["nimbus_scales"]["rule"]["quantile"] = 0.5
    with pytest.warns(UserWarning, match="stored scales follow"):
        nimbus.tl.score(sdata, tta=False, **QUIET)
    assert sdata.attrs["nimbus_scales"]["rule"]["quantile"] == 0.9999


def test_a_channel_without_signal_has_scale_zero_and_a_warning():
    image = np.zeros((1, 20, 20), dtype=np.uint16)
    sdata = build_sdata([Field("a", image, None, ("CD3",), 0.5)])
    with pytest.warns(UserWarning, match="no signal in 'CD3"):
        assert nimbus.pp.normalize(sdata, **QUIET) == {"CD3": 0.0}


def test_nan_is_refused_with_its_place_or_read_as_zero():
    image = np.ones((2, 20, 20), dtype=np.float32)
    image[1, 5, 6] = np.inf
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
