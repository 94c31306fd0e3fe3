from __future__ import annotations

import numpy as np
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
