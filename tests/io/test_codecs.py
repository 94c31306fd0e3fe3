"""Compressions: known by number, and no segment may promise more than its TIFF."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
import tifffile

from nimbus.io._codecs import check_stated_size
from nimbus.io._lazy import lazy_array, planes_of
from nimbus.io._pages import read_head
from nimbus.io.errors import ReadError


@pytest.mark.parametrize(
    ("encode", "compression"),
    [(imagecodecs.jpeg_encode, 7), (imagecodecs.jpeg2k_encode, 34712)],
)
def test_a_segment_larger_than_its_tile_is_refused_before_decoding(encode, compression):
    data = bytes(encode(np.zeros((300, 400), np.uint8)))

    check_stated_size(data, compression, 300 * 400, "a.tiff")
    with pytest.raises(ReadError, match=r"a\.tiff: a JPEG.* segment of 300 x 400 pixels where 256"):
        check_stated_size(data, compression, 256, "a.tiff")


def test_a_planted_giant_in_a_small_tile_is_refused(tmp_path):
    path = tmp_path / "a.tiff"
    tiles = iter([bytes(imagecodecs.jpeg2k_encode(np.zeros((4000, 4000), np.uint8)))])
    tifffile.imwrite(
        path, tiles, shape=(16, 16), dtype=np.uint8, tile=(16, 16), compression="jpeg2000"
    )

    array = lazy_array(planes_of(read_head(path).pages[0]))

    with pytest.raises(ReadError, match="4000 x 4000 pixels where 256 fit"):
        array.compute()


def test_jpeg_tiles_are_read(tmp_path):
    path = tmp_path / "a.tiff"
    ramp = np.add.outer(np.arange(64), np.arange(48)).astype(np.uint8)
    tifffile.imwrite(path, ramp, tile=(32, 32), compression="jpeg", compressionargs={"level": 95})

    values = lazy_array(planes_of(read_head(path).pages[0]))[0].compute()

    assert np.abs(values.astype(int) - ramp).max() <= 3
