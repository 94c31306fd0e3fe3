"""Label images of every kind that users have, and those that cannot hold cell ids."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from nimbus.io.errors import ReadError
from nimbus.io.masks import read_labels

IDS = np.zeros((19, 23), np.int64)
IDS[2:5, 3:9] = 7
IDS[10:, 20:] = 201


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [
        ("uint8", "uint8"),
        ("uint16", "uint16"),
        ("uint32", "int32"),
        ("int32", "int32"),
        ("int64", "int32"),
    ],
)
@pytest.mark.parametrize("options", [{}, {"compression": "zlib", "tile": (16, 16)}])
def test_integers_of_any_width(tmp_path, dtype, expected, options):
    tifffile.imwrite(tmp_path / "a.tiff", IDS.astype(dtype), **options)

    labels = read_labels(tmp_path / "a.tiff")

    assert labels.dtype == expected
    assert labels.compute().dtype == expected
    np.testing.assert_array_equal(labels.compute(), IDS)


def test_ids_beyond_the_exact_range_of_float32(tmp_path):
    large = IDS * 0 + 2**31 - 1
    large[0, 0] = 2**24 + 1
    tifffile.imwrite(tmp_path / "a.tiff", large.astype(np.uint32))

    np.testing.assert_array_equal(read_labels(tmp_path / "a.tiff").compute(), large)


@pytest.mark.parametrize("shape", [(1, 19, 23), (1, 1, 19, 23), (19, 23, 1)])
def test_axes_of_length_one_are_passed_over(tmp_path, shape):
    tifffile.imwrite(tmp_path / "a.tiff", IDS.astype(np.uint16).reshape(shape))

    np.testing.assert_array_equal(read_labels(tmp_path / "a.tiff").compute(), IDS)


def test_labels_as_ome_tiff(tmp_path):
    tifffile.imwrite(tmp_path / "a.ome.tif", IDS.astype(np.uint16)[None], metadata={"axes": "CYX"})

    np.testing.assert_array_equal(read_labels(tmp_path / "a.ome.tif").compute(), IDS)


@pytest.mark.parametrize("n_samples", [3, 4])
@pytest.mark.parametrize(
    "options",
    [
        {"photometric": "rgb"},
        {"photometric": "rgb", "compression": "lzw", "tile": (16, 16)},
        {"photometric": "rgb", "planarconfig": "separate"},
        {"photometric": "rgb", "ome": True},
    ],
)
def test_colours_of_qupath(tmp_path, n_samples, options):
    ids = IDS * 70_001  # 7 and 201 need all three bytes
    colours = np.stack([ids >> 16 & 255, ids >> 8 & 255, ids & 255, ids * 0 + 255][:n_samples], -1)
    colours = colours.astype(np.uint8)
    if options.get("planarconfig") == "separate":
        colours = np.moveaxis(colours, -1, 0)
    tifffile.imwrite(tmp_path / "a.tif", colours, **options)

    labels = read_labels(tmp_path / "a.tif")

    assert set(np.unique(ids)) == {0, 490_007, 14_070_201}
    assert labels.dtype == np.int32
    np.testing.assert_array_equal(labels.compute(), ids)


def test_floats_are_refused_even_if_whole(tmp_path):
    tifffile.imwrite(tmp_path / "a.tiff", IDS.astype(np.float32))

    with pytest.raises(
        ReadError, match=r"a\.tiff: labels are of type float32; .*astype\('uint32'\)"
    ):
        read_labels(tmp_path / "a.tiff")


def test_black_and_white_is_refused(tmp_path):
    tifffile.imwrite(tmp_path / "a.tiff", IDS > 0)

    with pytest.raises(ReadError, match=r"a\.tiff: labels are black and white"):
        read_labels(tmp_path / "a.tiff")


@pytest.mark.parametrize("planes", [2, 5])
def test_several_planes_are_refused(tmp_path, planes):
    tifffile.imwrite(
        tmp_path / "a.tiff", np.stack([IDS.astype(np.uint8)] * planes), photometric="minisblack"
    )

    with pytest.raises(ReadError, match=f"holds {planes} planes of uint8 .* labels are one plane"):
        read_labels(tmp_path / "a.tiff")


@pytest.mark.parametrize(
    ("dtype", "value"), [("int16", -1), ("int32", -5), ("uint32", 2**31), ("uint64", 2**40)]
)
def test_ids_out_of_range_are_named_when_computed(tmp_path, dtype, value):
    bad = IDS.astype(dtype)
    bad[18, 22] = value
    tifffile.imwrite(tmp_path / "a.tiff", bad)

    labels = read_labels(tmp_path / "a.tiff")

    with pytest.raises(ReadError, match=rf"a\.tiff: holds ids from .*{value}"):
        labels.compute()
