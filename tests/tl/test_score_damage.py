"""Stores that are damaged, read-only, full, or have odd names: one clear error, nothing lost."""

from __future__ import annotations

import errno
import os

import dask.array as da
import numpy as np
import pytest
import spatialdata
import tifffile

import nimbus
from nimbus.data.checksums import add_checksums
from nimbus.engine.recordlog import open_log
from support.tissue import brightness, draw_sdata

pytestmark = pytest.mark.filterwarnings("ignore")
QUIET = {
    "tta": False,
    "show_progress_bar": False,
    "tile_size": 16,
    "n_jobs": 1,
    "scales": {"m0": 60.0, "m1": 110.0},
}


@pytest.fixture
def store(tmp_path):
    """A store whose image has chunks of 32 pixels, and whose name has a blank and an umlaut."""
    sdata = draw_sdata([(192, 64)])
    image = sdata.images["a_image"]
    sdata.images["a_image"] = image.chunk({"c": 1, "y": 32, "x": 32})
    path = tmp_path / "Gewebe 1 \u00b5m \u7d44\u7e54.zarr"
    sdata.write(path)
    return path


def chunk_of(store, *index):
    return store.joinpath("images", "a_image", "s0", "c", *map(str, index))


def cut(data):
    return data[: len(data) // 2]


def flipped(data):
    return bytes([data[0] ^ 4]) + data[1:]


@pytest.mark.parametrize("damage", [cut, flipped])
def test_a_damaged_chunk_is_named_and_what_was_finished_is_kept(store, tmp_path, damage):
    torch = pytest.importorskip("torch")
    from support.nets import saved_net

    model = saved_net(tmp_path / "w.safetensors", depth=2, root_filters=2)
    options = QUIET | {"model": model, "resume": tmp_path / "kept"}
    whole = spatialdata.read_zarr(store)
    nimbus.tl.score(whole, **QUIET, model=model)
    victim = chunk_of(store, 1, 2, 1)
    good = victim.read_bytes()
    victim.write_bytes(damage(good))
    with pytest.raises(OSError, match="element 'a_image' cannot be read at rows") as caught:
        nimbus.tl.score(spatialdata.read_zarr(store), **options)
    assert str(victim) in str(caught.value)
    assert "tile" in "".join(caught.value.__notes__)
    n_kept = len(open_log(tmp_path / "kept").index)
    assert n_kept > 0
    victim.write_bytes(good)
    again = spatialdata.read_zarr(store)
    nimbus.tl.score(again, **options)
    np.testing.assert_array_equal(
        again.tables["table"].layers["nimbus"], whole.tables["table"].layers["nimbus"]
    )
    assert torch


def test_a_flipped_bit_that_decodes_is_named_where_there_are_checksums(tmp_path):
    sdata = draw_sdata([(64, 64)])
    sdata.images["a_image"].data = da.from_array(
        np.random.default_rng(0).integers(0, 60000, (2, 64, 64)).astype("u2"), chunks=(1, 32, 32)
    )  # noise is stored as it is: any bit of it decodes
    found = []
    for name, sealed in (("plain", False), ("sealed", True)):
        store = tmp_path / f"{name}.zarr"
        sdata.write(store)
        if sealed:
            add_checksums(store)
        calm = spatialdata.read_zarr(store)
        nimbus.tl.score(calm, **QUIET, model=brightness)
        scores = calm.tables["table"].layers["nimbus"]
        victim = chunk_of(store, 1, 1, 0)
        data = bytearray(victim.read_bytes())
        data[len(data) // 2] ^= 64
        victim.write_bytes(bytes(data))
        try:
            nimbus.tl.score(spatialdata.read_zarr(store), **QUIET, model=brightness)
        except OSError as error:
            found.append(str(error))
        else:
            found.append("read")
    assert found[0] == "read", "proves nothing: the bit was noticed without checksums"
    assert "element 'a_image' cannot be read at rows" in found[1]
    assert "checksum" in found[1]
    assert str(victim) in found[1]
    assert np.isfinite(scores).all()


def test_label_files_whose_ids_are_refused_are_not_called_damaged(tmp_path):
    (tmp_path / "images" / "a").mkdir(parents=True)
    (tmp_path / "masks").mkdir()
    labels = np.full((8, 9), -1, dtype=np.int16)
    labels[2:5, 3:7] = 3
    tifffile.imwrite(tmp_path / "images" / "a" / "m0.tiff", np.ones((8, 9), np.uint8))
    tifffile.imwrite(tmp_path / "masks" / "a_whole_cell.tiff", labels)
    sdata = nimbus.io.read_fovs(tmp_path / "images", tmp_path / "masks", pixel_size=0.5)
    with pytest.raises(OSError, match="holds ids from -1 to 3; .* relabel them") as caught:
        nimbus.tl.score(sdata, **QUIET, model=brightness)
    assert "damaged" not in str(caught.value)


def test_names_with_blanks_and_unicode_are_read_and_written(store):
    sdata = spatialdata.read_zarr(store)
    nimbus.tl.score(sdata, **QUIET, model=brightness, write=True)
    again = spatialdata.read_zarr(store)
    assert again.tables["table"].layers["nimbus"].shape == sdata.tables["table"].shape


def test_a_read_only_store_is_refused_before_the_work(store, monkeypatch):
    def denied(self, *how, **more):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))

    def never(planes):
        raise AssertionError("the work began")

    monkeypatch.setattr(type(store), "touch", denied)
    with pytest.raises(PermissionError, match="cannot be written .Permission denied.; copy it"):
        nimbus.tl.score(spatialdata.read_zarr(store), **QUIET, model=never, write=True)


def test_a_full_disk_leaves_the_store_as_it_was(store, monkeypatch):
    import zarr.storage._local as local

    sdata = spatialdata.read_zarr(store)
    nimbus.tl.score(sdata, **QUIET, model=brightness, write=True)
    before = spatialdata.read_zarr(store).tables["table"].layers["nimbus"]
    written = []

    def full(path, value, exclusive=False):
        written.append(path)
        if len(written) > 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        return put(path, value, exclusive)

    put = local._put
    with monkeypatch.context() as patch:
        patch.setattr(local, "_put", full)
        with pytest.raises(OSError, match="No space left on device"):
            nimbus.tl.score(sdata, **QUIET, model=lambda x: x[:, :1] * 0, write=True)
    after = spatialdata.read_zarr(store).tables["table"].layers["nimbus"]
    np.testing.assert_array_equal(after, before)
    assert not list(store.glob(".nimbus*")), "a rest takes the space that is missing"
