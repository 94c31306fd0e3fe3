import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

import nimbus


@pytest.fixture
def table():
    obs = {"fov": ["a", "a", "b", "b"], "instance_id": [1, 70_000, 1, 2]}
    return AnnData(np.zeros((4, 1)), obs=obs)


def frame(*rows):
    return pd.DataFrame(rows, columns=["fov", "instance_id", "cell_type"])


def test_cells_are_matched_by_field_and_id(table):
    nimbus.pp.cell_types(table, frame(("b", 1, "T"), ("a", 70_000, "B"), ("a", 1, None)))
    found = table.obs["cell_type"].astype(object)
    assert found.where(found.notna(), None).tolist() == [None, "B", "T", None]
    assert table.obs["cell_type"].cat.categories.tolist() == ["B", "T"]
    assert len(set(table.uns["cell_type_colors"])) == 2


def test_a_column_keeps_the_order_and_colours_of_its_types(table):
    table.obs["cell_type"] = pd.Categorical(["T", "B", "NK", "T"], categories=["T", "NK", "B"])
    table.uns["cell_type_colors"] = ["#111111", "#222222", "#333333"]
    new = frame(("a", 1, "T"), ("b", 1, "A"), ("b", 2, "B"))
    nimbus.pp.cell_types(table, new.assign(color=[None, "#444444", None]))
    assert table.obs["cell_type"].cat.categories.tolist() == ["T", "B", "A"]
    assert list(table.uns["cell_type_colors"]) == ["#111111", "#333333", "#444444"]


def test_several_types_of_a_cell_are_refused_or_joined(table):
    several = frame(("a", 1, "T"), ("a", 1, "CD8"), ("a", 1, "T"), ("b", 2, "B"))
    with pytest.raises(ValueError, match=r"1 cells have several types.*'T', 'CD8'.*join=True"):
        nimbus.pp.cell_types(table, several)
    assert "cell_type" not in table.obs
    nimbus.pp.cell_types(table, several, join=True)
    assert table.obs["cell_type"].iloc[[0, 3]].tolist() == ["T | CD8", "B"]


def test_a_field_under_two_names_is_one():
    sdata = nimbus.datasets.tissue(shape=(40, 40), n_cells=4, markers=["CD3"], random_state=0)
    both = frame(("fov0", 1, "T"), ("fov0_labels", 1, "B"))
    with pytest.raises(ValueError, match="several types"):
        nimbus.pp.cell_types(sdata, both)


def test_cells_of_other_tables_are_told(table):
    with pytest.warns(UserWarning, match="1 of 2 cells are not in the table"):
        nimbus.pp.cell_types(table, frame(("a", 1, "T"), ("a", 2, "T")))
    with pytest.raises(ValueError, match="none of these cells"):
        nimbus.pp.cell_types(table, frame(("a", 9, "T")))
    with pytest.raises(ValueError, match="field 'c' does not exist"):
        nimbus.pp.cell_types(table, frame(("c", 1, "T")))
    with pytest.raises(ValueError, match="'cell_type' is missing"):
        nimbus.pp.cell_types(table, frame(("a", 1, "T")).rename(columns={"cell_type": "type"}))
