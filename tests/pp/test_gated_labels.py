from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

import nimbus


def table():
    obs = pd.DataFrame(
        {"fov": ["a", "a", "b", "b"], "instance_id": [1, 70_000, 1, 2]}, index=list("wxyz")
    )
    adata = AnnData(np.zeros((4, 2)), obs=obs)
    adata.var_names = ["CD3", "CD8"]
    return adata


def cells():
    return pd.DataFrame(
        {
            "fov": ["b", "a", "a", "b"],
            "instance_id": [2, 70_000, 1, 1],
            "CD3_gt": [1, 2, 0, np.nan],
            "area": [9, 9, 9, 9],
        }
    )


def test_calls_go_to_the_cells_of_the_same_field_and_id():
    adata = table()
    nimbus.pp.gated_labels(adata, cells())
    np.testing.assert_array_equal(adata.layers["silver"][:, 0], [0, -1, -1, 1])
    assert (adata.layers["silver"][:, 1] == -1).all(), "there is no column for it"


def test_leaning_calls_count_only_if_asked_for():
    adata = table()
    nimbus.pp.gated_labels(adata, cells(), likely="decided")
    np.testing.assert_array_equal(adata.layers["silver"][:, 0], [0, 1, -1, 1])


def test_true_and_false_are_calls():
    adata = table()
    calls = cells().assign(CD8=[True, False, True, False])
    nimbus.pp.gated_labels(adata, calls, suffix="")
    np.testing.assert_array_equal(adata.layers["silver"][:, 1], [1, 0, 0, 1])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"CD3_gt": [1, 0, 5, 1]}, "column 'CD3_gt' of cells holds '5.0'|holds '5'"),
        ({"fov": "c"}, "field 'c' does not exist"),
        ({"instance_id": [1, 1, 1, 1]}, "2 cells in more than one row, e.g. cell 1"),
        ({"instance_id": [7, 8, 9, 10]}, "none of the cells"),
    ],
)
def test_what_does_not_fit_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        nimbus.pp.gated_labels(table(), cells().assign(**change))


def test_a_cell_table_without_calls_is_refused():
    with pytest.raises(ValueError, match="pass suffix="):
        nimbus.pp.gated_labels(table(), cells().drop(columns="CD3_gt"))


def test_cells_that_the_table_does_not_have_are_counted():
    with pytest.warns(UserWarning, match="1 of 4 rows"):
        nimbus.pp.gated_labels(table(), cells().assign(instance_id=[2, 70_000, 1, 5]))
