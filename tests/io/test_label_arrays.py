"""Label images as PNG and ``.npy``: what is read, lazily, and what cannot hold cell ids."""

from __future__ import annotations

import struct

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

import nimbus
from nimbus.io.errors import ReadError
from nimbus.io.masks import read_labels

IDS = np.zeros((19, 23), np.int64)
IDS[2:5, 3:9] = 7
IDS[10:, 20:] = 60_201
IDS.flags.writeable = False


def png(path, values, **options):
    path.write_bytes(imagecodecs.png_encode(values, **options))
    return path


def npy(path, values, **options):
    np.save(path, values, **options)
    return path


def test_all_ids_of_16_bits_come_back_from_a_png_of_another_writer(tmp_path):
    every = np.arange(2**16, dtype=np.uint16).reshape(128, 512)
    Image.fromarray(every).save(tmp_path / "a.png")

    labels = read_labels(tmp_path / "a.png")

    assert labels.dtype == np.uint16
    np.testing.assert_array_equal(labels.compute(), every)
    np.testing.assert_array_equal(labels[3:5, 7::2].compute(), every[3:5, 7::2])


def test_a_png_of_8_bits_stays_what_it_is(tmp_path):
    few = (IDS > 0).astype(np.uint8) * 3

    np.testing.assert_array_equal(read_labels(png(tmp_path / "a.PNG", few)).compute(), few)


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("uint16", "uint16"), (">u2", "uint16"), ("int32", "int32"), (">i8", "int32")],
)
@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("shape", [(19, 23), (1, 19, 23)])
def test_arrays_of_any_width_and_order(tmp_path, dtype, expected, order, shape):
    path = npy(tmp_path / "a.npy", IDS.reshape(shape).astype(dtype, order=order))

    labels = read_labels(path)

    assert labels.compute().dtype == labels.dtype == expected
    np.testing.assert_array_equal(labels.compute(), IDS)


def test_a_large_array_has_chunks_that_are_read_alone(tmp_path):
    large = np.arange(1500 * 1100, dtype=np.int32).reshape(1500, 1100)

    labels = read_labels(npy(tmp_path / "a.npy", large))

    assert labels.chunks == ((1024, 476), (1024, 76))
    np.testing.assert_array_equal(labels.blocks[1, 1].compute(), large[1024:, 1024:])


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        ("RGB", r"colours \(RGB\)"),
        ("RGBA", r"colours \(RGBA\)"),
        ("P", "a palette of colours"),
        ("LA", "grey with alpha"),
        ("1", "grey values of 1 bits"),
    ],
)
def test_pictures_of_masks_are_refused_with_what_to_save(tmp_path, mode, told):
    Image.new("L", (23, 19)).convert(mode).save(tmp_path / "a.png")

    with pytest.raises(ReadError, match=rf"a\.png: holds {told}; cell ids are one plane of integ"):
        read_labels(tmp_path / "a.png")


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (IDS.astype(np.float32), "labels are of type float32"),
        (IDS > 0, "labels are black and white"),
        (np.stack([IDS, IDS]), r"holds an array of shape \(2, 19, 23\)"),
        (IDS[0], r"holds an array of shape \(23,\)"),
        (IDS[:0], r"holds an array of shape \(0, 23\)"),
        (np.array({"masks": 1}), "holds Python objects, which can run code .*_seg.npy"),
    ],
)
def test_arrays_that_hold_no_ids_are_refused(tmp_path, values, told):
    with pytest.raises(ReadError, match=told):
        read_labels(npy(tmp_path / "a.npy", values, allow_pickle=True))


@pytest.mark.parametrize("wrong", [-1, 2**31])
def test_ids_out_of_range_are_refused_when_computed(tmp_path, wrong):
    labels = read_labels(npy(tmp_path / "a.npy", np.where(IDS == 7, wrong, IDS)))

    with pytest.raises(ReadError, match="cell ids are between 0"):
        labels.compute()


@pytest.mark.parametrize("save", [png, npy])
def test_files_that_are_cut_off_are_named(tmp_path, save):
    noise = np.random.default_rng(0).integers(0, 2**16, (64, 64)).astype(np.uint16)
    path = save(tmp_path / f"a.{save.__name__}", noise)
    whole = path.read_bytes()
    for n_bytes in (0, 5, 20, 40, 200, len(whole) // 2, len(whole) - 100):
        path.write_bytes(whole[:n_bytes])
        with pytest.raises(ReadError, match=rf"a\.{save.__name__}: "):
            read_labels(path).compute()


def test_a_png_that_declares_more_than_it_can_hold_is_refused_before_it_is_decoded(tmp_path):
    path = png(tmp_path / "a.png", IDS.astype(np.uint16))
    path.write_bytes(path.read_bytes()[:16] + (2**14).to_bytes(4) * 2 + path.read_bytes()[24:])

    with pytest.raises(ReadError, match="declares 16384 x 16384 pixels"):
        read_labels(path)


def test_a_file_that_was_written_again_is_told(tmp_path):
    labels = read_labels(npy(tmp_path / "a.npy", IDS))
    npy(tmp_path / "a.npy", IDS[:5])

    with pytest.raises(ReadError, match="has changed since it was opened"):
        labels.compute()


def test_masks_of_cellpose_beside_their_images_are_read(tmp_path):
    tifffile.imwrite(tmp_path / "fov1.tif", np.ones((19, 23), np.uint8))
    png(tmp_path / "fov1_cp_masks.png", IDS.astype(np.uint16))

    sdata = nimbus.io.read_fovs(
        tmp_path, tmp_path, pattern="{fov}_cp_masks.png", pixel_size=0.5, fovs="fov1"
    )

    np.testing.assert_array_equal(sdata["fov1_labels"].to_numpy(), IDS)


HEADER = "{'descr': '<u4', 'fortran_order': False, 'shape': %s, }"


def npy_with(path, header, *, length=None):
    """A ``.npy`` of version 2 whose header says what is wanted, and may lie about its length."""
    n = len(header) if length is None else length
    path.write_bytes(b"\x93NUMPY\x02\x00" + struct.pack("<I", n) + header.encode() + bytes(64))
    return path


@pytest.mark.parametrize(
    ("header", "length", "told"),
    [
        (HEADER % "(-2, -2)", None, r"holds an array of shape \(-2, -2\)"),
        (HEADER % "(4, 4", None, "damaged"),
        (HEADER % "(4, 4)", 2**32 - 1, "declares a header of 4294967295 bytes"),
    ],
)
def test_a_damaged_header_of_a_npy_is_named_before_anything_is_taken(
    tmp_path, header, length, told
):
    path = npy_with(tmp_path / "a.npy", header, length=length)

    with pytest.raises(ReadError, match=rf"a\.npy: .*{told}"):
        read_labels(path)


def test_a_header_that_breaks_off_in_python_is_named(tmp_path):
    path = npy(tmp_path / "a.npy", IDS.astype(np.uint32))
    path.write_bytes(path.read_bytes().replace(b"}", b"("))

    with pytest.raises(ReadError, match=r"a\.npy: "):
        read_labels(path)
