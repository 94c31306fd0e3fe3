import dataclasses
import importlib
import re
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nimbus.core.scalerule import ScaleRule  # noqa: E402
from nimbus.core.shards import open_shards, write_index, write_shard  # noqa: E402
from nimbus.model import ModelCard, UNet, load_checkpoint, save_checkpoint  # noqa: E402
from nimbus.train import FinetuneSettings, finetune  # noqa: E402
from nimbus.train.holdout import held_out, labelled  # noqa: E402

from .conftest import drawn_tiles  # noqa: E402

QUICK = FinetuneSettings(
    n_steps=40, batch_size=4, learning_rate=0.01, warmup_steps=1, measure_every=5
)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def parent(tmp_path):
    """An untrained network with batch norms that have seen something."""
    path = tmp_path / "parent.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = UNet(depth=2, root_filters=4).train()
        for _ in range(20):
            net(torch.rand(4, 2, 16, 16))
    card = ModelCard(
        name="parent", depth=2, root_filters=4, pixel_size_um=1.0, scale=ScaleRule(0.99),
        aggregate="interior", training_data="nothing",
    )  # fmt: skip
    save_checkpoint(path, net.eval(), card)
    return path


def places(seed, labels, *, n=4):
    """`n` tiles of different tissue, one channel each, all with these labels."""
    parts = drawn_tiles(seed, n=n)
    return dataclasses.replace(
        parts,
        geometry=np.arange(n, dtype=np.int32),
        masks=np.repeat(parts.masks, n, axis=0),
        ids=np.repeat(parts.ids, n, axis=0),
        labels=np.tile(np.array([labels], dtype=np.int8), (n, 1)),
    )


def folder_of(path, *tiles):
    write_index(path, [write_shard(path, k, t) for k, t in enumerate(tiles)], {})
    return path


def tuned(data, out, parent, settings=QUICK, **kwargs):
    return finetune(data, out, model=parent, settings=settings, show_progress_bar=False, **kwargs)


def test_the_model_learns_the_labelled_cells_and_its_card_tells_how(parent, tmp_path):
    tiles = folder_of(tmp_path / "tiles", places(0, [1, 1, 0, -1]), places(1, [1, -1, 0, 0]))

    found = tuned(tiles, tmp_path / "out", parent)

    assert found.after["cross_entropy"] < 0.7 * found.before["cross_entropy"]
    net, card = load_checkpoint(found.path)
    sha256 = load_checkpoint(parent)[1].sha256
    assert card.name == "parent-finetuned"
    assert f"from 'parent' (sha256 {sha256})" in card.training_data
    assert "held out by tile" in card.training_data
    assert card.metrics["held-out cells before"]["cross_entropy"] == pytest.approx(
        found.before["cross_entropy"], abs=1e-4
    )
    assert found.best_step > 0
    assert not torch.equal(net.final_conv.weight, load_checkpoint(parent)[0].final_conv.weight)


def test_batch_norms_keep_their_statistics(parent, tmp_path):
    found = tuned(folder_of(tmp_path / "tiles", places(0, [1, 1, 0, -1])), tmp_path / "out", parent)

    before, after = load_checkpoint(parent)[0].state_dict(), load_checkpoint(found.path)[0]
    for name, value in after.state_dict().items():
        if "running" in name:
            torch.testing.assert_close(value, before[name], msg=name)


def test_a_device_that_is_not_there_is_told_before_tiles_are_cut(parent, tmp_path, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    with pytest.raises(ValueError, match="'cuda' is not on this machine; there is: .*'cpu'"):
        tuned(tmp_path / "no tiles", tmp_path, parent, device="cuda")


def test_a_network_that_diverges_is_an_error_that_says_what_to_do(parent, tmp_path):
    tiles = folder_of(tmp_path / "tiles", places(0, [1, 1, 0, -1]))
    wild = dataclasses.replace(QUICK, learning_rate=1e30)

    with pytest.raises(FloatingPointError, match="smaller learning_rate"):
        tuned(tiles, tmp_path / "out", parent, wild)


def test_a_start_that_is_not_improved_is_kept_with_a_warning(parent, tmp_path):
    tiles = folder_of(tmp_path / "tiles", places(0, [1, 1, 0, -1]))
    harmful = dataclasses.replace(QUICK, learning_rate=1.0, n_steps=4, measure_every=2)

    with pytest.warns(UserWarning, match="weights of the start are kept"):
        found = tuned(tiles, tmp_path / "out", parent, harmful)

    before = load_checkpoint(parent)[0].state_dict()
    assert (found.best_step, found.after) == (0, found.before)
    for name, value in load_checkpoint(found.path)[0].state_dict().items():
        assert torch.equal(value, before[name]), name


def test_it_stops_early_when_the_held_out_cells_get_no_better(parent, tmp_path, monkeypatch):
    module = importlib.import_module("nimbus.train.tuning")
    measured = iter([1.0, 0.9, 0.8, 0.85, 0.9, 0.95])
    values = {"auroc": 1.0, "average_precision": 1.0, "f1_at_0.5": 1.0, "cells": 4.0}
    monkeypatch.setattr(module, "_measured", lambda *_: {"cross_entropy": next(measured), **values})
    tiles = folder_of(tmp_path / "tiles", places(0, [1, 1, 0, -1]))
    patient = dataclasses.replace(QUICK, n_steps=1000, measure_every=1, patience=3)

    found = tuned(tiles, tmp_path / "out", parent, patient)

    assert found.best_step == 2
    assert list(measured) == []


def test_the_given_validation_folder_is_what_judges(parent, tmp_path):
    folder_of(tmp_path / "tiles" / "train", places(0, [1, 1, 0, -1]))
    folder_of(tmp_path / "tiles" / "validation", places(1, [1, -1, -1, -1], n=3))

    found = tuned(tmp_path / "tiles", tmp_path / "out", parent)

    assert found.before["cells"] == 3
    assert "held out by field" in found.card.training_data


def test_tiles_then_cells_are_held_out(tmp_path):
    rng = np.random.default_rng(0)
    several = labelled([open_shards(folder_of(tmp_path / "a", places(0, [1, 1, 0, -1])))])
    parts = held_out(several, part=0.25, rng=rng)
    assert (parts.unit, len(parts.learn), len(parts.judge)) == ("tile", 3, 1)

    one = labelled([open_shards(folder_of(tmp_path / "b", places(0, [1, 1, 0, 0], n=1)))])
    parts = held_out(one, part=0.25, rng=rng)
    learn, judge = (p.shards[0].labels[0] for p in (parts.learn, parts.judge))
    assert parts.unit == "cell"
    assert ((learn >= 0) ^ (judge >= 0)).all()
    assert (judge >= 0).sum() == 1


@pytest.mark.parametrize(
    ("labels", "message"), [([-1] * 4, "no cell in"), ([1, -1, -1, -1], "at least two labelled")]
)
def test_too_few_labels_are_refused(parent, tmp_path, labels, message):
    tiles = folder_of(tmp_path / "tiles", places(0, labels, n=1))

    with pytest.raises(ValueError, match=message):
        tuned(tiles, tmp_path / "out", parent)


@pytest.mark.parametrize("labels", [[1, 1, -1, -1], [-1, -1, 0, 0]])
def test_labels_of_one_class_alone_are_refused(parent, tmp_path, labels):
    tiles = folder_of(tmp_path / "tiles", places(0, labels))

    with pytest.raises(ValueError, match=r"8 positive and 0 neg|0 positive and 8 neg"):
        tuned(tiles, tmp_path / "out", parent)


def test_a_fine_tuning_needs_no_warm_up(parent, tmp_path):
    tiles = folder_of(tmp_path / "tiles", places(0, [1, 1, 0, -1]), places(1, [1, -1, 0, 0]))

    found = tuned(tiles, tmp_path / "out", parent, dataclasses.replace(QUICK, warmup_steps=0))

    assert found.after["cross_entropy"] < found.before["cross_entropy"]


def test_folders_of_different_tile_size_are_refused(parent, tmp_path):
    small = folder_of(tmp_path / "small", places(0, [1, 1, 0, -1]))
    wide = folder_of(tmp_path / "wide", drawn_tiles(0, size=32))

    with pytest.raises(ValueError, match="16 x 16 pixels in .*small', 32 x 32 .*wide'"):
        tuned([small, wide], tmp_path / "out", parent)


def test_tiles_that_the_model_cannot_take_are_refused_with_what_it_takes(tmp_path):
    card = ModelCard(name="deep", depth=6, root_filters=1, pixel_size_um=1.0, scale=ScaleRule(0.99))
    save_checkpoint(tmp_path / "deep.safetensors", UNet(depth=6, root_filters=1), card)
    tiles = folder_of(tmp_path / "tiles", places(0, [1, 1, 0, -1]))

    with pytest.raises(ValueError, match="multiples of 32 pixels, not 16 x 16"):
        tuned(tiles, tmp_path / "out", tmp_path / "deep.safetensors")


@pytest.mark.parametrize(
    ("about", "told"),
    [
        ({"pixel_size_um": 0.5}, r"pixel_size_um 0.5, it scores with 1.0\. Cut .*um=1.0, scale="),
        ({"settings": {"scale": {"quantile": 0.9}}}, "scale {'quantile': 0.9}, it scores with "),
    ],
)
def test_tiles_that_are_not_what_the_model_sees_in_scoring_are_warned_of(
    parent, tmp_path, about, told
):
    tiles = places(0, [1, 1, 0, -1])
    write_index(tmp_path / "tiles", [write_shard(tmp_path / "tiles", 0, tiles)], about)

    with pytest.warns(UserWarning, match=told):
        tuned(tmp_path / "tiles", tmp_path / "out", parent)


def test_tiles_that_were_cut_for_the_model_are_not_warned_of(tmp_path):
    pytest.importorskip("spatialdata")
    from nimbus.datasets import CutSettings, tissue, write_training_set
    from nimbus.model import load_model

    card = load_model("nimbus-s").card
    sdata = tissue(shape=(96, 96), markers=["CD3"], n_fovs=1, random_state=0)
    cut = CutSettings(tile_size=64, pixel_size_um=card.pixel_size_um, scale=card.scale)
    where = {"layer": "truth", "split": None, "settings": cut, "show_progress_bar": False}
    folder = write_training_set(sdata, tmp_path / "tiles", **where)["all"]

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        quick = dataclasses.replace(QUICK, n_steps=1)
        finetune(folder, tmp_path / "out", settings=quick, show_progress_bar=False)

    assert not any("in scoring" in str(one.message) for one in told)


def test_tiles_of_spatialdata_fit_a_model_of_any_patch(tmp_path):
    pytest.importorskip("spatialdata")
    from nimbus.datasets import tissue

    made = {"depth": 2, "root_filters": 2, "patch": 3}
    card = ModelCard(name="three", pixel_size_um=0.5, scale=ScaleRule(0.99), **made)
    save_checkpoint(tmp_path / "three.safetensors", UNet(**made), card)
    sdata = tissue(shape=(64, 64), markers=["CD3"], n_fovs=2, random_state=0)
    quick = dataclasses.replace(QUICK, n_steps=1, learning_rate=1e-5)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found = tuned(sdata, tmp_path, tmp_path / "three.safetensors", quick, truth_layer="truth")

    assert found.path.is_file()


def test_no_cell_of_a_single_field_is_learned_from_and_judges(parent, tmp_path):
    pytest.importorskip("spatialdata")
    from nimbus.datasets import tissue

    # Four tiles of 128 pixels that share most of theirs: the field is 150 pixels wide.
    sdata = tissue(shape=(150, 150), markers=["CD3"], pixel_size=1.0, random_state=0)
    quick = dataclasses.replace(QUICK, n_steps=1, learning_rate=1e-5)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found = tuned(sdata, tmp_path, parent, quick, truth_layer="truth")

    counts = r"on (\d+) positive and (\d+) negative cells; (\d+) and (\d+) held out by tile"
    told = re.search(counts, found.card.training_data)
    assert 0.9 * sdata["table"].n_obs < sum(map(int, told.groups())) <= sdata["table"].n_obs


@pytest.mark.parametrize("once", [True, False])
def test_held_out_tiles_of_a_folder_that_share_cells_are_warned_of(parent, tmp_path, once):
    pytest.importorskip("spatialdata")
    from nimbus.datasets import CutSettings, tissue, write_training_set

    sdata = tissue(shape=(64, 64), markers=["CD3"], pixel_size=1.0, random_state=0)
    table = sdata["table"]
    table.layers["gold"] = (np.arange(table.n_obs) % 2).astype(np.int8)[:, None]
    cut = CutSettings(tile_size=32, overlap=8, scale=ScaleRule(0.99), once=once)
    where = {"layer": "gold", "split": None, "settings": cut, "show_progress_bar": False}
    folder = write_training_set(sdata, tmp_path / "tiles", **where)["all"]

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always", UserWarning)
        tuned(folder, tmp_path / "out", parent, dataclasses.replace(QUICK, n_steps=1))

    shared = [str(one.message) for one in told if "labelled in several tiles" in str(one.message)]
    assert len(shared) == (not once)


def test_a_table_alone_is_refused_with_what_is_needed(parent, tmp_path):
    table = pytest.importorskip("anndata").AnnData(np.zeros((2, 1), np.float32))

    with pytest.raises(TypeError, match="a SpatialData object with images and labels is needed"):
        tuned(table, tmp_path, parent)


def test_arguments_of_spatialdata_are_refused_with_folders(parent, tmp_path):
    tiles = folder_of(tmp_path / "tiles", places(0, [1, 1, 0, -1]))

    with pytest.raises(TypeError, match="pixel_size"):
        tuned(tiles, tmp_path / "out", parent, pixel_size=0.5)


def test_spatialdata_with_a_few_labelled_cells_is_enough(tmp_path):
    pytest.importorskip("spatialdata")
    from nimbus.datasets import tissue

    sdata = tissue(shape=(96, 96), markers=["CD3", "CD20"], n_fovs=3, random_state=0)
    table = sdata["table"]
    rng = np.random.default_rng(0)
    known = rng.random(table.shape) < 0.3
    known[table.obs["region"] == "fov1_labels"] = False
    table.layers["gold"] = np.where(known, table.layers["truth"], -1).astype(np.int8)
    quick = dataclasses.replace(QUICK, n_steps=2, learning_rate=1e-5, measure_every=1)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found = finetune(sdata, tmp_path, settings=quick, show_progress_bar=False)

    assert "held out by field" in found.card.training_data
    assert 0 < found.before["cells"] < known.sum() * 0.8
    assert found.path.is_file()


@pytest.fixture
def labelled_apart():
    """Three fields: CD3 is labelled in the first two, CD20 in the third."""
    pytest.importorskip("spatialdata")
    from nimbus.datasets import tissue

    sdata = tissue(shape=(96, 96), markers=["CD3", "CD20"], n_fovs=3, random_state=0)
    table = sdata["table"]
    known = np.zeros(table.shape, dtype=bool)
    known[table.obs["region"] != "fov2_labels", 0] = True
    known[table.obs["region"] == "fov2_labels", 1] = True
    table.layers["gold"] = np.where(known, table.layers["truth"], -1).astype(np.int8)
    return sdata


@pytest.mark.parametrize("seed", range(4))
def test_fields_with_labels_of_the_wanted_channels_are_held_out(
    parent, tmp_path, labelled_apart, seed
):
    quick = dataclasses.replace(QUICK, n_steps=1, learning_rate=1e-5, seed=seed)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        found = tuned(labelled_apart, tmp_path, parent, quick, channels="CD3")

    assert "held out by field" in found.card.training_data
    labels = labelled_apart["table"].layers["gold"][:, 0]
    assert 0 < found.before["cells"] < (labels >= 0).sum()


def test_fields_whose_image_lacks_the_labelled_marker_are_not_held_out(
    parent, tmp_path, labelled_apart
):
    name = "fov2_image"
    lacking = labelled_apart[name].sel(c=["CD3"])
    del labelled_apart.images[name]
    labelled_apart.images[name] = lacking
    quick = dataclasses.replace(QUICK, n_steps=1, learning_rate=1e-5)

    for seed in range(3):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            found = tuned(labelled_apart, tmp_path, parent, dataclasses.replace(quick, seed=seed))
        assert "held out by field" in found.card.training_data


def test_channels_without_a_labelled_cell_are_named(parent, tmp_path, labelled_apart):
    labelled_apart["table"].layers["gold"][:, 0] = -1

    with pytest.raises(ValueError, match="no labelled cell .* of 'CD3' in 'fov0_labels'"):
        tuned(labelled_apart, tmp_path, parent, channels=["CD3"])


def test_a_batch_that_is_too_large_for_the_device_is_told(parent, tmp_path, monkeypatch):
    def full(*_):
        raise RuntimeError("MPS backend out of memory")

    monkeypatch.setattr("nimbus.train.tuning.cell_loss", full)
    tiles = folder_of(tmp_path / "tiles", places(0, [1, 1, 0, -1]))
    with pytest.raises(MemoryError, match="cpu is out of memory with a batch_size of .* smaller"):
        tuned(tiles, tmp_path, parent)
