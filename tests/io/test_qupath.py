from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import spatialdata
from anndata import AnnData
from spatialdata.models import Labels2DModel, TableModel
from spatialdata.transformations import Scale, set_transformation

import nimbus
from nimbus.data.outlines import cell_outlines
from nimbus.io.geojson import read_objects
from support.tissue import draw_sdata

shapely = pytest.importorskip("shapely")

MARKERS = ["CD3 ε", "CD3/CD8"]

IDS = np.array(
    [
        [0, 70_000, 70_000, 70_000, 0, 3],
        [0, 70_000, 0, 70_000, 3, 0],
        [9, 70_000, 70_000, 70_000, 0, 2**31 - 1],
    ]
)
"""A hole, pieces that touch at a corner, and ids beyond 16 bits."""


def labelled(renamed=None):
    """One field of hard cells with labels for two markers."""
    table = AnnData(np.zeros((4, 2)), var=pd.DataFrame(index=MARKERS))
    table.obs["region"] = pd.Categorical(["f_labels"] * 4)
    table.obs["instance_id"] = [2**31 - 1, 3, 70_000, 9]
    table.layers["silver"] = np.array([[1, -1], [0, 1], [-1, 0], [1, 1]], dtype=np.int8)
    table.layers["integrated"] = np.array([[5.0, np.nan], [0.25, 1], [2, 3], [4, 5]])
    parsed = TableModel.parse(
        table, region="f_labels", region_key="region", instance_key="instance_id"
    )
    labels = {"f_labels": Labels2DModel.parse(IDS.astype(np.uint32), dims=("y", "x"))}
    sdata = spatialdata.SpatialData(labels=labels, tables={"table": parsed})
    if renamed:
        sdata.attrs["nimbus_fovs"] = {"f": renamed}
    return sdata


def reclassified(path, classes, *, keep=("name", "metadata", "objectType")):
    """What QuPath exports after an annotator has worked on a file."""
    content = json.loads(path.read_text(encoding="utf-8"))
    for feature in content["features"]:
        properties = feature["properties"]
        before = properties.get("classification", {"name": None})["name"]
        name = classes.get(int(properties["name"]), before)
        feature["properties"] = {k: v for k, v in properties.items() if k in keep}
        if name is not None:
            feature["properties"]["classification"] = {"name": name, "color": [1, 2, 3]}
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")


def drawn_back(path, shape):
    """Label image of a file, by an independent library."""
    y, x = np.mgrid[: shape[0], : shape[1]] + 0.5
    image = np.zeros(shape, dtype=np.int64)
    for cell in read_objects(path):
        for rim, *holes in cell.polygons:
            inside = shapely.contains_xy(shapely.Polygon(rim, holes), x.ravel(), y.ravel())
            image[inside.reshape(shape)] = cell.cell_id
    return image


def test_labels_go_to_qupath_and_come_back(tmp_path):
    sdata = labelled()
    paths = nimbus.io.write_qupath(sdata, tmp_path / "zum Prüfen")
    assert [path.relative_to(tmp_path).as_posix() for path in paths] == [
        "zum Prüfen/f/CD3 ε.geojson",
        "zum Prüfen/f/CD3%2FCD8.geojson",
    ]
    annotations = nimbus.io.read_qupath(tmp_path)
    assert set(annotations["fov"]) == {"f"}
    nimbus.pp.gold_labels(sdata, annotations)
    table = sdata.tables["table"]
    np.testing.assert_array_equal(table.layers["gold"], table.layers["silver"])


def test_outlines_in_the_file_cover_exactly_the_pixels_of_each_cell(tmp_path):
    for path in nimbus.io.write_qupath(labelled(), tmp_path):
        np.testing.assert_array_equal(drawn_back(path, IDS.shape), IDS)


def test_measurements_are_those_of_the_cell_and_marker(tmp_path):
    path, other = nimbus.io.write_qupath(labelled(), tmp_path)
    found = {cell.cell_id: cell.measurements for cell in read_objects(path)}
    assert found[3] == {"integrated": 0.25}
    assert found[70_000] == {"integrated": 2.0}
    assert {c.cell_id: c.measurements for c in read_objects(other)}[2**31 - 1] == {}
    [path, _] = nimbus.io.write_qupath(labelled(), tmp_path, measurements=[], overwrite=True)
    assert all(not cell.measurements for cell in read_objects(path))


def test_corrections_replace_the_labels(tmp_path):
    sdata = labelled()
    [path] = nimbus.io.write_qupath(sdata, tmp_path, markers="CD3 ε")
    changed = {3: "Likely positive", 70_000: "negative", 9: None, 2**31 - 1: "Ignore*"}
    reclassified(path, changed)
    annotations = nimbus.io.read_qupath(path)
    assert dict(zip(annotations["instance_id"], annotations["label"], strict=True)) == {
        3: "likely positive",
        70_000: "negative",
        2**31 - 1: "undetermined",
    }
    nimbus.pp.gold_labels(sdata, annotations, likely="decided")
    np.testing.assert_array_equal(sdata.tables["table"].layers["gold"][:, 0], [-1, 1, 0, -1])


def test_a_program_that_drops_the_metadata_leaves_the_names_of_file_and_folder(tmp_path):
    sdata = labelled("Feld: 1?")
    paths = nimbus.io.write_qupath(sdata, tmp_path)
    assert paths[0].parent.name == "Feld%3A 1%3F"
    with_metadata = nimbus.io.read_qupath(tmp_path)
    for path in paths:
        reclassified(path, {}, keep=("name",))
    without = nimbus.io.read_qupath(tmp_path)
    pd.testing.assert_frame_equal(without, with_metadata)
    assert set(without["fov"]) == {"Feld: 1?"}
    nimbus.pp.gold_labels(sdata, without)
    gold = sdata.tables["table"].layers["gold"]
    np.testing.assert_array_equal(gold, sdata.tables["table"].layers["silver"])


def test_files_may_be_renamed_and_moved(tmp_path):
    sdata = labelled()
    paths = nimbus.io.write_qupath(sdata, tmp_path / "out")
    expected = nimbus.io.read_qupath(tmp_path / "out")
    back = tmp_path / "back from the annotator"
    back.mkdir()
    for number, path in enumerate(paths):
        path.rename(back / f"export {number}.geojson")
    pd.testing.assert_frame_equal(nimbus.io.read_qupath(back), expected)


def test_field_and_marker_can_be_given(tmp_path):
    [path] = nimbus.io.write_qupath(labelled(), tmp_path, markers=["CD3/CD8"])
    found = nimbus.io.read_qupath(path, fov="other", marker="CD8")
    assert set(found["fov"]) == {"other"}
    assert set(found["marker"]) == {"CD8"}


def test_own_classes_can_be_named(tmp_path):
    [path] = nimbus.io.write_qupath(labelled(), tmp_path, markers="CD3 ε")
    reclassified(path, {3: "CD3+"})
    with pytest.raises(nimbus.io.ReadError, match=r"CD3 ε.geojson: cell 3 is of class 'CD3\+'"):
        nimbus.io.read_qupath(path)
    found = nimbus.io.read_qupath(path, classes={"CD3+": "positive"})
    assert found.set_index("instance_id")["label"][3] == "positive"
    with pytest.raises(ValueError, match="stands for one of 'positive'"):
        nimbus.io.read_qupath(path, classes={"CD3+": "Positive"})


def test_drawings_of_the_annotator_are_left_out_with_a_warning(tmp_path):
    [path] = nimbus.io.write_qupath(labelled(), tmp_path, markers="CD3 ε")
    content = json.loads(path.read_text(encoding="utf-8"))
    drawing = json.loads(json.dumps(content["features"][0]))
    drawing["properties"] = {"objectType": "annotation", "name": "a strange region"}
    content["features"].append(drawing)
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.warns(UserWarning, match="1 of 5 objects have no cell id"):
        assert len(nimbus.io.read_qupath(path)) == 3
    path.write_text(json.dumps([drawing]), encoding="utf-8")
    with pytest.raises(nimbus.io.ReadError, match="no object has the id of a cell"):
        nimbus.io.read_qupath(path)


def test_two_labels_of_one_pair_are_refused_and_one_twice_is_one(tmp_path):
    sdata = labelled()
    nimbus.io.write_qupath(sdata, tmp_path / "one", markers="CD3 ε")
    [again] = nimbus.io.write_qupath(sdata, tmp_path / "two", markers="CD3 ε")
    assert len(nimbus.io.read_qupath(tmp_path)) == 3
    reclassified(again, {3: "Positive"})
    with pytest.raises(nimbus.io.ReadError, match=r"cell 3 of field 'f' is positive.*negative in"):
        nimbus.io.read_qupath(tmp_path)


def test_files_that_are_there_are_not_replaced_unasked(tmp_path):
    [path, _] = nimbus.io.write_qupath(labelled(), tmp_path)
    reclassified(path, {3: "Positive"})
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match=r"2 files are there already.*overwrite=True"):
        nimbus.io.write_qupath(labelled(), tmp_path)
    assert path.read_bytes() == before


def test_corners_are_in_pixels_of_the_image_where_labels_are_coarser():
    sdata = draw_sdata([(40, 60)], pixel_size_um=0.5)
    fine = cell_outlines(sdata, "a_labels")
    coarse = sdata.labels["a_labels"].data.compute()[::2, ::2]
    sdata.labels["a_labels"] = Labels2DModel.parse(coarse, dims=("y", "x"))
    set_transformation(sdata.labels["a_labels"], Scale([1.0, 1.0], axes=("x", "y")), "a")
    moved = cell_outlines(sdata, "a_labels")
    cell = next(iter(moved))
    corners = np.concatenate([ring for piece in moved[cell] for ring in piece])
    assert corners.dtype == np.int64
    assert (corners % 2 == 0).all()
    expected = np.concatenate([ring for piece in fine[cell] for ring in piece]).mean(axis=0)
    assert np.abs(corners.mean(axis=0) - expected).max() < 3


def test_strips_give_the_outlines_of_the_whole(monkeypatch):
    sdata = draw_sdata([(40, 60)])
    whole = cell_outlines(sdata, "a_labels")
    monkeypatch.setattr("nimbus.data.outlines._STRIP_PIXELS", 60 * 7)
    cut = cell_outlines(sdata, "a_labels")
    assert list(cut) == list(whole)
    for cell in whole:
        areas = [
            sum(shapely.Polygon(rim, holes).area for rim, *holes in found[cell])
            for found in (whole, cut)
        ]
        assert areas[0] == areas[1]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"layer": "silber"}, "layer 'silber' does not exist; did you mean 'silver'"),
        ({"layer": "integrated"}, "values other than 1 .positive., 0"),
        ({"markers": "CD3"}, "marker 'CD3' does not exist; did you mean 'CD3 ε'"),
        ({"labels_key": "g_labels"}, "'g_labels' does not exist; did you mean 'f_labels'"),
        ({"table_key": "tabel"}, "did you mean 'table'"),
        ({"object_type": "cell"}, "object_type='cell' is none of"),
    ],
)
def test_what_does_not_fit_is_refused(options, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        nimbus.io.write_qupath(labelled(), tmp_path / "new", **options)
    assert not (tmp_path / "new").exists()


def test_rows_without_a_cell_are_counted_and_nothing_to_write_is_an_error(tmp_path):
    sdata = labelled()
    sdata.tables["table"].obs["instance_id"] = [2**31 - 1, 3, 70_000, 10]
    with pytest.warns(UserWarning, match="1 rows of the table have no cell"):
        nimbus.io.write_qupath(sdata, tmp_path)
    sdata = labelled()
    sdata.tables["table"].layers["silver"][:] = -1
    with pytest.raises(ValueError, match="labels no cell"):
        nimbus.io.write_qupath(sdata, tmp_path / "none")


def test_an_absent_place_and_an_empty_folder_are_told(tmp_path):
    with pytest.raises(FileNotFoundError, match="no file or folder"):
        nimbus.io.read_qupath(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match="holds no .geojson file"):
        nimbus.io.read_qupath(tmp_path)
