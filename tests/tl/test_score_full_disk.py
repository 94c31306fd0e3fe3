"""A file system that is really full: an error, the store as it was, and the same table later."""

from __future__ import annotations

import os
import subprocess

import numpy as np
import pytest
import spatialdata

import nimbus
from support.tissue import brightness, draw_sdata

torch = pytest.importorskip("torch")

from support.nets import saved_net  # noqa: E402 - needs torch

pytestmark = pytest.mark.filterwarnings("ignore")

OPTIONS = {"tta": False, "show_progress_bar": False, "tile_size": 16, "n_jobs": 1, "write": True}


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 8 MB, in memory."""
    place = tmp_path / "small disk"
    place.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", str(place)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("there is no mount command here")
    if mounted.returncode:
        pytest.skip(f"a file system cannot be mounted here: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def filled(place, *, but):
    """A file that leaves so many bytes of a file system."""
    there = os.statvfs(place)
    filler = place / "filler"
    filler.write_bytes(bytes(there.f_bavail * there.f_frsize - but))
    return filler


@pytest.mark.parametrize(
    ("left", "beside", "module"),
    [
        pytest.param(0, True, "_claim", id="for the claim"),
        pytest.param(16 * 1024, True, "engine/resume", id="for the tiles"),
        pytest.param(64 * 1024, False, "data/store", id="for the table"),
    ],
)
def test_a_full_disk_loses_nothing(small_disk, tmp_path, left, beside, module):
    store = small_disk / "a.zarr"
    draw_sdata([(192, 64)]).write(store)
    first = spatialdata.read_zarr(store)
    nimbus.tl.score(first, model=brightness, **OPTIONS)
    before = first.tables["table"].layers["nimbus"]
    resume = (small_disk if beside else tmp_path) / "tiles"
    options = OPTIONS | {"model": saved_net(tmp_path / "w.safetensors", depth=2, root_filters=2)}
    calm = spatialdata.read_zarr(store)
    nimbus.tl.score(calm, **options | {"write": False})

    filler = filled(small_disk, but=left)
    with pytest.raises(OSError, match="No space left on device") as caught:
        nimbus.tl.score(spatialdata.read_zarr(store), **options, resume=resume)

    where = [str(entry.path) for entry in caught.traceback]
    assert any(f"{module}.py" in path for path in where), where[-4:]
    kept = spatialdata.read_zarr(store)
    np.testing.assert_array_equal(kept.tables["table"].layers["nimbus"], before)
    assert not list(store.glob(".nimbus*")), "a rest takes the space that is missing"
    filler.unlink()
    nimbus.tl.score(kept, **options, resume=resume)
    again = spatialdata.read_zarr(store).tables["table"]
    for layer in ("nimbus", "integrated"):
        np.testing.assert_array_equal(again.layers[layer], calm.tables["table"].layers[layer])
    assert np.abs(again.layers["nimbus"] - before).max() > 0.01, "proves nothing: nothing was new"
