"""Cut and altered copies of every layout: the named error, or an array that can be read."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import tifffile

from nimbus.io import ReadError
from nimbus.io._discover import read_image
from nimbus.io.masks import read_labels

IMAGE = np.random.default_rng(5).integers(0, 40, (2, 33, 47)).astype(np.uint16)
N_COPIES = 60


def _folder(folder):
    for name, plane in zip(("CD3", "CD8"), IMAGE, strict=True):
        tifffile.imwrite(folder / f"{name}.tiff", plane, compression="zlib")
    return folder, folder / "CD3.tiff"


def _ome(folder):
    path = folder / "a.ome.tiff"
    metadata = {"axes": "CYX", "Channel": {"Name": ["CD3", "CD8"]}, "PhysicalSizeX": 0.5}
    tifffile.imwrite(path, IMAGE, tile=(16, 16), compression="lzw", metadata=metadata)
    return path, path


def _big(folder):
    path = folder / "a.tiff"
    options = {"bigtiff": True, "byteorder": ">", "photometric": "minisblack"}
    tifffile.imwrite(path, IMAGE, compression="zstd", predictor=True, rowsperstrip=5, **options)
    return path, path


def _imagej(folder):
    path = folder / "a.tif"
    labels = {"axes": "CYX", "Labels": ["CD3", "CD8"], "unit": "um"}
    tifffile.imwrite(path, IMAGE, imagej=True, metadata=labels, resolution=(2, 2))
    return path, path


def _companion(folder):
    planes = "".join(
        f'<TiffData FirstC="{i}" IFD="{i}"><UUID FileName="b.tif">urn:uuid:b</UUID></TiffData>'
        for i in range(2)
    )
    path = folder / "a.companion.ome"
    path.write_text(
        '<OME><Image><Pixels SizeX="47" SizeY="33" SizeC="2" SizeZ="1" SizeT="1">'
        f'<Channel Name="CD3"/><Channel Name="CD8"/>{planes}</Pixels></Image></OME>'
    )
    tifffile.imwrite(folder / "b.tif", IMAGE, photometric="minisblack", metadata=None)
    return path, path


def _labels(folder):
    path = folder / "a.tiff"
    tifffile.imwrite(path, IMAGE[0].astype(np.uint32), compression="zlib", tile=(16, 32))
    return path, path


def _colours(folder):
    path = folder / "a.tiff"
    tifffile.imwrite(path, np.stack([IMAGE[0].astype(np.uint8)] * 4, -1), photometric="rgb")
    return path, path


LAYOUTS = [_folder, _ome, _big, _imagej, _companion, _labels, _colours]


def _computed(layout, path):
    read = read_labels if layout in (_labels, _colours) else lambda p: read_image(p).array
    return read(path).compute(scheduler="synchronous")


def _outcome(layout, path):
    """Message of the error and size of the array; one of both is nothing."""
    try:
        return None, _computed(layout, path).nbytes
    except ReadError as error:
        return str(error), 0


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("damage", ["cut", "altered"])
@pytest.mark.filterwarnings("ignore")
def test_a_damaged_copy_gives_the_named_error_or_an_array(tmp_path, layout, damage, caplog):
    caplog.set_level(logging.CRITICAL, logger="tifffile")
    path, victim = layout(tmp_path)
    good = victim.read_bytes()
    assert _computed(layout, path).shape[-2:] == (33, 47)
    rng = np.random.default_rng(6)
    n_errors = 0
    for _ in range(N_COPIES):
        content = bytearray(good)
        if damage == "cut":
            del content[rng.integers(len(content)) :]
        else:
            at = rng.integers(len(content), size=rng.integers(1, 4))
            at[0] %= min(len(content), 600)  # directories and descriptions, not pixels alone
            for position in at:
                content[position] ^= 1 << rng.integers(8)
        victim.write_bytes(content)
        told, n_bytes = _outcome(layout, path)
        assert told is None or str(tmp_path) in told
        assert n_bytes < 2**28
        n_errors += told is not None
    assert n_errors > N_COPIES // 20, "proves nothing: no copy was damaged enough"
