"""What is said to somebody who hands a verb the wrong kind of thing."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import spatialdata as sd

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


def intensity(planes):
    """A model that needs no PyTorch."""
    return planes[:, :1]


@pytest.mark.parametrize("size", [500, 0.0005])
def test_a_pixel_size_in_another_unit_is_refused_before_the_work(tissue, size):
    with pytest.raises(ValueError, match="in micrometres per pixel"):
        nimbus.tl.score(tissue, pixel_size=size, model=intensity, show_progress_bar=False)


@pytest.mark.parametrize("grid", [16, (4,), (4, 4, 4), "16x16"])
def test_a_grid_of_other_than_two_sides_is_refused_with_an_example(tissue, grid):
    with pytest.raises(TypeError, match=r"rows and columns, as in grid=\(16, 16\)"):
        nimbus.tl.cluster(tissue, layer="truth", grid=grid)


TYPES = pd.DataFrame({"CD3": [1, 0]}, index=["T", "B"])
CELLS = {"fov": ["fov0"], "instance_id": [1]}
ADDING = {
    "call": lambda data, key: nimbus.tl.call(data, key_added=key),
    "calibrate": lambda data, key: nimbus.tl.calibrate(data, truth_layer="truth", key_added=key),
    "cluster": lambda data, key: nimbus.tl.cluster(data, n_metaclusters=1, key_added=key),
    "annotate": lambda data, key: nimbus.tl.annotate(data, TYPES, key_added=key),
    "combine_clusters": lambda data, key: nimbus.tl.combine_clusters(data, key="t", key_added=key),
    "silver_labels": lambda data, key: nimbus.pp.silver_labels(data, TYPES, key_added=key),
    "threshold_labels": lambda data, key: nimbus.pp.threshold_labels(
        data, {"CD3": 1}, layer="nimbus", key_added=key
    ),
    "mixture_labels": lambda data, key: nimbus.pp.mixture_labels(
        data, layer="nimbus", key_added=key
    ),
    "gated_labels": lambda data, key: nimbus.pp.gated_labels(
        data, pd.DataFrame({**CELLS, "CD3_gt": [1]}), key_added=key
    ),
    "gold_labels": lambda data, key: nimbus.pp.gold_labels(
        data, pd.DataFrame({**CELLS, "marker": ["CD3"], "label": [1]}), key_added=key
    ),
    "cell_types": lambda data, key: nimbus.pp.cell_types(
        data, pd.DataFrame({**CELLS, "cell_type": ["T"]}), key_added=key
    ),
}


def everything(table):
    return [sorted(map(str, keys)) for keys in (table.layers, table.obs, table.var, table.uns)]


@pytest.mark.parametrize("verb", ADDING.values(), ids=ADDING)
@pytest.mark.parametrize("kind", ["SpatialData", "AnnData"])
def test_a_key_with_which_no_file_could_be_written_or_read_is_refused(tissue, verb, kind):
    table = tissue["table"].copy()
    table.layers["nimbus"] = np.full(table.shape, 0.7, dtype=np.float32)
    table.obs["cell_type"] = pd.Categorical(["T", "B"] * 3)
    before = everything(table)
    data, key = table, "T/own"
    if kind == "SpatialData":
        data, key = sd.SpatialData(labels=dict(tissue.labels), tables={"table": table}), "T cells"

    with pytest.raises(ValueError, match=rf"key_added='{key}': .*'T_\w+' would do"):
        verb(data, key)

    assert everything(table) == before


@pytest.mark.parametrize("verb", ADDING.values(), ids=ADDING)
@pytest.mark.parametrize("key", [None, 3, ["silver"]])
def test_a_key_that_is_no_text_is_refused_with_its_name(tissue, verb, key):
    table = tissue["table"].copy()
    table.layers["nimbus"] = np.full(table.shape, 0.7, dtype=np.float32)
    table.obs["cell_type"] = pd.Categorical(["T", "B"] * 3)
    if key is None and verb in (ADDING["call"], ADDING["calibrate"], ADDING["combine_clusters"]):
        pytest.skip("None is their default")

    with pytest.raises(TypeError, match="key_added must be a name, as text, not"):
        verb(table, key)


def test_scores_need_a_key_that_is_text(tissue):
    for key, given in (("key_added", None), ("table_key", None), ("table_key", ["table"])):
        with pytest.raises(TypeError, match=f"{key} must be a name, as text, not"):
            nimbus.tl.score(tissue, show_progress_bar=False, **{key: given})


def test_pixel_sizes_by_labels_are_refused_with_the_name_of_the_image(tissue):
    with pytest.raises(
        ValueError, match="has no entry for image 'fov0_image', only for 'fov0_labels'"
    ):
        nimbus.tl.score(
            tissue, pixel_size={"fov0_labels": 0.5}, model=intensity, show_progress_bar=False
        )


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ({"pixel_size": "half"}, "pixel_size must be a number, not 'half'"),
        ({"pixel_size": {"fov0_image": [0.5]}}, r"pixel_size must be a number, not \[0.5\]"),
        ({"tile_size": 2.5}, "tile_size must be a whole number, not 2.5"),
        ({"batch_size": "4"}, "batch_size must be a whole number, not '4'"),
        ({"n_jobs": "all"}, "n_jobs must be a whole number, not 'all'"),
    ],
)
def test_settings_of_another_type_are_named(tissue, arguments, told):
    with pytest.raises(TypeError, match=told):
        nimbus.tl.score(tissue, model=intensity, show_progress_bar=False, **arguments)


@pytest.mark.parametrize(
    "verb",
    [
        nimbus.pp.silver_labels,
        nimbus.tl.annotate,
        lambda table, matrix: nimbus.pp.silver_table(
            pd.DataFrame({**CELLS, "cell_type": ["T"]}), matrix
        ),
    ],
)
@pytest.mark.parametrize("given", [np.eye(2), None, {"CD3": [1]}])
def test_an_assignment_without_names_is_refused_with_how_to_name_it(tissue, verb, given):
    with pytest.raises(
        TypeError, match="assignment must be a data frame .* not .*index=cell_types"
    ):
        verb(tissue["table"], given)


@pytest.mark.parametrize(
    "verb",
    [
        lambda table, cells: nimbus.pp.silver_labels(table, TYPES, cells=cells),
        lambda table, cells: nimbus.pp.silver_table(cells, TYPES),
        nimbus.pp.gated_labels,
        nimbus.pp.cell_types,
        lambda table, cells: nimbus.pl.metrics(cells),
        lambda table, cells: nimbus.pl.confounders(cells),
    ],
)
@pytest.mark.parametrize("given", [3, np.eye(2), "cells.csv"])
def test_what_is_no_data_frame_is_refused_as_such(tissue, verb, given):
    with pytest.raises(TypeError, match="must be a data frame of pandas, not"):
        verb(tissue["table"], given)


@pytest.mark.parametrize("layer", [3, ["nimbus"], np.eye(2)])
def test_names_that_are_no_text_are_refused_with_what_there_is(tissue, layer):
    for verb in (nimbus.tl.call, nimbus.pp.mixture_labels, nimbus.pl.densities):
        with pytest.raises(
            TypeError, match="layer must be named by text, not .*there is: .*'truth'"
        ):
            verb(tissue["table"], layer=layer)


def test_numbers_that_are_none_are_named(tissue):
    table = tissue["table"]
    for verb, argument in (
        (nimbus.tl.call, "threshold"),
        (nimbus.tl.evaluate, "confidence"),
        (nimbus.pp.mixture_labels, "confidence"),
        (nimbus.tl.calibrate, "shrinkage"),
        (nimbus.pp.silver_report, "min_auroc"),
    ):
        layers = (
            {"truth_layer": "truth"} if verb in (nimbus.tl.evaluate, nimbus.tl.calibrate) else {}
        )
        layers |= {} if verb is nimbus.pp.silver_report else {"layer": "truth"}
        with pytest.raises(TypeError, match=f"{argument} must be a number, not None"):
            verb(table, **layers, **{argument: None})
