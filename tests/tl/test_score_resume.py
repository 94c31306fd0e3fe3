"""Finished tiles are kept, found again, and refused to another run."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest

import nimbus
from nimbus.core.cellsums import CellSums
from nimbus.engine.recordlog import open_log
from nimbus.engine.resume import Journal
from support.tissue import draw_sdata

torch = pytest.importorskip("torch")

from support.nets import saved_net  # noqa: E402 - needs torch


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    return saved_net(path, depth=3, root_filters=2)


def scored(weights, folder, *, change=None, **options):
    sdata = draw_sdata([(90, 120), (100, 80)])
    if change is not None:
        array = np.array(sdata[change].data)
        array[array > 0] += 1
        sdata[change].data = da.from_array(array, chunks=sdata[change].data.chunks)
    nimbus.tl.score(
        sdata,
        **{"tile_size": 16, "tta": False, "show_progress_bar": False} | options,
        model=weights,
        resume=folder,
    )
    return sdata.tables["table"]


def counting(monkeypatch, *, fail_at=None):
    """Count scored tiles; the `fail_at`-th raises as if the process was stopped."""
    import nimbus.engine.score as module

    real, calls = module.score_tile, []

    def counted(source, tile, predictor, plan):
        calls.append(tile.index)
        if len(calls) == fail_at:
            raise KeyboardInterrupt
        return real(source, tile, predictor, plan)

    monkeypatch.setattr(module, "score_tile", counted)
    return calls


def test_a_stopped_run_goes_on_and_gives_the_identical_table(weights, tmp_path, monkeypatch):
    whole = scored(weights, None)
    with monkeypatch.context() as patch:
        calls = counting(patch)
        scored(weights, None)
        n_tiles = len(calls)
    with monkeypatch.context() as patch:
        counting(patch, fail_at=9)
        with pytest.raises(KeyboardInterrupt):
            scored(weights, tmp_path, n_jobs=1)
    n_kept = len(open_log(tmp_path).index)
    assert 0 < n_kept < n_tiles
    with monkeypatch.context() as patch:
        calls = counting(patch)
        resumed = scored(weights, tmp_path)
    assert len(calls) == n_tiles - n_kept
    np.testing.assert_array_equal(resumed.layers["nimbus"], whole.layers["nimbus"])
    np.testing.assert_array_equal(resumed.X, whole.X)


def test_a_field_without_the_channel_is_found_again(weights, tmp_path, monkeypatch):
    def run():
        sdata = draw_sdata([(90, 120), (40, 60)])
        sdata["b_image"] = sdata["b_image"].assign_coords(c=["m0", "other"])
        nimbus.tl.score(
            sdata, channels="m1", model=weights, tta=False, resume=tmp_path, show_progress_bar=False
        )
        return sdata.tables["table"]

    first = run()
    of_b = (first.obs["region"] == "b_labels").to_numpy()
    np.testing.assert_array_equal(np.isnan(first.layers["nimbus"][:, 0]), of_b)
    calls = counting(monkeypatch)
    again = run()
    assert calls == []
    np.testing.assert_array_equal(again.layers["nimbus"], first.layers["nimbus"])
    np.testing.assert_array_equal(again.obsm["spatial"], first.obsm["spatial"])


def test_sums_that_nobody_wants_may_lie_in_the_folder(weights, tmp_path, monkeypatch):
    real = Journal.save

    def save_more(journal, field, tile, sums):
        more = sums and CellSums(sums.ids, {**sums.sums, "of another version": sums.sums["area"]})
        real(journal, field, tile, more)

    with monkeypatch.context() as patch:
        patch.setattr(Journal, "save", save_more)
        counting(patch, fail_at=9)
        with pytest.raises(KeyboardInterrupt):
            scored(weights, tmp_path, n_jobs=1)
    resumed, whole = scored(weights, tmp_path), scored(weights, None)
    np.testing.assert_array_equal(resumed.layers["nimbus"], whole.layers["nimbus"])


def test_a_damaged_tile_is_computed_again(weights, tmp_path, monkeypatch):
    whole = scored(weights, tmp_path)
    (victim,) = tmp_path.glob("*.log")
    data = bytearray(victim.read_bytes())
    data[len(data) // 2] ^= 1
    victim.write_bytes(data)
    calls = counting(monkeypatch)
    again = scored(weights, tmp_path)
    assert len(calls) == 1
    np.testing.assert_array_equal(again.layers["nimbus"], whole.layers["nimbus"])


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"tta": True}, "views"),
        ({"scales": {"m0": 9.0, "m1": 9.0}}, "input of 'a_labels'"),
        ({"precision": "float32"}, "precision"),
        ({"tile_size": 32}, "tile_size"),
        ({"nan": "zero"}, "input of 'a_labels', nan"),
    ],
)
def test_a_folder_of_another_run_is_refused_with_the_difference(weights, tmp_path, options, named):
    scored(weights, tmp_path)
    with pytest.raises(ValueError, match=f"tiles of another run .*{named}"):
        scored(weights, tmp_path, **options)


@pytest.mark.parametrize("what", ["image", "labels"])
def test_a_folder_of_other_pixels_is_refused_though_all_names_and_shapes_agree(
    weights, tmp_path, what
):
    scales = {"m0": 9.0, "m1": 9.0}  # given: those of other pixels would differ by themselves
    scored(weights, tmp_path, scales=scales)
    with pytest.raises(ValueError, match=f"'b_labels', content of the {what}: .*then") as refused:
        scored(weights, tmp_path, scales=scales, change=f"b_{what}")
    assert "a_labels" not in str(refused.value)


def test_a_folder_of_other_weights_is_refused_though_the_file_has_the_same_name(tmp_path):
    first = saved_net(tmp_path / "net.safetensors", depth=3, root_filters=2)
    scored(first, tmp_path / "tiles")
    other = saved_net(tmp_path / "net.safetensors", depth=3, root_filters=3)
    with pytest.raises(ValueError, match="tiles of another run .*weights: "):
        scored(other, tmp_path / "tiles")


@pytest.mark.parametrize(
    ("callable_model", "error", "message"),
    [
        (True, ValueError, "a callable cannot be told apart .* or no resume="),
        (False, NotADirectoryError, "is a file; name a folder"),
    ],
)
def test_what_cannot_be_resumed_is_refused_before_pixels_are_read(
    weights, tmp_path, monkeypatch, callable_model, error, message
):
    def read(*_, **__):
        raise AssertionError("pixels were read")

    monkeypatch.setattr("nimbus.data.scales.channel_histograms", read)
    folder = tmp_path / "tiles"
    if not callable_model:
        folder.touch()
    with pytest.raises(error, match=message):
        scored((lambda planes: planes[:, :1]) if callable_model else weights, folder)
