"""Pages that cannot be what they declare are refused before anything is decoded."""

from __future__ import annotations

import struct

import numpy as np
import pytest
import tifffile

from nimbus.io._pages import read_head
from nimbus.io.errors import ReadError

PIXELS = np.arange(40 * 50, dtype=np.uint16).reshape(40, 50)
WIDTH, HEIGHT, COMPRESSION, ROWS_PER_STRIP, TILE_WIDTH = 256, 257, 259, 278, 322


def _written(tmp_path, *, changed=None, **options):
    """A TIFF in which some tags of the first page have other values."""
    path = tmp_path / "a.tiff"
    tifffile.imwrite(path, PIXELS, **options)
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        for code, value in (changed or {}).items():
            tiff.pages[0].tags[code].overwrite(value)
    return path


def test_a_page_says_where_it_lies(tmp_path):
    page = read_head(_written(tmp_path, tile=(16, 32), compression="zlib")).pages[0]

    assert page.shape == (40, 50)
    assert (page.n_samples, page.dtype, page.segment) == (1, np.uint16, (16, 32))
    assert not page.contiguous
    assert read_head(_written(tmp_path)).pages[0].contiguous


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        ({}, {WIDTH: 60_000}),
        ({}, {WIDTH: 2**31 - 1, HEIGHT: 2**31 - 1}),
        ({"compression": "zlib"}, {WIDTH: 65_000, HEIGHT: 65_000, ROWS_PER_STRIP: 65_000}),
        ({"compression": "zlib"}, {HEIGHT: 2**31 - 1, ROWS_PER_STRIP: 2**31 - 1}),
        ({"compression": "lzw", "rowsperstrip": 40}, {WIDTH: 2**31 - 1}),
        ({"compression": "zlib", "tile": (16, 16)}, {HEIGHT: 2**31 - 1}),
    ],
)
def test_more_pixels_than_the_bytes_can_hold_are_refused(tmp_path, options, changed):
    path = _written(tmp_path, changed=changed, **options)

    with pytest.raises(ReadError, match=r"a\.tiff: (declares|damaged|one strip)"):
        read_head(path)


def test_a_strip_that_would_take_gigabytes_is_refused(tmp_path):
    path = tmp_path / "a.tiff"
    tifffile.imwrite(path, PIXELS, compression="jpeg2000", rowsperstrip=40)
    with tifffile.TiffFile(path, mode="r+b") as tiff:
        for code in (WIDTH, HEIGHT, ROWS_PER_STRIP):
            tiff.pages[0].tags[code].overwrite(60_000)

    with pytest.raises(ReadError, match=r"one strip or tile of 6\.7 GiB; save the image again"):
        read_head(path)


def test_a_constant_image_is_no_bomb(tmp_path):
    for compression in ("zlib", "lzw", "zstd", "packbits", "lzma"):
        path = tmp_path / f"{compression}.tiff"
        tifffile.imwrite(path, np.zeros((2000, 2000), np.uint16), compression=compression)
        assert read_head(path).pages[0].shape == (2000, 2000)


def test_pixels_beyond_the_end_are_seen_when_opened(tmp_path):
    path = _written(tmp_path, compression="zlib")
    content = path.read_bytes()
    path.write_bytes(content[:-100])

    with pytest.raises(ReadError, match=r"a\.tiff: cut off: pixels up to byte \d+ of \d+"):
        read_head(path)


def test_a_lost_page_is_an_error_and_not_a_missing_channel(tmp_path):
    path = tmp_path / "a.tiff"
    tifffile.imwrite(path, np.stack([PIXELS] * 3), photometric="minisblack", metadata=None)
    with tifffile.TiffFile(path) as tiff:
        last, before = tiff.pages[2].offset, tiff.pages[1].offset
    content = bytearray(path.read_bytes())
    link = content.rindex(struct.pack("<I", last), 0, len(content))
    content[link : link + 4] = struct.pack("<I", len(content) + 8)
    path.write_bytes(content)
    with tifffile.TiffFile(path) as tiff:
        assert len(tiff.pages) == 2, "proves nothing: tifffile sees the damage"
    with pytest.raises(ReadError, match="page 2 is not in the file"):
        read_head(path)

    content[link : link + 4] = struct.pack("<I", before)  # a circle
    path.write_bytes(content)
    with pytest.raises(ReadError, match="page 2 is not in the file"):
        read_head(path)


@pytest.mark.parametrize("content", [b"", b"II", b"II*\0", b"II*\0\x08\0\0\0", b"\x89PNG" * 50])
def test_what_is_no_tiff_is_named(tmp_path, content):
    path = tmp_path / "a.tiff"
    path.write_bytes(content)

    with pytest.raises(ReadError, match=r"a\.tiff"):
        read_head(path)


def test_a_volume_and_complex_numbers_are_refused(tmp_path):
    path = tmp_path / "a.tiff"
    tifffile.imwrite(path, np.zeros((8, 32, 32), np.uint8), volumetric=True, tile=(8, 16, 16))
    with pytest.raises(ReadError, match="a volume of depth 8; nimbus reads 2D"):
        read_head(path)

    tifffile.imwrite(path, np.zeros((32, 32), np.complex64))
    with pytest.raises(ReadError, match="complex64"):
        read_head(path)


def test_a_compression_that_is_not_read_is_named_with_those_that_are(tmp_path):
    path = _written(tmp_path, changed={COMPRESSION: 34887})

    with pytest.raises(ReadError, match="compression 34887 is not read; nimbus reads JPEG,"):
        read_head(path)


def test_an_absent_file_keeps_its_own_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.tiff"):
        read_head(tmp_path / "a.tiff")
