"""Any box of any TIFF layout, decoded alone, equals the box of the array that was written."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import dask
import numpy as np
import pytest
import tifffile

from nimbus.io._decode import read_box
from nimbus.io._lazy import PlaneStack, lazy_array, planes_of
from nimbus.io._pages import read_head
from nimbus.io.errors import ReadError

RNG = np.random.default_rng(0)
IMAGE = RNG.integers(0, 60_000, (3, 53, 70)).astype(np.uint16)
LAYOUTS = {
    "one block": {},
    "strips": {"rowsperstrip": 7},
    "deflate strips": {"rowsperstrip": 7, "compression": "zlib"},
    "deflate, one strip": {"rowsperstrip": 53, "compression": "zlib"},
    "deflate with predictor": {"rowsperstrip": 8, "compression": "zlib", "predictor": True},
    "tiles": {"tile": (16, 32)},
    "LZW tiles": {"tile": (16, 32), "compression": "lzw"},
    "Zstandard tiles": {"tile": (32, 16), "compression": "zstd"},
    "LZMA tiles": {"tile": (32, 16), "compression": "lzma"},
    "PackBits": {"compression": "packbits"},
    "JPEG 2000 tiles": {"tile": (32, 32), "compression": "jpeg2000"},
    "big endian": {"byteorder": ">"},
    "big endian, deflate": {"byteorder": ">", "compression": "zlib", "predictor": True},
    "BigTIFF": {"bigtiff": True, "compression": "zlib"},
}
BOXES = [
    (slice(0, 3), slice(0, 53), slice(0, 70)),
    (slice(1, 2), slice(13, 14), slice(69, 70)),
    (slice(0, 2), slice(16, 33), slice(31, 65)),
    (slice(2, 3), slice(6, 8), slice(0, 1)),
]


def _planes(path: Path):
    return tuple(plane for page in read_head(path).pages for plane in planes_of(page))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_box_equals_the_box_of_what_was_written(tmp_path, layout):
    path = tmp_path / "a.tiff"
    tifffile.imwrite(path, IMAGE, photometric="minisblack", metadata=None, **LAYOUTS[layout])
    stack = PlaneStack(_planes(path))

    assert stack.shape == IMAGE.shape
    for box in BOXES:
        np.testing.assert_array_equal(stack[box], IMAGE[box])


@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("options", [{}, {"tile": (16, 16), "compression": "zlib"}])
def test_samples_of_a_page_are_channels(tmp_path, planar, options):
    path = tmp_path / "a.tiff"
    written = np.moveaxis(IMAGE, 0, 2) if planar == "contig" else IMAGE
    tifffile.imwrite(path, written, photometric="rgb", planarconfig=planar, **options)
    assert len(read_head(path).pages) == 1, "proves nothing: one page per channel"

    stack = PlaneStack(_planes(path))

    for box in BOXES:
        np.testing.assert_array_equal(stack[box], IMAGE[box])


@pytest.mark.parametrize(
    "dtype", ["uint8", "int16", "int32", "uint32", "float16", "float32", "float64"]
)
def test_values_keep_their_type(tmp_path, dtype):
    path = tmp_path / "a.tiff"
    values = (IMAGE[0] % 101).astype(dtype)
    tifffile.imwrite(path, values, compression="zlib", predictor=dtype != "float64")

    array = lazy_array(_planes(path))

    assert array.dtype == dtype
    np.testing.assert_array_equal(array[0].compute(), values)


def test_twelve_bits_and_one_bit_are_unpacked(tmp_path):
    tifffile.imwrite(tmp_path / "bits.tiff", IMAGE[0] % 2 == 1)

    array = lazy_array(_planes(tmp_path / "bits.tiff"))

    assert array.dtype == np.uint8
    np.testing.assert_array_equal(array[0].compute(), IMAGE[0] % 2)


def test_a_tile_that_the_file_omits_is_empty(tmp_path):
    path = tmp_path / "a.tiff"
    tiles = iter([np.ones((16, 16), np.uint8), None, None, np.full((16, 16), 2, np.uint8)])
    tifffile.imwrite(path, tiles, shape=(32, 32), dtype=np.uint8, tile=(16, 16), compression="zlib")

    values = lazy_array(_planes(path))[0].compute()

    assert (values[:16, :16] == 1).all()
    assert (values[16:, 16:] == 2).all()
    assert not values[:16, 16:].any()


def test_slices_with_steps_and_single_indices_agree_with_numpy(tmp_path):
    path = tmp_path / "a.tiff"
    tifffile.imwrite(path, IMAGE, photometric="minisblack", tile=(16, 16))
    stack = PlaneStack(_planes(path))

    for key in [
        (slice(None), slice(3, 40, 7), slice(None, None, 2)),
        (1, slice(None), slice(60, 10, -3)),
        (slice(2, None), -1, 5),
        (slice(1, 1), slice(0, 5), slice(0, 5)),
    ]:
        np.testing.assert_array_equal(stack[key], IMAGE[key])


def test_chunks_cut_no_tile_and_read_no_other_channel(tmp_path, monkeypatch):
    path = tmp_path / "a.tiff"
    large = np.zeros((2, 1500, 2200), np.uint8)
    tifffile.imwrite(path, large, photometric="minisblack", tile=(304, 304), compression="zlib")
    read = []

    def noted(page, samples, rows, columns):
        read.append((rows, columns))
        return read_box(page, samples, rows, columns)

    monkeypatch.setattr("nimbus.io._lazy.read_box", noted)
    array = lazy_array(_planes(path))

    assert array.chunks == ((1, 1), (912, 588), (912, 912, 376))
    assert not read, "decoded when opened"
    array[1, 1000, 1000].compute()
    assert read == [(range(912, 1500), range(912, 1824))]


def test_part_of_a_large_uncompressed_page_is_read_alone(tmp_path):
    path = tmp_path / "a.tiff"
    tifffile.imwrite(path, np.zeros((3000, 2500), np.uint8))

    assert lazy_array(_planes(path)).chunks == ((1,), (1024, 1024, 952), (1024, 1024, 452))


def test_types_of_several_files_are_read_as_the_one_that_holds_all(tmp_path):
    tifffile.imwrite(tmp_path / "a.tiff", IMAGE[0])
    tifffile.imwrite(tmp_path / "b.tiff", (IMAGE[1] % 256).astype(np.uint8))

    array = lazy_array([*_planes(tmp_path / "b.tiff"), *_planes(tmp_path / "a.tiff")])

    assert array.dtype == np.uint16
    np.testing.assert_array_equal(array.compute(), np.stack([IMAGE[1] % 256, IMAGE[0]]))


def test_threads_a_pickled_copy_and_another_process_read_the_same(tmp_path):
    path = tmp_path / "a.tiff"
    tifffile.imwrite(path, IMAGE, photometric="minisblack", tile=(16, 16), compression="zlib")
    array = lazy_array(_planes(path)).rechunk((1, 9, 70))

    with dask.config.set(scheduler="threads", num_workers=8):
        np.testing.assert_array_equal(array.compute(), IMAGE)
    copy = pickle.loads(pickle.dumps(array))
    np.testing.assert_array_equal(copy.compute(), IMAGE)
    part = array[1, :9].compute(scheduler="processes", num_workers=1)
    np.testing.assert_array_equal(part, IMAGE[1, :9])


def test_the_name_in_the_graph_follows_the_content(tmp_path):
    path = tmp_path / "a.tiff"
    tifffile.imwrite(path, IMAGE, photometric="minisblack")
    first, again = lazy_array(_planes(path)), lazy_array(_planes(path))
    os.utime(path, ns=(1, 1))

    assert first.name == again.name
    assert lazy_array(_planes(path)).name != first.name
    assert lazy_array(_planes(path)[:2]).name != lazy_array(_planes(path)[1:]).name
    tifffile.imwrite(path, np.moveaxis(IMAGE, 0, 2), photometric="rgb")
    assert lazy_array(_planes(path)[:1]).name != lazy_array(_planes(path)[1:2]).name


def test_a_file_that_changed_since_it_was_opened_is_refused(tmp_path):
    path = tmp_path / "a.tiff"
    tifffile.imwrite(path, IMAGE, photometric="minisblack")
    array = lazy_array(_planes(path))
    tifffile.imwrite(path, IMAGE[:, :50], photometric="minisblack")

    with pytest.raises(ReadError, match=r"a\.tiff: has changed since it was opened"):
        array.compute()


def test_damaged_pixels_are_named_when_they_are_computed(tmp_path):
    path = tmp_path / "a.tiff"
    tifffile.imwrite(path, IMAGE, photometric="minisblack", compression="zlib", rowsperstrip=53)
    start = tifffile.TiffFile(path).pages[1].dataoffsets[0]
    content = bytearray(path.read_bytes())
    content[start : start + 2000] = bytes(2000)
    path.write_bytes(content)

    array = lazy_array(_planes(path))

    np.testing.assert_array_equal(array[0].compute(), IMAGE[0])
    with pytest.raises(ReadError, match=r"a\.tiff: damaged or cut off"):
        array[1].compute()
