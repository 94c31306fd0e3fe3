"""Small imitations of the published training data, as their scripts lay them out."""

import numpy as np
import pandas as pd
import pytest
import tifffile

import nimbus
from nimbus.core.shards import open_shards, read_shard
from nimbus.datasets import CutSettings, write_training_set
from nimbus.io import PanLayout, ReadError, read_pan_multiplex
from nimbus.io.pan_layout import LAYOUTS
from support.tissue import draw_image, draw_labels

MARKERS = ("CD8", "Foxp3", "panCK+CK7+CAM5.2")
FOVS = ("r1_c2", "r4_c1")


def images(folder, layout, suffix=".ome.tif", fovs=FOVS):
    """Images and masks; gives the ids of each field."""
    ids = {}
    for seed, fov in enumerate(fovs):
        labels = draw_labels((60, 52), n_cells=15, seed=seed)
        (folder / layout.images / fov).mkdir(parents=True)
        (folder / layout.masks).mkdir(parents=True, exist_ok=True)
        for marker, plane in zip(MARKERS, draw_image(labels, n_channels=3, seed=seed), strict=True):
            tifffile.imwrite(folder / layout.images / fov / f"{marker}{suffix}", plane)
        name = layout.pattern.replace("{fov}", fov)
        tifffile.imwrite(folder / layout.masks / name, labels.astype(np.uint32))
        ids[fov] = np.unique(labels)[1:]
    return ids


def by_cell(table, layer="silver"):
    """Label of each (region, id, marker)."""
    obs = table.obs
    return {
        (str(region), int(cell), marker): int(label)
        for region, cell, row in zip(
            obs["region"], obs["instance_id"], table.layers[layer], strict=True
        )
        for marker, label in zip(table.var_names, row, strict=True)
    }


@pytest.fixture
def gold(tmp_path):
    folder = tmp_path / "gold_standard_labelled" / "vectra_colon"
    ids = images(folder, LAYOUTS["gold"])
    rows = [
        ("vectra_colon", fov, cell, marker, (cell + k) % 4)
        for fov, own in ids.items()
        for cell in own
        for k, marker in enumerate(MARKERS[:2])  # nobody annotated the third
    ]
    rows += [("mibi_decidua", "r1_c2", 1, "CD8", 1)]
    columns = ["dataset", "fov", "cell_id", "channel", "activity"]
    frame = pd.DataFrame(rows, columns=columns).sample(frac=1, random_state=0)
    frame.to_csv(folder.parent / "gold_standard_groundtruth.csv", index=False)
    return folder, ids


def test_gold_labels_of_one_data_set_are_found_and_unsure_ones_are_undecided(gold):
    folder, ids = gold
    sdata = read_pan_multiplex(folder, pixel_size=0.5, key_added="gold")

    found = by_cell(sdata["table"], "gold")
    meaning = {0: 0, 1: 1, 2: -1, 3: -1}
    assert found == {
        (f"{fov}_labels", int(cell), marker): meaning[(cell + k) % 4]
        for fov, own in ids.items()
        for cell in own
        for k, marker in enumerate(MARKERS[:2])
    }
    assert set(found.values()) == {-1, 0, 1}


def test_the_cell_tables_of_the_vectra_sets_are_read(tmp_path):
    layout = LAYOUTS["vectra_colon"]
    ids = images(tmp_path, layout)
    rows = [
        {"fov": fov, "labels": cell, "area": 7, "CD8_gt": cell % 2, "foxp3_gt": 2}
        for fov, own in ids.items()
        for cell in own
    ]
    pd.DataFrame(rows).to_csv(tmp_path / "cell_table.csv")

    table = read_pan_multiplex(tmp_path, layout="vectra_colon", pixel_size=0.5)["table"]

    assert list(table.var_names) == ["CD8", "Foxp3"], "names are compared without regard to case"
    found = by_cell(table)
    assert all(v == i % 2 for (_, i, marker), v in found.items() if marker == "CD8")
    assert all(v == -1 for (_, _, marker), v in found.items() if marker == "Foxp3")


def test_cell_types_and_the_conversion_matrix_give_labels(tmp_path):
    layout = LAYOUTS["mibi_decidua"]
    ids = images(tmp_path, layout, suffix=".tif")
    kinds = ("CD8T", "Treg", "Other")
    rows = [
        {"Point": fov, "cell_ID_in_Point": cell, "lineage": kinds[cell // 3 % 3]}
        for fov, own in ids.items()
        for cell in own
    ]
    pd.DataFrame(rows).to_csv(tmp_path / layout.labels, index=False)
    matrix = pd.DataFrame({"CD8": [1, 0, 2], "FoxP3": [0, 1, 0]}, index=["CD8T", "Treg", "other"])
    matrix.to_csv(tmp_path / layout.assignment)

    table = read_pan_multiplex(tmp_path, layout="mibi_decidua", pixel_size=0.5)["table"]

    expected = {"CD8": (1, 0, -1), "Foxp3": (0, 1, 0)}
    found = by_cell(table)
    assert set(found.values()) == {-1, 0, 1}
    assert all(value == expected[marker][i // 3 % 3] for (_, i, marker), value in found.items())


def test_what_is_read_becomes_training_tiles(gold, tmp_path):
    folder, _ = gold
    sdata = read_pan_multiplex(folder, pixel_size=0.5)
    written = write_training_set(
        {"vectra_colon": sdata}, tmp_path / "tiles", split=None, show_progress_bar=False,
        settings=CutSettings(tile_size=32, overlap=8),
    )  # fmt: skip

    opened = open_shards(written["all"])
    assert [s.marker for s in opened.sources] == ["CD8", "Foxp3"]
    assert {0, 1} <= set(np.unique(read_shard(opened, 0).labels).tolist())


def test_other_places_and_columns_are_named_by_a_layout(gold, tmp_path):
    folder, _ = gold
    table = folder.parent / "gold_standard_groundtruth.csv"
    pd.read_csv(table).rename(columns={"fov": "image"}).to_csv(folder / "mine.csv", index=False)
    layout = PanLayout(
        "fovs", "masks", "{fov}.ome.tif", "mine.csv", fov_key="image", cell_key="cell_id",
        dataset_key="dataset", marker_key="channel", value_key="activity",
    )  # fmt: skip

    mine = read_pan_multiplex(folder, layout=layout)
    published = read_pan_multiplex(folder)

    assert by_cell(mine["table"]) == by_cell(published["table"])


def test_chosen_fields_and_channels(gold):
    folder, _ = gold
    sdata = read_pan_multiplex(folder, fovs=["r4_c1"], channels=["Foxp3"])

    assert set(sdata["table"].obs["region"]) == {"r4_c1_labels"}
    assert list(sdata["table"].var_names) == ["Foxp3"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: f.drop(columns="activity"), "has no column 'activity'"),
        (lambda f: f.assign(dataset="codex_colon"), "no data set 'vectra_colon'.*'codex_colon'"),
        (lambda f: pd.concat([f, f.iloc[:1]]), "several rows"),
        (lambda f: f[f.fov == "r1_c2"].assign(fov="elsewhere"), "decides about no cell"),
        (lambda f: f[f.channel == "CD8"].assign(channel="CD99"), "decides about no cell"),
    ],
)
def test_tables_that_do_not_fit_are_refused(gold, change, message):
    folder, _ = gold
    path = folder.parent / "gold_standard_groundtruth.csv"
    change(pd.read_csv(path)).to_csv(path, index=False)

    with pytest.raises(ReadError, match=message):
        read_pan_multiplex(folder)


@pytest.mark.parametrize("fov", ["001", "1.50", "NA"])
def test_a_field_may_be_called_like_a_number_or_nothing(tmp_path, fov):
    folder = tmp_path / "gold_standard_labelled" / "007"
    ids = images(folder, LAYOUTS["gold"], fovs=(fov,))
    frame = pd.DataFrame({"cell_id": ids[fov]}).assign(
        dataset="007", fov=fov, channel="CD8", activity=1
    )
    frame.to_csv(folder.parent / "gold_standard_groundtruth.csv", index=False)
    table = read_pan_multiplex(folder, pixel_size=0.5)["table"]
    assert table.obs["instance_id"].tolist() == ids[fov].tolist()


@pytest.mark.parametrize("entry", ["", "1.5", "x", "nan"])
def test_a_cell_that_is_no_whole_number_is_named_with_its_file(gold, entry):
    path = gold[0].parent / "gold_standard_groundtruth.csv"
    path.write_text(path.read_text() + f"vectra_colon,r1_c2,{entry},CD8,1\n")
    with pytest.raises(ReadError, match=r"gold_standard_groundtruth.csv.*'cell_id'.*whole numbers"):
        read_pan_multiplex(gold[0])


def test_a_table_that_is_no_csv_is_named(gold):
    path = gold[0].parent / "gold_standard_groundtruth.csv"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ReadError, match="gold_standard_groundtruth.csv: is no CSV table"):
        read_pan_multiplex(gold[0])


def test_a_missing_table_and_an_unknown_layout_are_named(gold):
    folder, _ = gold
    (folder.parent / "gold_standard_groundtruth.csv").unlink()

    with pytest.raises(FileNotFoundError, match="gold_standard_groundtruth.csv"):
        nimbus.io.read_pan_multiplex(folder)
    with pytest.raises(ValueError, match="layout 'golden' does not exist; did you mean 'gold'"):
        nimbus.io.read_pan_multiplex(folder, layout="golden")
