"""Chunks with checksums hold the same pixels, and a changed one is not read."""

from __future__ import annotations

import json

import dask.array as da
import numpy as np
import pytest
import spatialdata
import zarr

from nimbus.data.checksums import add_checksums
from nimbus.data.store import write_table
from support.tissue import draw_sdata


def stored(folder):
    """A store with a multiscale image, and what its arrays hold."""
    path = folder / "a.zarr"
    sdata = draw_sdata([(96, 64), (40, 50)])
    image = spatialdata.models.Image2DModel.parse(
        np.asarray(sdata["a_image"].data),
        dims=("c", "y", "x"),
        scale_factors=[2],
        chunks=(1, 32, 32),
    )
    sdata.images["scaled"] = image
    sdata.write(path)
    return path, {name: zarr.open_array(path / name)[:] for name in arrays(path)}


def arrays(path):
    """Paths of the arrays of pixels below a store."""
    files = [*(path / "images").rglob("zarr.json"), *(path / "labels").rglob("zarr.json")]
    nodes = {str(file.parent.relative_to(path)): json.loads(file.read_text()) for file in files}
    return [name for name, node in nodes.items() if node["node_type"] == "array"]


def test_the_same_pixels_are_read_with_and_without_consolidated_metadata(tmp_path):
    path, before = stored(tmp_path)
    assert len(before) == 6
    sizes = {file: file.stat().st_size for file in path.rglob("*/c/**/*") if file.is_file()}
    for _ in range(2):  # a second time changes nothing
        add_checksums(path)
    for file, size in sizes.items():
        assert file.stat().st_size - size == (4 if "tables" not in str(file) else 0)
    for name, pixels in before.items():
        array = zarr.open_array(path / name)
        assert type(array.metadata.codecs[-1]).__name__ == "Crc32cCodec"
        np.testing.assert_array_equal(array[:], pixels)
        held = zarr.open_group(path, use_consolidated=True)
        np.testing.assert_array_equal(held[name][:], pixels)
    again = spatialdata.read_zarr(path)
    np.testing.assert_array_equal(again["a_image"].data.compute(), before["images/a_image/s0"])
    assert isinstance(again["a_image"].data, da.Array)


@pytest.mark.parametrize("at", [0, 40, -1])
def test_any_changed_byte_is_noticed(tmp_path, at):
    path, _ = stored(tmp_path)
    add_checksums(path)
    victim = path / "images" / "scaled" / "s0" / "c" / "1" / "2" / "1"
    data = bytearray(victim.read_bytes())
    data[at] ^= 1
    victim.write_bytes(bytes(data))
    with pytest.raises(ValueError, match="checksum do not match"):
        zarr.open_array(path / "images" / "scaled" / "s0")[:]


def test_shards_are_left_as_they_are(tmp_path):
    options = {"shape": (8, 8), "shards": (8, 8), "chunks": (4, 4), "dtype": "u1"}
    array = zarr.create_array(tmp_path / "images" / "a", **options)
    array[:] = np.arange(64).reshape(8, 8)
    before = {f: f.read_bytes() for f in (tmp_path / "images" / "a").rglob("*") if f.is_file()}
    add_checksums(tmp_path)
    assert {file: file.read_bytes() for file in before} == before


def test_a_table_may_be_written_afterwards(tmp_path):
    import nimbus
    from support.tissue import brightness

    path, before = stored(tmp_path)
    add_checksums(path)
    sdata = spatialdata.read_zarr(path)
    options = {"labels_key": "a_labels", "image_key": "a_image", "tile_size": 32, "tta": False}
    nimbus.tl.score(sdata, **options, model=brightness, show_progress_bar=False)
    write_table(sdata, "table")
    again = spatialdata.read_zarr(path)
    assert again.tables["table"].n_obs > 10
    np.testing.assert_array_equal(again["b_labels"].data, before["labels/b_labels/s0"])
