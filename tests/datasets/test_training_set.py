import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import nimbus
from nimbus.core.shards import PLANE_MAX, open_shards, read_shard
from nimbus.datasets import CutSettings, TileSettings, _writing, write_training_set
from nimbus.engine.cutting import CutPlan, plan_cuts
from support.tissue import add_labels, draw_sdata

SMALL = CutSettings(tile_size=32, overlap=8, shard_mb=0.01)


def drawn(n_fields=3, **options):
    shapes = [(100 + 7 * k, 90 + 11 * k) for k in range(n_fields)]
    return add_labels(draw_sdata(shapes, **options))


def write(data, folder, **options):
    options = {"settings": SMALL, "split": None, "n_jobs": 2, **options}
    return write_training_set(data, folder, show_progress_bar=False, **options)


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in Path(folder).rglob("*.*")}


def all_tiles(folder):
    opened = open_shards(folder)
    return opened, [read_shard(opened, number) for number in range(len(opened))]


def test_planes_and_masks_are_what_scoring_feeds_the_network(tmp_path):
    scales = {"m0": 40.0, "m1": 90.0}
    sdata = drawn(1, pixel_size_um=0.43)
    fed = []

    def spy(planes):
        fed.append(planes.copy())
        return planes[:, :1] * 0 + np.float32(0.5)

    nimbus.tl.score(
        sdata, model=spy, scales=scales, tta=False, table_key="new", n_jobs=1,
        show_progress_bar=False,
    )  # fmt: skip
    assert len(fed) == 2, "the whole field is one tile of scoring"
    write(sdata, tmp_path, scales=scales)

    _, shards = all_tiles(tmp_path)
    samples = [
        (t.planes[k], t.masks[t.geometry[k]], t.source[k]) for t in shards for k in range(len(t))
    ]
    cuts = plan_cuts((43, 39), CutPlan(32, 8, 0.4))
    assert len(samples) == 2 * len(cuts)
    for (plane, mask, source), tile in zip(
        samples, np.repeat(np.array(cuts, dtype=object), 2), strict=True
    ):
        expected = fed[source][0][:, *tile.read.slices]
        np.testing.assert_allclose(plane / PLANE_MAX, expected[0], atol=0.51 / PLANE_MAX)
        np.testing.assert_array_equal(mask, expected[1])


def test_rows_are_found_by_region_and_id_whatever_their_order(tmp_path):
    sdata = drawn(2)
    table = sdata["table"]
    obs, truth = table.obs, table.layers["silver"]
    assert not obs["instance_id"].is_monotonic_increasing
    label = {
        (region, cell): row
        for region, cell, row in zip(obs["region"], obs["instance_id"], truth, strict=True)
    }

    settings = CutSettings(tile_size=64, overlap=0, min_visible=0, shard_mb=0.01)
    write(sdata, tmp_path, settings=settings)

    _, shards = all_tiles(tmp_path)
    for name, tiles in zip(("a_labels", "b_labels"), shards, strict=True):  # one field is one tile
        cells = np.unique(sdata[name].to_numpy()[::2, ::2])[1:]
        expected = np.stack([label[name, cell] for cell in cells.tolist()], axis=1)
        np.testing.assert_array_equal(tiles.labels, expected)


def test_the_defaults_are_what_nimbus_s_is_trained_on():
    pytest.importorskip("torch")
    from nimbus.engine.predictors import describe_model

    assert CutSettings().scale == describe_model("nimbus-s").card.scale
    assert CutSettings().pixel_size_um == TileSettings().pixel_size_um


def test_scales_are_pooled_over_the_data_set(tmp_path):
    sdata = drawn(2)
    lit = np.concatenate([sdata[f"{f}_image"].to_numpy()[0].ravel() for f in "ab"])
    write(sdata, tmp_path)

    opened, _ = all_tiles(tmp_path)
    scale = {f["scales"][0] for f in opened.about["fields"]}
    assert scale == {float(np.quantile(lit[lit > 0], 0.99))}


def test_sources_are_data_sets_and_markers(tmp_path):
    write({"mibi": drawn(1), "codex": drawn(1, seed=9)}, tmp_path)

    opened, shards = all_tiles(tmp_path)
    assert [(s.dataset, s.marker) for s in opened.sources] == [
        ("mibi", "m0"), ("mibi", "m1"), ("codex", "m0"), ("codex", "m1"),
    ]  # fmt: skip
    used = np.concatenate([tiles.source for tiles in shards])
    assert set(used.tolist()) == {0, 1, 2, 3}


def test_no_patient_is_in_two_parts(tmp_path):
    sdata = drawn(6)
    table = sdata["table"]
    patients = {f"{f}_labels": p for f, p in zip("abcdef", "uuvwxy", strict=True)}
    table.obs["patient"] = pd.Categorical(table.obs["region"].astype(str).map(patients))

    folders = write(sdata, tmp_path, split={"train": 0.6, "test": 0.4}, split_by="patient")

    assert {k: v.name for k, v in folders.items()} == {"train": "train", "test": "test"}
    found = {
        part: {f["group"] for f in open_shards(folder).about["fields"]}
        for part, folder in folders.items()
    }
    assert found["train"] | found["test"] == set("uvwxy")
    assert not found["train"] & found["test"]
    fields = [f["labels"] for v in folders.values() for f in open_shards(v).about["fields"]]
    assert len(fields) == len(set(fields)) == 6


def test_a_field_of_two_patients_is_refused(tmp_path):
    sdata = drawn(1)
    sdata["table"].obs["patient"] = ["p", *["q"] * (sdata["table"].n_obs - 1)]

    with pytest.raises(ValueError, match=r"'a_labels' must have the same 'patient'"):
        write(sdata, tmp_path, split_by="patient")


def test_a_killed_call_is_finished_by_the_same_call_to_the_same_bytes(tmp_path, monkeypatch):
    sdata = drawn(5)
    write(sdata, tmp_path / "whole", n_jobs=1)
    cut = []

    def dies(folder, number, tiles):
        cut.append(number)
        sums = _writing_write(folder, number, tiles)
        if number == 2:  # after the files, before they are noted
            raise KeyboardInterrupt
        return sums

    _writing_write = _writing.write_shard
    monkeypatch.setattr(_writing, "write_shard", dies)
    with pytest.raises(KeyboardInterrupt):
        write(sdata, tmp_path / "cut")
    assert cut == [0, 1, 2]
    with pytest.raises(FileNotFoundError, match="cut off"):
        open_shards(tmp_path / "cut")
    (tmp_path / "cut" / "shard-002.planes.npy").write_bytes(b"half a file")

    done = []
    monkeypatch.setattr(
        _writing, "write_shard", lambda f, n, t: (done.append(n), _writing_write(f, n, t))[1]
    )
    write(sdata, tmp_path / "cut")

    assert done[0] == 2, "what was finished is not done again"
    assert done == [2, 3, 4]
    assert contents(tmp_path / "cut") == contents(tmp_path / "whole")


def test_a_finished_folder_is_left_as_it_is(tmp_path, monkeypatch):
    sdata = drawn(1)
    write(sdata, tmp_path)
    before = contents(tmp_path)
    monkeypatch.setattr(_writing, "run_ordered", None)  # any work would fail

    write(sdata, tmp_path)

    assert contents(tmp_path) == before


def test_a_folder_of_other_input_is_refused_with_the_difference(tmp_path):
    sdata = drawn(1)
    write(sdata, tmp_path)

    with pytest.raises(ValueError, match="settings: .*'tile_size': 32.* then, .*'tile_size': 16"):
        write(sdata, tmp_path, settings=CutSettings(tile_size=16, overlap=8, shard_mb=0.01))
    sdata["table"].layers["silver"][0, 0] *= -1
    sdata["table"].layers["silver"][1, 0] = 1 - abs(sdata["table"].layers["silver"][1, 0])
    with pytest.raises(ValueError, match="fields: "):
        write(sdata, tmp_path)


@pytest.mark.parametrize("given", ["one", "named", "listed"])
def test_what_is_no_data_set_is_refused_with_what_is_needed(tmp_path, given):
    table = drawn(1)["table"]
    data = {"one": table, "named": {"a": table}, "listed": [drawn(1)]}[given]

    with pytest.raises(TypeError, match="a SpatialData object .* is needed, not (AnnData|list)"):
        write(data, tmp_path)


def test_a_damaged_shard_of_an_unfinished_folder_is_named(tmp_path, monkeypatch):
    sdata = drawn(1)
    write(sdata, tmp_path)
    index = json.loads((tmp_path / "index.json").read_text())
    (tmp_path / "index.json").unlink()
    progress = {"about": index["about"], "n_items": 1, "shards": index["shards"][:1]}
    (tmp_path / "progress.json").write_text(json.dumps(progress))
    (tmp_path / "shard-000.masks.npy").write_bytes(b"")

    with pytest.raises(ValueError, match=r"shard-000\.masks\.npy.*damaged"):
        write(sdata, tmp_path)


def test_a_damaged_note_of_what_is_done_is_named(tmp_path):
    (tmp_path / "progress.json").write_text('{"about": {')

    with pytest.raises(ValueError, match=r"progress\.json' is damaged: .*write the tiles again"):
        write(drawn(1), tmp_path)


def test_values_that_are_no_labels_are_refused(tmp_path):
    sdata = drawn(1)
    sdata["table"].layers["silver"][0, 0] = 2

    with pytest.raises(ValueError, match="'silver' must hold 1 .* also holds '2'"):
        write(sdata, tmp_path)


def test_a_layer_without_any_decided_cell_is_refused(tmp_path):
    sdata = drawn(1)
    sdata["table"].layers["silver"][:] = -1

    with pytest.raises(ValueError, match="no tile has a cell that is labelled"):
        write(sdata, tmp_path)


def test_an_unknown_layer_and_a_missing_table_are_named(tmp_path):
    with pytest.raises(ValueError, match="layer 'gold' does not exist; there is: 'silver'"):
        write(drawn(1), tmp_path, layer="gold")
    with pytest.raises(ValueError, match="no table 'cells'"):
        write(drawn(1), tmp_path, table_key="cells")


def test_a_store_is_read_from_its_path_and_gives_its_name(tmp_path):
    sdata = drawn(1)
    sdata.write(tmp_path / "lymphoma.zarr")
    write({"lymphoma": sdata}, tmp_path / "a")
    write(tmp_path / "lymphoma.zarr", tmp_path / "b")

    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    assert open_shards(tmp_path / "b").sources[0].dataset == "lymphoma"


@pytest.mark.parametrize("n_jobs", [1, 3])
def test_the_number_of_threads_does_not_change_a_byte(tmp_path, n_jobs):
    write(drawn(2), tmp_path / "a", n_jobs=n_jobs)
    write(drawn(2), tmp_path / "b", n_jobs=2)

    assert contents(tmp_path / "a") == contents(tmp_path / "b")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (CutSettings(tile_size=16, overlap=16), "cannot overlap by 16"),
        (CutSettings(min_visible=2.0), "min_visible"),
        (CutSettings(pixel_size_um=0.0), "above 0"),
    ],
)
def test_impossible_settings_are_refused(tmp_path, settings, message):
    with pytest.raises(ValueError, match=message):
        write(drawn(1), tmp_path, settings=settings)
