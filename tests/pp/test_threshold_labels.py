from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy.sparse import csr_matrix

import nimbus


def table():
    values = np.array([[0.0, 5.0], [2.0, 5.0], [4.0, np.nan], [6.0, 9.0]])
    adata = AnnData(np.zeros((4, 2)), layers={"integrated": values})
    adata.var_names = ["CD3", "CD3/CD8"]
    return adata


def test_a_cell_at_the_threshold_is_positive_and_one_without_intensity_undefined():
    adata = table()
    nimbus.pp.threshold_labels(adata, {"CD3/CD8": 9, "CD3": 2})
    np.testing.assert_array_equal(adata.layers["silver"], [[0, 0], [1, 0], [1, -1], [1, 1]])
    assert adata.layers["silver"].dtype == np.int8


def test_a_pair_leaves_a_gap_and_other_markers_stay_undefined():
    adata = table()
    nimbus.pp.threshold_labels(adata, {"CD3": (2, 6)}, key_added="gates")
    np.testing.assert_array_equal(adata.layers["gates"][:, 0], [0, -1, -1, 1])
    assert (adata.layers["gates"][:, 1] == -1).all()


def test_sparse_intensities_are_read_too():
    adata, sparse = table()[:, :1].copy(), table()[:, :1].copy()
    sparse.layers["integrated"] = csr_matrix(sparse.layers["integrated"])
    for one in (adata, sparse):
        nimbus.pp.threshold_labels(one, {"CD3": 2})
    np.testing.assert_array_equal(sparse.layers["silver"], adata.layers["silver"])


def test_a_series_is_read_by_marker():
    adata, series = table(), table()
    nimbus.pp.threshold_labels(adata, {"CD3/CD8": 9, "CD3": 2})
    nimbus.pp.threshold_labels(series, pd.Series({"CD3/CD8": 9, "CD3": 2}))
    np.testing.assert_array_equal(series.layers["silver"], adata.layers["silver"])


@pytest.mark.parametrize(
    ("thresholds", "options", "message"),
    [
        ({"CD4": 1}, {}, "marker 'CD4' does not exist; did you mean 'CD3'"),
        ({"CD3": 1}, {"layer": "integratd"}, "did you mean 'integrated'"),
        ({"CD3": (3, 1)}, {}, r"'CD3' is \(3, 1\)"),
        ({"CD3": float("nan")}, {}, "give a number"),
        ({"CD3": (1,)}, {}, r"'CD3' is \(1,\); give a number"),
        ({"CD3": None}, {}, "'CD3' is None; give a number"),
        ({"CD3": "2"}, {}, "'CD3' is '2'; give a number"),
        ({}, {}, "empty"),
    ],
)
def test_what_does_not_fit_is_refused(thresholds, options, message):
    with pytest.raises(ValueError, match=message):
        nimbus.pp.threshold_labels(table(), thresholds, **options)
