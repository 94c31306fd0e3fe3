from __future__ import annotations

import json

import numpy as np
import pytest

from nimbus.io import ReadError
from nimbus.io.geojson import CellClass, CellObject, read_objects, write_objects

SQUARE = np.array([[0, 0], [4, 0], [4, 4], [0, 4]])
HOLE = np.array([[1, 1], [1, 2], [2, 2], [2, 1]])


def cells():
    return [
        CellObject(
            70_000,
            ((SQUARE, HOLE), (SQUARE + 10,)),
            CellClass("Likely positive", (255, 150, 0)),
            {"mean": 0.1, "none": float("nan")},
            {"fov": "ein Feld/ß", "marker": "CD3/CD8"},
        ),
        CellObject(2, ((SQUARE + 0.25,),)),
    ]


def feature(**properties):
    ring = [[0, 0], [1, 0], [1, 1], [0, 0]]
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring]},
        "properties": properties,
    }


def written(content, tmp_path):
    path = tmp_path / "a field — ß.geojson"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def test_what_is_written_is_read_back(tmp_path):
    path = tmp_path / "ein Feld ß.geojson"
    write_objects(path, cells())
    first, second = read_objects(path)
    assert (first.cell_id, second.cell_id) == (70_000, 2)
    assert first.classification == CellClass("Likely positive", (255, 150, 0))
    assert second.classification is None
    assert first.measurements == {"mean": 0.1}, "there is no NaN in JSON"
    assert first.metadata == {"fov": "ein Feld/ß", "marker": "CD3/CD8", "instance_id": "70000"}
    for mine, theirs in zip(cells(), (first, second), strict=True):
        for piece, again in zip(mine.polygons, theirs.polygons, strict=True):
            for ring, read in zip(piece, again, strict=True):
                np.testing.assert_array_equal(read, ring)
                assert read.dtype == ring.dtype


def test_it_has_the_members_that_qupath_reads(tmp_path):
    path = tmp_path / "cells.geojson"
    write_objects(path, cells())
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["type"] == "FeatureCollection"
    first, second = content["features"]
    assert first["geometry"]["type"] == "MultiPolygon"
    assert second["geometry"]["type"] == "Polygon"
    ring = second["geometry"]["coordinates"][0]
    assert ring[0] == ring[-1] == [0.25, 0.25]
    assert first["properties"] == {
        "objectType": "detection",
        "name": "70000",
        "classification": {"name": "Likely positive", "color": [255, 150, 0]},
        "measurements": {"mean": 0.1},
        "metadata": {"fov": "ein Feld/ß", "marker": "CD3/CD8", "instance_id": "70000"},
    }
    assert first["id"] != second["id"]
    write_objects(path, cells())
    assert json.loads(path.read_text(encoding="utf-8")) == content, "the same ids each time"


def test_an_error_in_the_middle_leaves_the_old_file(tmp_path):
    path = tmp_path / "cells.geojson"
    write_objects(path, cells())
    before = path.read_bytes()

    def broken():
        yield cells()[0]
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        write_objects(path, broken())
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"name": "Positive", "color": [1, 2, 3]}, CellClass("Positive", (1, 2, 3))),
        ({"name": "Positive", "color": [1, 2, 3, 9]}, CellClass("Positive", (1, 2, 3))),
        ({"name": "Positive", "colorRGB": -377282}, CellClass("Positive", (250, 62, 62))),
        ({"names": ["Tumour", "Positive"], "color": []}, CellClass("Tumour: Positive", (128,) * 3)),
        ("Positive", CellClass("Positive", (128, 128, 128))),
        ({}, None),
        (None, None),
    ],
    ids=["0.4", "alpha", "0.2", "derived", "text", "0.3 without", "without"],
)
def test_classes_of_all_versions_of_qupath_are_read(given, expected, tmp_path):
    path = written(
        {"type": "FeatureCollection", "features": [feature(classification=given)]}, tmp_path
    )
    assert read_objects(path)[0].classification == expected


def test_lists_of_features_single_ones_and_old_measurements_are_read(tmp_path):
    one = feature(name="7", measurements=[{"name": "mean", "value": 2}])
    for content in ([one], one):
        [read] = read_objects(written(content, tmp_path))
        assert (read.cell_id, read.measurements) == (7, {"mean": 2.0})
    content = '\ufeff{"type": "FeatureCollection", "features": []}'
    assert read_objects(written(content, tmp_path)) == []


@pytest.mark.parametrize("name", ["Region 1", "", "0", "-4", "1.5", "٣", "1" * 30, None, True, []])
def test_other_names_are_no_cell_ids(name, tmp_path):
    [read] = read_objects(written([feature(name=name)], tmp_path))
    assert read.cell_id is None


def test_points_and_lines_are_objects_without_an_outline(tmp_path):
    point = feature() | {"geometry": {"type": "Point", "coordinates": [1, 2]}}
    assert read_objects(written([point], tmp_path))[0].polygons == ()


def broken_ring(ring):
    return [feature() | {"geometry": {"type": "Polygon", "coordinates": [ring]}}]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is no JSON"),
        ('{"type": "FeatureCollection", "features": [', "is no JSON"),
        ("[" * 100_000, "is no JSON"),
        ('"text"', "neither a feature collection nor a list"),
        ({"type": "FeatureCollection"}, "neither a feature collection"),
        ({"type": "Topology", "features": []}, "neither a feature collection"),
        ([feature(), 3], "feature 1: is no object of"),
        ([{"type": "Feature", "properties": {}}], 'feature 0: has no "geometry"'),
        ([feature() | {"properties": [1]}], '"properties" are a list'),
        ([feature(metadata="x")], '"metadata" are a text'),
        ([feature(classification=3)], '"classification" is a number'),
        ([feature(classification={"color": [1, 2, 3]})], 'has no "name"'),
        ([feature(measurements="many")], '"measurements" are a text'),
        ([feature(measurements={"a": 10**400})], "a number too large"),
        (broken_ring([[0, 0], [1, 1]]), r"the shape \(2, 2\)"),
        (broken_ring([[0, 0], [1], [2, 2], [0, 0]]), "something else than pairs"),
        (broken_ring([[0, 0], ["x", 1], [2, 2], [0, 0]]), "something else than pairs"),
        (broken_ring([[0, 0], [10**400, 1], [2, 2], [0, 0]]), "something else than pairs"),
        (broken_ring([[0, 0], [1e200, 1], [2, 2], [0, 0]]), "off any image"),
        (broken_ring([[0, 0], [float("nan"), 1], [2, 2], [0, 0]]), "off any image"),
        ([feature() | {"geometry": {"type": "Polygon"}}], "no list of rings"),
        (
            [feature() | {"geometry": {"type": "MultiPolygon", "coordinates": {}}}],
            "no list of rings",
        ),
    ],
)
def test_damaged_files_are_refused_by_name_and_feature(content, message, tmp_path):
    with pytest.raises(ReadError, match=rf"(?s)a field — ß.geojson: .*{message}"):
        read_objects(written(content, tmp_path))


def test_every_cut_of_a_file_is_refused(tmp_path):
    path = tmp_path / "cells.geojson"
    write_objects(path, cells())
    content = path.read_bytes()
    for stop in range(0, len(content) - 2, 7):
        path.write_bytes(content[:stop])
        with pytest.raises(ReadError):
            read_objects(path)


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "cells.geojson"
    path.write_bytes(b"\x80\x04\x95\x00")  # the beginning of a pickle
    with pytest.raises(ReadError, match="is no text in UTF-8"):
        read_objects(path)


def test_a_measurement_whose_name_is_no_text_is_read_by_its_text(tmp_path):
    odd = [{"name": ["a"], "value": 1.5}, {"name": {"b": 1}, "value": 2}, {"value": 3}]
    path = written([feature(measurements=odd)], tmp_path)
    [cell] = read_objects(path)
    assert cell.measurements == {"['a']": 1.5, "{'b': 1}": 2.0, "None": 3.0}
