from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import spatialdata
from anndata import AnnData

import nimbus
from support.tissue import draw_sdata


def table():
    obs = pd.DataFrame(
        {"fov": ["a", "a", "b", "b"], "instance_id": [1, 70_000, 1, 2]}, index=list("wxyz")
    )
    adata = AnnData(np.zeros((4, 2)), obs=obs)
    adata.var_names = ["CD3", "CD3/CD8"]
    return adata


def annotations(*rows):
    return pd.DataFrame(rows, columns=["fov", "instance_id", "marker", "label"])


FIRST = annotations(
    ("a", 70_000, "CD3", "positive"),
    ("a", 1, "CD3", "Negative"),
    ("b", 2, "CD3", "likely positive"),
    ("b", 1, "CD3/CD8", "undetermined"),
    ("b", 2, "CD3/CD8", "positive"),
)
SECOND = annotations(
    ("b", 2, "CD3", 1),
    ("a", 1, "CD3", 0),
    ("a", 70_000, "CD3", 1),
    ("b", 1, "CD3/CD8", 1),
)


def test_one_annotator_decides_alone():
    adata = table()
    nimbus.pp.gold_labels(adata, FIRST)
    assert adata.layers["gold"].dtype == np.int8
    np.testing.assert_array_equal(adata.layers["gold"], [[0, -1], [1, -1], [-1, -1], [-1, 1]])


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [[0, -1], [1, -1], [-1, -1], [-1, -1]]),
        ({"likely": "decided"}, [[0, -1], [1, -1], [-1, -1], [1, -1]]),
        ({"min_annotators": 1}, [[0, -1], [1, -1], [-1, -1], [-1, 1]]),
    ],
)
def test_of_two_annotators_what_they_agree_on_counts(options, expected):
    adata = table()
    nimbus.pp.gold_labels(adata, [FIRST, SECOND], **options)
    np.testing.assert_array_equal(adata.layers["gold"], expected)


def test_the_order_of_annotators_and_rows_does_not_matter():
    one, other = table(), table()
    nimbus.pp.gold_labels(one, [FIRST, SECOND])
    nimbus.pp.gold_labels(other, [SECOND.iloc[::-1], FIRST.sample(frac=1, random_state=1)])
    np.testing.assert_array_equal(one.layers["gold"], other.layers["gold"])


def test_agreement_is_told_for_each_marker_and_two_annotators():
    rng = np.random.default_rng(0)
    rows = [("a", i + 1, m, int(rng.integers(2))) for i in range(40) for m in ("CD3", "CD8")]
    first = annotations(*rows)
    second = first.assign(label=[1 - v if i < 16 else v for i, v in enumerate(first["label"])])
    found = nimbus.pp.gold_agreement({"A": first, "B": second, "C": first})
    assert found[["first", "second", "marker"]].to_numpy().tolist() == [
        [*pair, marker]
        for pair in (("A", "B"), ("A", "C"), ("B", "C"))
        for marker in ("CD3", "CD8", "all")
    ]
    assert found["n_both"].tolist() == [40, 40, 80] * 3
    assert found["agreement"].tolist() == pytest.approx([0.8] * 3 + [1.0] * 3 + [0.8] * 3)
    kappa = pytest.importorskip("sklearn.metrics").cohen_kappa_score
    assert found["kappa"][2] == pytest.approx(kappa(first["label"], second["label"]))


def test_what_annotators_agree_on_and_how_far_survives_writing(tmp_path):
    sdata = draw_sdata([(40, 50)])
    nimbus.pp.integrate(sdata, show_progress_bar=False)
    ids = sdata.tables["table"].obs["instance_id"].to_numpy()
    one = annotations(*[("a", i, "m0", int(i % 2)) for i in ids])
    nimbus.pp.gold_labels(sdata, {"A": one, "B": one})
    np.testing.assert_array_equal(sdata.tables["table"].layers["gold"][:, 0], ids % 2)
    sdata.write(tmp_path / "s.zarr")
    again = spatialdata.read_zarr(tmp_path / "s.zarr").tables["table"]
    assert again.uns["gold"]["agreement"]["kappa"].tolist() == [1, 1]


@pytest.mark.parametrize("name", ["b", "b_labels", "b field"])
def test_a_field_may_be_called_as_its_files_or_its_labels(name):
    sdata = draw_sdata([(40, 50), (50, 40)])
    sdata.attrs["nimbus_fovs"] = {"b": "b field"}
    nimbus.pp.integrate(sdata, show_progress_bar=False)
    obs = sdata.tables["table"].obs
    cell = int(obs["instance_id"][obs["region"] == "b_labels"].iloc[2])
    nimbus.pp.gold_labels(sdata, annotations((name, cell, "m1", 1)))
    [[row, column]] = np.argwhere(sdata.tables["table"].layers["gold"] == 1)
    assert (obs["region"].iloc[row], obs["instance_id"].iloc[row], column) == ("b_labels", cell, 1)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("a", 1, "CD4", 1)], "marker 'CD4' does not exist; did you mean 'CD3'"),
        ([("A1", 1, "CD3", 1)], "field 'A1' does not exist"),
        ([("a", 1, "CD3", "maybe")], "annotator 1.*label 'maybe' does not exist"),
        ([("a", 1, "CD3", 1), ("a", 1, "CD3", 0)], "2 rows are of pairs that come more than once"),
        ([("a", 0, "CD3", 1)], "whole numbers above 0; it holds '0'"),
        ([("a", 4, "CD3", 1)], "none of the annotated cells"),
        ([], "no pair of cell and marker was judged"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(rows, message):
    with pytest.raises(ValueError, match=message):
        nimbus.pp.gold_labels(table(), annotations(*rows))


def test_settings_and_columns_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="no 'label' among"):
        nimbus.pp.gold_labels(table(), FIRST.drop(columns="label"))
    with pytest.raises(ValueError, match="min_annotators=3, but there are annotations of 2"):
        nimbus.pp.gold_labels(table(), [FIRST, SECOND], min_annotators=3)
    with pytest.raises(ValueError, match="likely='yes' is none of"):
        nimbus.pp.gold_labels(table(), FIRST, likely="yes")
    for given in ("gold.csv", ["gold.csv", FIRST]):
        with pytest.raises(TypeError, match=r"not 'gold.csv'; nimbus.io.read_gold reads a .csv"):
            nimbus.pp.gold_labels(table(), given)
    with pytest.raises(ValueError, match="at least two"):
        nimbus.pp.gold_agreement(FIRST)
    with pytest.raises(ValueError, match="list is empty"):
        nimbus.pp.gold_labels(table(), [])
    bare = AnnData(np.zeros((2, 1)), var=pd.DataFrame(index=["CD3"]))
    with pytest.raises(ValueError, match="pass fov_key= and instance_key="):
        nimbus.pp.gold_labels(bare, FIRST)


def test_cells_that_the_table_does_not_have_are_counted():
    with pytest.warns(UserWarning, match="1 of 5 annotated pairs"):
        nimbus.pp.gold_labels(table()[1:].copy(), FIRST)
