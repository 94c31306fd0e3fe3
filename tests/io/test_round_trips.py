"""What is written is read back equal: files drawn by Hypothesis."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
import tifffile
from anndata import AnnData
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from nimbus.cluster.clustermap import ClusterMap
from nimbus.cluster.mapfiles import read_map, write_map
from nimbus.io import read_gold, write_gold
from nimbus.io._discover import read_image
from nimbus.io.geojson import CellClass, CellObject, read_objects, write_objects
from nimbus.io.masks import read_labels

QUICK = settings(
    max_examples=30,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1).filter(
    lambda name: name.strip() == name
)
IDS = st.integers(1, 2**31 - 1)


@pytest.fixture(scope="module")
def folder():
    with tempfile.TemporaryDirectory(prefix="nimbus ä ") as path:
        yield Path(path)


@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 70), st.integers(1, 70)),
    kind=st.sampled_from(["uint8", "uint16", "int16", "uint32", "float32", "float64"]),
    compression=st.sampled_from([None, "zlib", "lzw", "zstd", "packbits"]),
    layout=st.sampled_from([{}, {"tile": (16, 32)}, {"rowsperstrip": 7}]),
    byteorder=st.sampled_from("<>"),
    bigtiff=st.booleans(),
    planarconfig=st.sampled_from(["pages", "separate"]),
    seed=st.integers(0, 99),
)
@QUICK
def test_an_image_of_any_layout_is_read_as_it_was_written(
    folder, shape, kind, compression, layout, byteorder, bigtiff, planarconfig, seed
):
    image = (np.random.default_rng(seed).random(shape) * 120).astype(kind)
    options = {"compression": compression, "byteorder": byteorder, "bigtiff": bigtiff, **layout}
    if compression in ("zlib", "lzw", "zstd") and image.dtype.kind == "u":
        options["predictor"] = bool(seed % 2)
    if planarconfig == "separate" and shape[0] > 1:
        options["planarconfig"] = "separate"
    path = folder / "a.tiff"
    tifffile.imwrite(path, image, photometric="minisblack", metadata=None, **options)
    read = read_image(path).array
    np.testing.assert_array_equal(read.compute(scheduler="synchronous"), image)
    y, x = shape[1] // 2, shape[2] // 3
    part = read[:, y:, x:].compute(scheduler="synchronous")
    np.testing.assert_array_equal(part, image[:, y:, x:])


@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40)),
    ids=st.lists(IDS, min_size=1, max_size=6, unique=True),
    tile=st.booleans(),
    seed=st.integers(0, 99),
)
@QUICK
def test_labels_keep_ids_up_to_the_largest(folder, shape, ids, tile, seed):
    labels = np.random.default_rng(seed).choice([0, *ids], shape).astype(np.uint32)
    path = folder / "labels.tiff"
    layout = {"tile": (16, 16)} if tile else {}
    tifffile.imwrite(path, labels, compression="zlib", **layout)
    np.testing.assert_array_equal(read_labels(path).compute(scheduler="synchronous"), labels)


@given(
    pairs=st.dictionaries(st.tuples(NAMES, IDS), st.booleans(), min_size=1, max_size=6),
    markers=st.lists(NAMES, min_size=1, max_size=3, unique=True),
)
@example(pairs={("one_labels", id_): True for id_ in range(1, 7)}, markers=["m"])
@QUICK
def test_labels_of_a_csv_file_come_back(folder, pairs, markers):
    fovs, ids = zip(*pairs, strict=True)
    table = AnnData(
        np.zeros((len(pairs), len(markers))),
        obs={"fov": list(fovs), "instance_id": list(ids)},
        var={"n": range(len(markers))},
    )
    table.var_names = markers
    rng = np.random.default_rng(len(pairs))
    table.layers["gold"] = rng.integers(-1, 2, table.shape).astype(np.int8)
    write_gold(table, folder / "gold.csv")
    read = read_gold(folder / "gold.csv")
    wanted = {
        (fovs[row], ids[row], markers[column]): ("negative", "positive")[value]
        for (row, column), value in np.ndenumerate(table.layers["gold"])
        if value >= 0
    }
    got = {(r.fov, r.instance_id, r.marker): r.label for r in read.itertuples()}
    assert got == wanted


@given(
    ids=st.lists(IDS, max_size=5, unique=True),
    name=NAMES,
    numbers=st.dictionaries(NAMES, st.floats(allow_nan=True, allow_infinity=True), max_size=3),
    corner=st.tuples(st.integers(0, 10**6), st.integers(0, 10**6)),
)
@QUICK
def test_cells_of_a_geojson_come_back(folder, ids, name, numbers, corner):
    square = np.array([[0, 0], [3, 0], [3, 2], [0, 2]]) + np.array(corner)
    cells = [
        CellObject(one, ((square + k,),), CellClass(name, (k % 256, 2, 3)), numbers, {"fov": name})
        for k, one in enumerate(ids)
    ]
    write_objects(folder / "cells.geojson", cells)
    read = read_objects(folder / "cells.geojson")
    finite = {key: value for key, value in numbers.items() if np.isfinite(value)}
    assert [cell.cell_id for cell in read] == ids
    for got, wanted in zip(read, cells, strict=True):
        assert got.classification == wanted.classification
        assert dict(got.measurements) == finite
        assert got.metadata["fov"] == name
        np.testing.assert_array_equal(got.polygons[0][0], wanted.polygons[0][0])


@given(
    nodes=st.lists(st.integers(-1, 5), min_size=1, max_size=12),
    names=st.dictionaries(st.integers(0, 5), NAMES.filter(str.isprintable), max_size=4),
    kind=st.sampled_from([".json", ".csv"]),
)
@QUICK
def test_a_cluster_map_comes_back(folder, nodes, names, kind):
    there = {k: name for k, name in names.items() if k in nodes}
    if len(set(there.values())) < len(there) or set(there.values()) & {str(n) for n in range(9)}:
        return  # a name of two metaclusters is refused
    clusters = ClusterMap.of(nodes, names=there)
    path = folder / f"map{kind}"
    if max(nodes) < 0:
        return  # a map without metaclusters has no rows
    write_map(clusters, path)
    read = read_map(path, n_nodes=len(nodes)) if kind == ".csv" else read_map(path)
    assert read.metacluster == clusters.metacluster
    assert read.names == clusters.names
    assert read.colors == clusters.colors
