from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

import nimbus
from support.tissue import draw_sdata

GOLD = Path(__file__).parents[3] / "shared" / "gold.csv"


def written(text, tmp_path, encoding="utf-8"):
    path = tmp_path / "gold für uns.csv"
    path.write_bytes(text.encode(encoding))
    return path


HEAD = "fov,instance_id,marker,label\n"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (HEAD + "NA,70000,CD3/CD8,1\nNA,2,CD3/CD8,2\n", "utf-8"),
        (
            "label;marker;instance_id;fov\r\nPositive;CD3/CD8;70000;NA\r\n"
            "likely positive;CD3/CD8;2.0;NA",
            "utf-8-sig",
        ),
        (
            HEAD.replace(",", "\t") + 'NA\t70000\t"CD3/CD8"\tpositive\n'
            "NA \t2\tCD3/CD8\tlikely_positive",
            "utf-8",
        ),
    ],
    ids=["numbers", "spreadsheet", "tabs"],
)
def test_files_of_several_programs_are_read(text, encoding, tmp_path):
    found = nimbus.io.read_gold(written(text, tmp_path, encoding))
    assert found[["fov", "instance_id", "marker", "label"]].to_numpy().tolist() == [
        ["NA", 70_000, "CD3/CD8", "positive"],
        ["NA", 2, "CD3/CD8", "likely positive"],
    ]


def test_labels_go_to_a_file_and_come_back(tmp_path):
    sdata = draw_sdata([(40, 50), (50, 40)])
    sdata.attrs["nimbus_fovs"] = {"b": "b, das Feld"}
    nimbus.pp.integrate(sdata, show_progress_bar=False)
    table = sdata.tables["table"]
    labels = np.random.default_rng(0).integers(-1, 2, table.shape).astype(np.int8)
    table.layers["mine"] = labels
    path = tmp_path / "mine.csv"
    nimbus.io.write_gold(sdata, path, layer="mine")
    read = nimbus.io.read_gold(path)
    assert set(read["fov"]) == {"a", "b, das Feld"}
    assert len(read) == (labels >= 0).sum()
    nimbus.pp.gold_labels(sdata, read)
    np.testing.assert_array_equal(table.layers["gold"], labels)


def test_own_names_of_labels_and_further_columns_are_kept(tmp_path):
    path = written("fov,instance_id,marker,label,who\na,1,CD3,ja,x\na,2,CD3,0,y\n", tmp_path)
    found = nimbus.io.read_gold(path, classes={"ja": "positive"})
    assert found["label"].tolist() == ["positive", "negative"]
    assert found["who"].tolist() == ["x", "y"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no table of labels"),
        ("fov,instance_id,marker\na,1,CD3\n", "no 'label' among"),
        ("fov,instance_id,marker,label\na,1,CD3,ja\n", "label 'ja' does not exist"),
        ("fov,instance_id,marker,label\na,1,CD3\n", "label '' does not exist"),
        ("fov,instance_id,marker,label\na,x,CD3,1\n", "whole numbers above 0; it holds 'x'"),
        ("fov,instance_id,marker,label\na,1.5,CD3,1\n", "it holds '1.5'"),
        (
            "fov,instance_id,marker,label\na,1,CD3,1\na,1,CD3,1\n",
            "come more than once, e.g. cell 1",
        ),
    ],
)
def test_damaged_files_are_refused_by_name(text, message, tmp_path):
    with pytest.raises(nimbus.io.ReadError, match=rf"gold für uns.csv: .*{message}"):
        nimbus.io.read_gold(written(text, tmp_path))


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "g.csv"
    path.write_bytes(b"fov,instance_id\n\xff\xfe\x00")
    with pytest.raises(nimbus.io.ReadError, match="g.csv"):
        nimbus.io.read_gold(path)


def test_an_error_leaves_the_file_that_was_there(tmp_path, monkeypatch):
    def write_half(frame, target, **options):
        Path(target).write_text("fov,inst")
        raise OSError("No space left on device")

    path = tmp_path / "gold.csv"
    path.write_text("the work of a week")
    table = AnnData(np.zeros((1, 1)), obs={"fov": ["a"], "instance_id": [1]})
    table.layers["gold"] = np.ones((1, 1), dtype=np.int8)
    with monkeypatch.context() as patch:
        patch.setattr(pd.DataFrame, "to_csv", write_half)
        with pytest.raises(OSError, match="No space left"):
            nimbus.io.write_gold(table, path)
    assert [one.name for one in tmp_path.iterdir()] == ["gold.csv"]
    assert path.read_text() == "the work of a week"


def test_a_table_that_names_no_cell_cannot_be_written(tmp_path):
    table = AnnData(np.zeros((1, 1)), layers={"gold": np.ones((1, 1))})
    with pytest.raises(ValueError, match="pass fov_key= and instance_key="):
        nimbus.io.write_gold(table, tmp_path / "g.csv")
    with pytest.raises(ValueError, match="did you mean 'gold'"):
        nimbus.io.write_gold(table, tmp_path / "g.csv", layer="gld")


def test_the_real_gold_labels_are_read():
    if not GOLD.exists():
        pytest.skip(f"no real labels in {GOLD}")
    found = nimbus.io.read_gold(GOLD)
    assert len(found) == 261
    assert (found["label"] == "positive").sum() == 38
    assert isinstance(found, pd.DataFrame)
