"""``nimbus score``: of a store in place, of folders into a new store."""

from __future__ import annotations

import inspect
import json
from typing import get_args

import anndata
import numpy as np
import pandas as pd
import pytest
import spatialdata
import tifffile

import nimbus as package
from nimbus.cli import score as command
from nimbus.engine.predict import Aggregate
from nimbus.engine.source import NanRule
from support.processes import held_by_another

pytestmark = pytest.mark.filterwarnings("ignore")


def read(path):
    return spatialdata.read_zarr(path)


def names_beside(path):
    return sorted(p.name for p in path.parent.iterdir())


def test_every_argument_of_the_verb_is_an_option_of_the_same_default():
    """Except: `save_maps` is a flag, `write` is the point, lists and bars have other forms."""
    verb = inspect.signature(package.tl.score).parameters
    options = inspect.signature(command.score).parameters
    special = {"sdata", "write", "show_progress_bar", "save_maps", "resume"}
    for name, parameter in verb.items():
        if name in special:
            continue
        assert name in options, f"nimbus score has no --{name.replace('_', '-')}"
        assert options[name].default == parameter.default, name
    assert {"save_maps", "resume", "progress"} <= set(options)
    assert get_args(command.NanRule) == get_args(NanRule)
    assert get_args(command.Aggregate) == get_args(Aggregate)
    torch = pytest.importorskip("torch")
    from nimbus.model.device import Precision

    assert get_args(command.Precision) == get_args(Precision)
    assert torch


def test_a_store_gets_the_scores_that_python_gives(nimbus, store, weights):
    sdata = read(store)
    package.tl.score(sdata, model=weights, precision="float32", show_progress_bar=False)
    before = names_beside(store)

    result = nimbus("score", store, "--model", weights, "--precision", "float32")

    assert result.exit_code == 0, result.output
    written = read(store).tables["table"]
    expected = sdata.tables["table"]
    np.testing.assert_array_equal(written.layers["nimbus"], expected.layers["nimbus"])
    assert written.obs_names.tolist() == expected.obs_names.tolist()
    assert result.stderr == ""
    assert names_beside(store) == before, "no journal is left"


def test_the_summary_counts_cells_and_tells_scale_positives_and_mean(nimbus, store, weights):
    result = nimbus("score", store, "--model", weights, "--no-tta")
    table = read(store).tables["table"]
    lines = result.output.splitlines()
    assert lines[0] == f"{table.n_obs} cells, 2 markers scored"
    [line] = [line.split() for line in lines if line.startswith("m1")]
    scores = table.layers["nimbus"][:, 1]
    assert line == [
        "m1",
        f"{table.var['nimbus_scale'].iloc[1]:.4g}",
        str(table.n_obs),
        f"{100 * (scores >= 0.5).mean():.1f}%",
        f"{scores.mean():.3f}",
    ]
    assert lines[-1] == f"wrote {store}"


def test_the_summary_is_of_the_run_and_counts_what_stays_beside(nimbus, store, weights):
    nimbus("score", store, "--model", weights, "--no-tta")
    table = read(store).tables["table"]
    n_first = int((table.obs["region"] == "a_labels").sum())
    assert 0 < n_first < table.n_obs, "proves nothing"
    again = ("score", store, "--model", weights, "--no-tta", "--channels", "m1")

    lines = nimbus(*again, "--labels-key", "a_labels").output.splitlines()

    assert lines[0] == f"{n_first} cells, 1 markers scored"
    assert [line.split()[0] for line in lines if line.startswith("m")] == ["marker", "m1"]
    [line] = [line.split() for line in lines if line.startswith("m1")]
    assert line[2] == str(n_first)
    n_kept = 2 * table.n_obs - n_first
    assert f"{n_kept} earlier scores of other cells or markers stay in the layer." in lines


def test_options_reach_the_verb(nimbus, store, weights):
    result = nimbus(
        "score", store, "--model", weights, "--channels", "m1", "--labels-key", "b_labels",
        "--key-added", "mine", "--table-key", "cells", "--scales", "m1=70", "--uncertainty",
        "--aggregate", "interior", "--tile-size", "32", "--batch-size", "1", "--n-jobs", "1",
        "--device", "cpu",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    table = read(store).tables["cells"]
    assert list(table.var_names) == ["m1"]
    assert set(table.obs["region"]) == {"b_labels"}
    assert {"mine", "mine_std"} <= set(table.layers)
    assert table.var["mine_scale"].tolist() == [70]
    assert table.uns["mine"]["aggregate"] == "interior"


def test_folders_become_a_store_with_images_labels_and_table(nimbus, folders, weights, tmp_path):
    images, labels = folders
    out = tmp_path / "cohort.zarr"
    result = nimbus(
        "score", "--images", images, "--labels", labels, "--out", out, "--model", weights,
        "--pixel-size", "0.5", "--no-tta",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    sdata = read(out)
    assert sorted(sdata.images) == ["fov1_image", "fov2_image"]
    np.testing.assert_array_equal(
        sdata.images["fov2_image"].values[1], tifffile.imread(images / "fov2" / "CD8.tiff")
    )
    table = sdata.tables["table"]
    assert np.isfinite(table.layers["nimbus"]).all()
    assert f"{table.n_obs} cells" in result.output
    assert names_beside(out) == ["cohort.zarr", "image_data", "segmentation"]
    chunk = next(path for path in (out / "images").rglob("c/*/*/*") if path.is_file())
    chunk.write_bytes(bytes([chunk.read_bytes()[0] ^ 1]) + chunk.read_bytes()[1:])
    with pytest.raises(ValueError, match="checksum do not match"):
        [np.asarray(image) for image in read(out).images.values()]


def test_folders_that_do_not_say_their_pixel_size_are_refused(nimbus, folders, weights, tmp_path):
    result = nimbus(
        "score", "--images", folders[0], "--labels", folders[1], "--out", tmp_path / "o.zarr",
        "--model", weights,
    )  # fmt: skip
    assert result.exit_code == 1
    assert "pixel size" in result.stderr
    assert "Pass --pixel-size in micrometres" in result.stderr
    assert result.stderr.count("\n") == 1
    assert not (tmp_path / "o.zarr").exists()


def test_pattern_and_fovs_choose_the_labels(nimbus, folders, weights, tmp_path):
    images, labels = folders
    (labels / "fov1_whole_cell.tiff").rename(labels / "cells-fov1.tif")
    (labels / "fov2_whole_cell.tiff").rename(labels / "cells-fov2.tif")
    out = tmp_path / "o.zarr"
    result = nimbus(
        "score", "--images", images, "--labels", labels, "--out", out, "--model", weights,
        "--pixel-size", "0.5", "--no-tta", "--pattern", "cells-{fov}.tif", "--fovs", "fov2",
        "--channels", "CD8",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert sorted(read(out).labels) == ["fov2_labels"]


def test_a_store_is_replaced_only_when_told_and_only_by_a_whole_one(
    nimbus, folders, weights, tmp_path
):
    images, labels = folders
    out = tmp_path / "o.zarr"
    given = ["score", "--images", images, "--labels", labels, "--out", out, "--model", weights,
             "--no-tta"]  # fmt: skip
    assert nimbus(*given, "--pixel-size", "0.5").exit_code == 0
    first = read(out).tables["table"].layers["nimbus"]

    result = nimbus(*given, "--pixel-size", "1.0")
    assert result.exit_code == 1
    assert "exists; --overwrite replaces it" in result.stderr

    (labels / "fov2_whole_cell.tiff").write_bytes(b"II*\0 cut off")
    result = nimbus(*given, "--pixel-size", "1.0", "--overwrite")
    assert result.exit_code == 1
    assert "fov2_whole_cell.tiff" in result.stderr
    np.testing.assert_array_equal(read(out).tables["table"].layers["nimbus"], first)

    result = nimbus(*given, "--pixel-size", "1.0", "--overwrite", "--fovs", "fov1")
    assert result.exit_code == 0, result.output
    assert sorted(read(out).images) == ["fov1_image"]


@pytest.mark.parametrize("kind", ["csv", "parquet", "h5ad"])
def test_the_table_is_also_written_as_a_file(nimbus, store, weights, tmp_path, kind):
    path = tmp_path / f"scores.{kind}"
    given = ["score", store, "--model", weights, "--no-tta", "--table", path]
    assert nimbus(*given).exit_code == 0
    table = read(store).tables["table"]
    if kind == "h5ad":
        np.testing.assert_array_equal(
            anndata.read_h5ad(path).layers["nimbus"], table.layers["nimbus"]
        )
    else:
        cells = pd.read_csv(path) if kind == "csv" else pd.read_parquet(path)
        assert {"region", "instance_id", "area", "x", "y"} <= set(cells.columns)
        np.testing.assert_allclose(cells[["m0", "m1"]], table.layers["nimbus"], rtol=1e-6)
        np.testing.assert_allclose(cells[["x", "y"]], table.obsm["spatial"])
    again = nimbus(*given)
    assert again.exit_code == 1
    assert "exists; --overwrite replaces it" in again.stderr
    assert nimbus(*given, "--overwrite").exit_code == 0


def test_a_marker_called_like_a_column_of_the_cells_keeps_both(tmp_path):
    from nimbus.cli._measure import flat_table

    table = anndata.AnnData(
        np.zeros((1, 1), np.float32),
        obs=pd.DataFrame({"area": [7]}, index=["a"]),
        layers={"nimbus": np.array([[0.5]])},
    )
    table.var_names = ["area"]
    flat = flat_table(table, layer="nimbus")
    assert flat["area"].tolist() == [7]
    assert flat["area_score"].tolist() == [0.5]


def test_a_run_that_was_stopped_goes_on_and_gives_the_same(nimbus, store, weights, monkeypatch):
    import nimbus.engine.resume as resume

    whole = read(store)
    package.tl.score(whole, model=weights, tile_size=16, tta=False, show_progress_bar=False)
    given = ["score", store, "--model", weights, "--no-tta", "--n-jobs", "1", "--tile-size", "16"]
    saved, save = [], resume.Journal.save

    def fail_after_three(self, *tile_and_sums):
        if len(saved) == 3:
            raise OSError("no space left on device")
        saved.append(tile_and_sums)
        save(self, *tile_and_sums)

    with monkeypatch.context() as patch:
        patch.setattr(resume.Journal, "save", fail_after_three)
        stopped = nimbus(*given)
    assert stopped.exit_code == 1
    assert "no space left" in stopped.stderr
    journal = store.with_name("cohort.zarr.nimbus-resume")
    assert journal.is_dir()
    assert "table" not in read(store).tables

    other = nimbus(*given[:-1], "32")
    assert other.exit_code == 1
    assert "tile_size: 16 then, 32 now" in other.stderr
    assert "--no-resume to drop it" in other.stderr

    done = nimbus(*given)
    assert done.exit_code == 0, done.output
    assert not journal.exists()
    np.testing.assert_array_equal(
        read(store).tables["table"].layers["nimbus"], whole.tables["table"].layers["nimbus"]
    )


def test_a_store_is_scored_from_within_it(nimbus, store, weights, monkeypatch):
    monkeypatch.chdir(store)
    before = names_beside(store)
    result = nimbus("score", ".", "--model", weights, "--no-tta")
    assert result.exit_code == 0, result.output
    assert names_beside(store) == before


def test_no_resume_drops_what_an_old_run_left(nimbus, store, weights):
    journal = store.with_name("cohort.zarr.nimbus-resume")
    journal.mkdir()
    (journal / "fingerprint.json").write_text(json.dumps({"weights": "other"}))
    given = ["score", store, "--model", weights, "--no-tta"]
    assert nimbus(*given).exit_code == 1
    assert nimbus(*given, "--no-resume").exit_code == 0
    assert not journal.exists()


def test_finished_tiles_are_kept_where_told_and_what_else_lies_there_stays(
    nimbus, store, weights, tmp_path
):
    folder = tmp_path / "kept"
    folder.mkdir()
    (folder / "mine.txt").touch()
    (folder / "fingerprint.json").write_text(json.dumps({"weights": "other"}))
    given = ["score", store, "--model", weights, "--no-tta", "--resume", folder]
    assert "--no-resume were both given" in nimbus(*given, "--no-resume").stderr
    assert "tiles of another run" in nimbus(*given).stderr
    (folder / "fingerprint.json").unlink()
    assert nimbus(*given).exit_code == 0
    assert [path.name for path in folder.iterdir()] == ["mine.txt"]


def test_a_second_run_of_the_same_store_is_refused_at_once(nimbus, store, weights):
    journal = store.with_name("cohort.zarr.nimbus-resume")
    journal.mkdir()
    with held_by_another(journal) as process:
        result = nimbus("score", store, "--model", weights)
        dropped = nimbus("score", store, "--model", weights, "--no-resume")
    for told in (result, dropped):
        assert told.exit_code == 1
        assert f"is in use by another run (process {process} on " in told.stderr
        assert told.stderr.count("\n") == 1


def test_warnings_are_one_line_each(nimbus, tmp_path, weights):
    from nimbus.data.fields import Field, build_sdata

    path = tmp_path / "empty.zarr"
    image = np.zeros((1, 32, 32), np.uint16)
    build_sdata([Field("a", image, np.ones((32, 32), np.int32), ("CD3",), 0.5)]).write(path)
    result = nimbus("score", path, "--model", weights, "--no-tta")
    assert result.exit_code == 0, result.output
    assert "nimbus: warning: no signal in 'CD3" in result.stderr
    assert all(line.startswith("nimbus: ") for line in result.stderr.splitlines())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["{store}", "--channels", "m9"], "channel 'm9'"),
        (["{store}", "--channels", ""], "--channels [] names no channel; the images have 'm0'"),
        (["{store}", "--key-added", "my run"], "--key-added 'my run' gives layers['my run']"),
        (["{store}", "--model", "nimbus-xl"], "model 'nimbus-xl' does not exist"),
        (["{store}", "--model", "none.safetensors"], "none.safetensors"),
        (["{store}", "--images", "here"], "a store and --images were given"),
        (["{store}", "--fovs", "a"], "--fovs names fields of --images; of a store --labels-key"),
        (["{store}", "--pattern", "cells-{{fov}}.tif"], "--pattern names files of --labels; of a"),
        (["s3://b/c.zarr", "--table", "a.csv", "--save-maps"], "--save-maps has no place"),
        (["{store}", "--table", "scores.xlsx"], "must end in one of .csv, .parquet, .h5ad"),
        (["{store}", "--table", "no/such/folder/scores.csv"], "does not exist"),
        (["{store}", "--scales", "m0"], "--scales 'm0' is not understood"),
        (["{store}/images"], "is no SpatialData store"),
        (["--images", "a", "--out", "b.zarr"], "--labels is missing"),
        (["--images", "a", "--labels", "b", "--out", "."], "is no store; name another path"),
        (["--images", "a", "--labels", "b", "--out", "new.zarr"], "b"),
        ([], "give the path of a store, or --images DIR --labels DIR --out STORE.zarr"),
    ],
)
def test_wrong_input_is_told_in_one_line(nimbus, store, arguments, told, monkeypatch):
    pytest.importorskip("torch")
    monkeypatch.chdir(store.parent)
    (store / "images" / "zarr.json").unlink(missing_ok=True)
    result = nimbus("score", *(part.format(store=store) for part in arguments))
    assert result.exit_code == 1
    assert result.stderr.startswith("nimbus: error: ")
    assert result.stderr.count("\n") == 1
    assert told in result.stderr
    assert result.stdout == ""


def test_a_damaged_store_is_told_in_one_line(nimbus, store, weights):
    nimbus("score", store, "--model", weights, "--no-tta")
    (store / "tables" / "table" / "zarr.json").write_text("{")
    result = nimbus("score", store, "--model", weights)
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
