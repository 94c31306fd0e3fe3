from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

import nimbus


def table():
    scores = np.array([[0.5, 0.2], [0.49, 0.9], [np.nan, 0.3]], dtype=np.float32)
    adata = AnnData(np.zeros((3, 2)), layers={"nimbus": scores})
    adata.var_names = ["CD3", "HLA-DR (MHC II)"]
    return adata


def test_a_score_at_the_threshold_is_positive_and_nan_is_undefined():
    adata = table()
    nimbus.tl.call(adata)
    assert adata.layers["nimbus_positive"].dtype == np.int8
    np.testing.assert_array_equal(adata.layers["nimbus_positive"], [[1, 0], [0, 1], [-1, 0]])


def test_markers_may_have_thresholds_of_their_own():
    adata = table()
    nimbus.tl.call(adata, threshold={"HLA-DR (MHC II)": 0.25}, key_added="mine")
    np.testing.assert_array_equal(adata.layers["mine"], [[1, 0], [0, 1], [-1, 1]])


def test_thresholds_of_a_series_are_taken_by_marker_and_not_by_place():
    adata, named = table(), {"HLA-DR (MHC II)": 0.25, "CD3": 0.495}
    nimbus.tl.call(adata, threshold=named)
    expected = adata.layers["nimbus_positive"].copy()
    np.testing.assert_array_equal(expected, [[1, 0], [0, 1], [-1, 1]])
    nimbus.tl.call(adata, threshold=pd.Series(named))
    np.testing.assert_array_equal(adata.layers["nimbus_positive"], expected)
    nimbus.tl.call(adata, threshold=pd.Series({"HLA-DR (MHC II)": 0.25}))
    np.testing.assert_array_equal(adata.layers["nimbus_positive"], [[1, 0], [0, 1], [-1, 1]])


def test_several_thresholds_need_names_each_once():
    for given in ([0.5, 0.2], np.array([0.5, 0.2]), (0.5,)):
        with pytest.raises(TypeError, match=r"does not say which marker.*\{marker: number\}"):
            nimbus.tl.call(table(), threshold=given)
    with pytest.raises(ValueError, match="come twice: 'CD3'"):
        nimbus.tl.call(table(), threshold=pd.Series([0.1, 0.2], index=["CD3", "CD3"]))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": 1.5}, "between 0 and 1"),
        ({"threshold": {"CD4": 0.5}}, "marker 'CD4' does not exist; did you mean 'CD3'"),
        ({"layer": "nimbos"}, "layer 'nimbos' does not exist; did you mean 'nimbus'"),
    ],
)
def test_what_is_not_there_is_refused_by_name(options, message):
    with pytest.raises(ValueError, match=message):
        nimbus.tl.call(table(), **options)


def calibrated_table():
    scores = np.array([[0.1, 0.1], [0.3, 0.3], [0.5, 0.5], [0.7, 0.7], [0.9, 0.9], [np.nan, 1.0]])
    adata = AnnData(np.zeros(scores.shape), layers={"nimbus": scores})
    adata.var_names = ["CD3", "CD8"]
    adata.var["mine_threshold"] = [0.4, 0.8]
    adata.var["mine_lower"] = [0.2, 0.2]
    adata.var["mine_upper"] = [0.6, 0.6]
    adata.uns["mine"] = {"layer": "nimbus"}
    return adata


def test_thresholds_of_a_calibration_are_taken_by_its_key():
    adata = calibrated_table()
    nimbus.tl.call(adata, threshold="mine")
    np.testing.assert_array_equal(adata.layers["nimbus_positive"][:, 0], [0, 0, 1, 1, 1, -1])
    np.testing.assert_array_equal(adata.layers["nimbus_positive"][:, 1], [0, 0, 0, 0, 1, 1])


def test_undecided_scores_are_not_called_on_request_nor_those_between_band_and_threshold():
    adata = calibrated_table()
    nimbus.tl.call(adata, threshold="mine", abstain=True)
    np.testing.assert_array_equal(adata.layers["nimbus_positive"][:, 0], [0, -1, -1, 1, 1, -1])
    # the threshold 0.8 lies above the band: 0.7 is too low to be called and too high to be denied
    np.testing.assert_array_equal(adata.layers["nimbus_positive"][:, 1], [0, -1, -1, -1, 1, 1])
    # and 0.05 below it: 0.1 is too high to be denied and too low to be called
    adata.var["mine_threshold"] = 0.05
    nimbus.tl.call(adata, threshold="mine", abstain=True)
    np.testing.assert_array_equal(adata.layers["nimbus_positive"][:, 1], [-1, -1, -1, 1, 1, 1])


def test_an_infinite_threshold_calls_nobody():
    adata = calibrated_table()
    nimbus.tl.call(adata, threshold={"CD8": np.inf})
    assert (adata.layers["nimbus_positive"][:, 1] == 0).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"threshold": "yours"}, "'yours' is no key of nimbus.tl.calibrate; there is 'mine'"),
        ({"threshold": "mine", "layer": "other"}, "belong to the layer 'nimbus', not to 'other'"),
        ({"abstain": True}, "abstain=True takes the undecided band"),
        ({"threshold": {"CD3": np.nan}}, "between 0 and 1"),
    ],
)
def test_a_calibration_that_does_not_fit_is_refused(options, message):
    adata = calibrated_table()
    adata.layers["other"] = adata.layers["nimbus"]
    with pytest.raises(ValueError, match=message):
        nimbus.tl.call(adata, **options)


@pytest.mark.parametrize("value", [149.0, -1.0])  # an intensity; a label that is undefined
def test_a_layer_that_holds_no_scores_is_refused(value):
    adata = table()
    adata.layers["other"] = np.full((3, 2), value)
    with pytest.raises(ValueError, match=f"layer 'other' holds {value:g}; scores lie between"):
        nimbus.tl.call(adata, layer="other")
    assert "other_positive" not in adata.layers
