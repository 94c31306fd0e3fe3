from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

import nimbus
from nimbus.io.geojson import read_objects


@pytest.fixture
def sdata():
    made = nimbus.datasets.tissue(
        shape=(90, 90), n_fovs=2, n_cells=12, markers=["CD3", "CD3/CD8"], random_state=0
    )
    table = made["table"]
    kinds = np.array(["T, CD8", "Größe > 1", None], dtype=object)[table.obs["instance_id"] % 3]
    table.obs["kind"] = pd.Categorical(kinds, categories=["T, CD8", "NK", "Größe > 1"])
    table.uns["kind_colors"] = ["#ff0000", "#00ff00", "#0a0b0c"]
    table.layers["nimbus"] = np.linspace(0, 1, table.n_obs * 2).reshape(-1, 2)
    made.attrs["nimbus_fovs"] = {"fov1": "Feld: 1/5%2F"}
    return made


def test_types_and_colours_go_to_qupath_and_come_back(sdata, tmp_path):
    paths = nimbus.io.write_qupath_types(sdata, tmp_path / "zum Prüfen", cell_type_key="kind")
    assert [path.name for path in paths] == ["fov0.geojson", "Feld%3A 1%2F5%252F.geojson"]
    types = nimbus.io.read_qupath_types(tmp_path)
    assert set(types["fov"]) == {"fov0", "Feld: 1/5%2F"}
    table = sdata["table"]
    nimbus.pp.cell_types(sdata, types.sample(frac=1, random_state=0), key_added="back")
    pd.testing.assert_series_equal(
        table.obs["back"].astype(object), table.obs["kind"].astype(object), check_names=False
    )
    assert table.obs["back"].isna().sum() > 0, "proves nothing: every cell has a type"
    colors = dict(zip(table.obs["back"].cat.categories, table.uns["back_colors"], strict=True))
    assert colors == {"T, CD8": "#ff0000", "Größe > 1": "#0a0b0c"}


def test_each_cell_carries_its_scores(sdata, tmp_path):
    path = nimbus.io.write_qupath_types(sdata, tmp_path, cell_type_key="kind")[1]
    table = sdata["table"]
    own = (table.obs["region"] == "fov1_labels") & (table.obs["instance_id"] == 4)
    [scores] = table.layers["nimbus"][own]
    [cell] = [one for one in read_objects(path) if one.cell_id == 4]
    wanted = {"CD3: nimbus": scores[0], "CD3/CD8: nimbus": scores[1]}
    assert cell.measurements == pytest.approx(wanted)
    nimbus.io.write_qupath_types(
        sdata, tmp_path, cell_type_key="kind", measurements=[], overwrite=True
    )
    assert not any(one.measurements for one in read_objects(path))


def test_what_was_changed_replaces_the_types(sdata, tmp_path):
    path = nimbus.io.write_qupath_types(
        sdata, tmp_path, cell_type_key="kind", labels_key="fov0_labels"
    )[0]
    content = json.loads(path.read_text(encoding="utf-8"))
    for feature in content["features"]:
        properties = feature["properties"]
        properties.pop("metadata")  # as QuPath before 0.5 does
        if properties["name"] == "3":
            properties["classification"] = {"name": "New type", "color": [1, 2, 3]}
        if properties["name"] == "4":
            properties.pop("classification")
    path.write_text(json.dumps(content), encoding="utf-8")
    types = nimbus.io.read_qupath_types(path)
    assert set(types["fov"]) == {"fov0"}
    own = types.set_index("instance_id")["cell_type"]
    assert own[3] == "New type"
    assert 4 not in own.index
    assert own[6] == "T, CD8"


def test_a_cell_of_two_classes_is_named(sdata, tmp_path):
    path = nimbus.io.write_qupath_types(sdata, tmp_path, cell_type_key="kind")[0]
    twin = tmp_path / "twin.geojson"
    twin.write_text(path.read_text(encoding="utf-8").replace("T, CD8", "NK"), encoding="utf-8")
    with pytest.raises(nimbus.io.ReadError, match=r"cell 3 of field 'fov0' is of class 'NK'"):
        nimbus.io.read_qupath_types(tmp_path)


def test_files_that_exist_are_left_alone(sdata, tmp_path):
    (tmp_path / "fov0.geojson").write_text("corrections")
    with pytest.raises(FileExistsError, match="overwrite=True"):
        nimbus.io.write_qupath_types(sdata, tmp_path, cell_type_key="kind")
    assert (tmp_path / "fov0.geojson").read_text() == "corrections"
    assert len(list(tmp_path.iterdir())) == 1


def test_metaclusters_are_the_default_where_there_are_no_types(sdata, tmp_path):
    nimbus.tl.cluster(sdata, grid=(2, 2), n_metaclusters=2)
    nimbus.io.write_qupath_types(sdata, tmp_path)
    types = nimbus.io.read_qupath_types(tmp_path)
    assert set(types["cell_type"]) == {"0", "1"}
    assert set(types["color"]) == set(sdata["table"].uns["nimbus_metacluster_colors"])
