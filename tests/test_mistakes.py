"""What is said to somebody who hands a verb the wrong kind of thing."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import nimbus


@pytest.fixture(scope="module")
def tissue():
    return nimbus.datasets.tissue(shape=(48, 48), n_cells=6, markers=["CD3"], random_state=0)


@pytest.mark.parametrize(
    "verb",
    [
        lambda table, folder: nimbus.tl.score(table),
        lambda table, folder: nimbus.pp.integrate(table),
        lambda table, folder: nimbus.pp.normalize(table),
        lambda table, folder: nimbus.pl.overlay(table, channel="CD3"),
        lambda table, folder: nimbus.pl.celltypes(table),
        lambda table, folder: nimbus.io.write_qupath(table, folder),
        lambda table, folder: nimbus.io.write_qupath_types(table, folder),
        lambda table, folder: nimbus.io.write_mantis(table, folder),
    ],
)
@pytest.mark.parametrize("given", ["table", "path"])
def test_verbs_on_images_ask_for_spatialdata_and_say_where_from(tissue, tmp_path, verb, given):
    wrong = tissue["table"] if given == "table" else "cohort.zarr"

    with pytest.raises(TypeError, match="SpatialData .* is needed, not (AnnData|str); .*read_"):
        verb(wrong, tmp_path)

    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("wrong", [pd.DataFrame({"CD3": [0.5]}), None])
def test_verbs_on_tables_name_what_they_were_given(wrong):
    with pytest.raises(TypeError, match="AnnData or SpatialData object is needed, not (Data|None)"):
        nimbus.tl.call(wrong)


def test_a_table_without_a_region_is_refused_by_what_writes_its_cells(tissue, tmp_path):
    table = ad.AnnData(np.zeros((2, 1)), var=pd.DataFrame(index=["CD3"]))
    tissue.tables["plain"] = table

    with pytest.raises(ValueError, match="table 'plain' does not annotate labels"):
        nimbus.io.write_mantis(tissue, tmp_path / "out", table_key="plain")


@pytest.mark.parametrize("size", [500, 0.0005])
def test_a_pixel_size_in_another_unit_is_refused_before_the_work(tissue, size):
    with pytest.raises(ValueError, match="in micrometres per pixel"):
        nimbus.tl.score(
            tissue, pixel_size=size, model=lambda planes: planes[:, :1], show_progress_bar=False
        )


@pytest.mark.parametrize("grid", [16, (4,), (4, 4, 4), "16x16"])
def test_a_grid_of_other_than_two_sides_is_refused_with_an_example(tissue, grid):
    with pytest.raises(TypeError, match=r"rows and columns, as in grid=\(16, 16\)"):
        nimbus.tl.cluster(tissue, layer="truth", grid=grid)
