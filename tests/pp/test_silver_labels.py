from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import spatialdata
from anndata import AnnData

import nimbus
from support.tissue import draw_sdata

DATA = Path(__file__).parents[3] / "shared" / "data" / "dcis_mibi"

MATRIX = pd.DataFrame(
    {"CD3": [0, 1, 1], "CD20": [1, 0, 0], "HLA-DR (MHC II)": [1, None, 0]},
    index=["B", "T", "Treg"],
)


def table(types):
    adata = AnnData(np.zeros((len(types), 4)))
    adata.obs["cell_type"] = pd.Categorical(types)
    adata.var_names = ["HLA-DR (MHC II)", "DAPI", "CD20", "CD3"]
    return adata


def with_cells():
    """Two fields; the types in another order than the rows."""
    sdata = draw_sdata([(40, 50), (50, 40)], n_channels=2)
    nimbus.pp.integrate(sdata, show_progress_bar=False)
    obs = sdata.tables["table"].obs
    cells = pd.DataFrame(
        {
            "fov": obs["region"].astype(str).str.removesuffix("_labels").to_numpy(),
            "label": obs["instance_id"].to_numpy(),
            "kind": np.where(obs["instance_id"] % 2 == 0, "even", "odd"),
        }
    )
    matrix = pd.DataFrame({"m0": [1, 0], "m1": [0, None]}, index=["even", "odd"])
    return sdata, cells.sample(frac=1, random_state=0), matrix


def test_each_cell_gets_the_labels_of_its_type_in_the_columns_of_the_table():
    adata = table(["T", None, "B", "Treg"])
    nimbus.pp.silver_labels(adata, MATRIX)
    assert adata.layers["silver"].dtype == np.int8
    np.testing.assert_array_equal(
        adata.layers["silver"],
        [[-1, -1, 0, 1], [-1, -1, -1, -1], [1, -1, 1, 0], [0, -1, 0, 1]],
    )


def test_types_and_markers_can_be_left_out():
    adata = table(["T", "B", "NK"])
    nimbus.pp.silver_labels(
        adata, MATRIX, exclude_markers=["CD20"], exclude_types=["NK", "B"], key_added="mine"
    )
    np.testing.assert_array_equal(
        adata.layers["mine"], [[-1, -1, -1, 1], [-1, -1, -1, -1], [-1, -1, -1, -1]]
    )
    assert "silver" not in adata.layers


def test_a_cell_table_is_matched_by_field_and_id_never_by_position():
    sdata, cells, matrix = with_cells()
    keys = {"cell_type_key": "kind", "instance_key": "label"}
    nimbus.pp.silver_labels(sdata, matrix, cells=cells, **keys)
    table = sdata.tables["table"]
    even = (table.obs["instance_id"] % 2 == 0).to_numpy()
    assert 0 < even.sum() < even.size, "proves nothing"
    np.testing.assert_array_equal(table.layers["silver"][:, 0], even)
    np.testing.assert_array_equal(table.layers["silver"][:, 1], np.where(even, 0, -1))


def test_cells_that_the_cell_table_leaves_out_are_undefined():
    sdata, cells, matrix = with_cells()
    sure = cells[cells["fov"] == "b"]
    nimbus.pp.silver_labels(sdata, matrix, cells=sure, cell_type_key="kind", instance_key="label")
    table = sdata.tables["table"]
    labelled = (table.layers["silver"][:, 0] >= 0) == (table.obs["region"] == "b_labels")
    assert labelled.all()


def test_strange_cells_are_counted_and_a_strange_table_is_refused():
    sdata, cells, matrix = with_cells()
    keys = {"cell_type_key": "kind", "instance_key": "label"}
    more = pd.concat([cells, cells.head(3).assign(label=[900_001, 900_002, 900_003])])
    with pytest.warns(UserWarning, match=r"3 of \d+ rows of cells"):
        nimbus.pp.silver_labels(sdata, matrix, cells=more, **keys)
    strange = cells[cells["fov"] == "a"].assign(fov="x")
    with pytest.raises(ValueError, match="fields are 'x'.*those of the table 'a', 'b'"):
        nimbus.pp.silver_labels(sdata, matrix, cells=strange, **keys)
    with pytest.raises(ValueError, match="2 rows of cells that came before"):
        nimbus.pp.silver_labels(sdata, matrix, cells=pd.concat([cells, cells.head(2)]), **keys)
    with pytest.raises(ValueError, match="whole numbers above 0; it holds '1.5'"):
        nimbus.pp.silver_labels(sdata, matrix, cells=cells.assign(label=1.5), **keys)


@pytest.mark.parametrize(
    ("types", "options", "message"),
    [
        (["T", "Tregs"], {}, "'Tregs' does not exist; did you mean 'Treg'.*exclude_types="),
        (["T"], {"cell_type_key": "cell_typ"}, "did you mean 'cell_type'"),
        (["T"], {"exclude_types": ["Tcell"]}, "cell type 'Tcell' does not exist"),
        (["T"], {"exclude_markers": ["CD21"]}, "did you mean 'CD20'"),
    ],
)
def test_what_does_not_fit_is_refused_by_name(types, options, message):
    with pytest.raises(ValueError, match=message):
        nimbus.pp.silver_labels(table(types), MATRIX, **options)


def test_a_marker_that_the_table_does_not_have_must_be_left_out_by_name():
    extra = MATRIX.rename(columns={"CD20": "CD200"})
    with pytest.raises(ValueError, match="'CD200' does not exist; did you mean 'CD20'"):
        nimbus.pp.silver_labels(table(["T"]), extra)
    nimbus.pp.silver_labels(table(["T"]), extra, exclude_markers=["CD200"])


def test_labels_and_where_they_come_from_survive_writing(tmp_path):
    sdata, cells, matrix = with_cells()
    matrix = matrix.rename(columns={"m0": "CD3/CD8"})
    sdata.tables["table"].var_names = ["CD3/CD8", "m1"]
    nimbus.pp.silver_labels(sdata, matrix, cells=cells, cell_type_key="kind", instance_key="label")
    expected = sdata.tables["table"].layers["silver"].copy()
    sdata.write(tmp_path / "s.zarr")
    sdata.tables["table"].write_h5ad(tmp_path / "t.h5ad")
    for again in (
        spatialdata.read_zarr(tmp_path / "s.zarr").tables["table"],
        anndata.read_h5ad(tmp_path / "t.h5ad"),
    ):
        np.testing.assert_array_equal(again.layers["silver"], expected)
        assert again.uns["silver"]["assignment"]["label"].tolist() == [1, 0, 0, -1]


def test_a_cell_table_alone_gives_a_long_table():
    cells = pd.DataFrame(
        {"fov": ["a", "a", "b"], "instance_id": ["5", "70000", "5"], "cell_type": ["T", None, "B"]}
    )
    found = nimbus.pp.silver_table(cells, MATRIX)
    assert list(found.itertuples(index=False, name=None)) == [
        ("a", 5, "CD3", 1),
        ("a", 5, "CD20", 0),
        ("b", 5, "CD3", 0),
        ("b", 5, "CD20", 1),
        ("b", 5, "HLA-DR (MHC II)", 1),
    ]


def test_the_real_cell_table_gets_its_labels():
    if not DATA.exists():
        pytest.skip(f"no real data in {DATA}")
    cells = pd.read_csv(DATA / "cells.csv")
    adata = AnnData(
        np.zeros((len(cells), 3), np.float32), obs=cells.set_axis(cells.index.astype(str))
    )
    adata.var_names = ["CD20", "CD3", "HH3"]
    matrix = nimbus.pp.AssignmentMatrix.from_csv(DATA / "assignment_matrix.csv")
    assert matrix.values.shape == (23, 20)
    assert len(cells) == 48_448
    others = [name for name in matrix.markers if name not in ("CD20", "CD3")]
    nimbus.pp.silver_labels(adata, matrix, exclude_markers=others)
    counts = cells["cell_type"].value_counts()
    silver = adata.layers["silver"]
    assert (silver[:, 0] == 1).sum() == counts["BCELL"]
    assert (silver[:, 1] == 1).sum() == counts[["CD4T", "CD8T", "TCELL"]].sum()
    assert (silver[:, 1] == -1).sum() == counts[["BCELL", "MACS"]].sum()
    assert (silver[:, 2] == -1).all()
