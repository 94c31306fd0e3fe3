"""LZW: good bytes pass and decode as before; a first code that its table lacks is refused."""

from __future__ import annotations

import imagecodecs
import numpy as np
import pytest
import tifffile

from nimbus.io._lazy import lazy_array, planes_of
from nimbus.io._lzw import check_lzw
from nimbus.io._pages import read_head
from nimbus.io.errors import ReadError

CLEAR, END = 256, 257
ORDERS = pytest.mark.parametrize("reverse", [False, True], ids=["TIFF 6", "older"])


def widths(reverse):
    """Widths of the codes behind a clear code, one after the other, as the format tells them."""
    entries = 258
    yield 9
    while True:
        reached = entries + (0 if reverse else 1)
        yield 9 if reached < 512 else 10 if reached < 1024 else 11 if reached < 2048 else 12
        entries += 1


def packed(codes, reverse):
    bits, width = "", widths(reverse)
    for code in codes:
        written = format(code, f"0{next(width)}b")
        bits += written[::-1] if reverse else written
        if code == CLEAR:
            width = widths(reverse)
    bits += "0" * (-len(bits) % 8)
    step = -1 if reverse else 1
    return bytes(int(bits[at : at + 8][::step], 2) for at in range(0, len(bits), 8))


def first_code_is_wrong(data, reverse):
    """Slow: every code, one by one."""
    bits = "".join(format(byte, "08b")[:: -1 if reverse else 1] for byte in data)
    at, width, first = 0, widths(reverse), False
    while True:
        n = next(width)
        if at + n > len(bits):
            return False
        code = int(bits[at : at + n][:: -1 if reverse else 1], 2)
        at += n
        if code == END:
            return False
        if code == CLEAR:
            first, width = True, widths(reverse)
            continue
        if first and code > END:
            return True
        first = False


def refused(data):
    try:
        check_lzw(data, "a.tiff")
    except ReadError:
        return True
    return False


def images():
    random = np.random.default_rng(0)
    y, x = np.mgrid[:300, :200]
    spots = 40 * (1 + np.sin(x / 9) * np.sin(y / 7))
    return {
        "random": random.integers(0, 256, (300, 200)),
        "constant": np.full((300, 200), 7),
        "like real": random.poisson(spots),
    }


@pytest.mark.parametrize("name", ["random", "constant", "like real"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("predictor", [False, True])
@pytest.mark.parametrize("tile", [None, (64, 48)])
def test_good_files_are_read_bit_for_bit(tmp_path, name, dtype, predictor, tile):
    image = images()[name].astype(dtype)
    path = tmp_path / "a.tiff"
    tifffile.imwrite(path, image, compression="lzw", predictor=predictor, tile=tile)

    values = lazy_array(planes_of(read_head(path).pages[0]))[0].compute()

    assert np.array_equal(values, image)


@ORDERS
@pytest.mark.parametrize("n", [1, 253, 254, 255, 766, 1790, 3838, 4862])
def test_a_table_of_any_length_is_followed_to_the_next_clear_code(n, reverse):
    good = packed([CLEAR, *[7] * n, CLEAR, CLEAR, 9, 258, END, 511, 511], reverse)
    bad = packed([CLEAR, *[7] * n, CLEAR, CLEAR, 267, 5, 258], reverse)

    check_lzw(good, "a.tiff")
    assert imagecodecs.lzw_decode(good, out=n + 3) == bytes([7] * n + [9] * 3)
    with pytest.raises(ReadError, match=r"a\.tiff: damaged: LZW code 267 behind a clear code"):
        check_lzw(bad, "a.tiff")


@ORDERS
def test_damaged_bytes_are_judged_as_by_a_slow_reading(reverse):
    random = np.random.default_rng(1)
    outcomes = []
    for _ in range(100):
        lengths = random.permutation([900, 2100, *random.integers(1, 20, 60)])
        blocks = [[CLEAR, *random.integers(0, 260 + np.arange(length))] for length in lengths]
        data = bytearray(packed([code for block in blocks for code in block], reverse))
        for at in random.integers(2, len(data), 3):
            data[at] = random.integers(0, 256)
        data = bytes(data[: random.integers(2, len(data) + 1)])
        outcomes.append(first_code_is_wrong(data, reverse))
        assert refused(data) == outcomes[-1]
    assert 10 < sum(outcomes) < 90


@ORDERS
def test_bytes_that_are_cut_off_pass(reverse):
    data = packed([CLEAR, *range(200), CLEAR, 3, 258, CLEAR], reverse)
    for length in range(len(data) + 1):
        check_lzw(data[:length], "a.tiff")


@ORDERS
def test_the_decoder_itself_refuses_a_later_code_beyond_the_table(reverse):
    data = packed([CLEAR, 1, 2, 260, END], reverse)

    check_lzw(data, "a.tiff")
    with pytest.raises(RuntimeError, match="CORRUPT"):
        imagecodecs.lzw_decode(data, out=100)


@pytest.mark.parametrize("fill_order", [1, 2])
def test_a_tile_whose_first_code_is_no_byte_is_named(tmp_path, fill_order):
    path = tmp_path / "a.tiff"
    data = packed([CLEAR, 267, 5, 258, END], reverse=False)
    if fill_order == 2:
        data = imagecodecs.bitorder_decode(data)
    tifffile.imwrite(
        path,
        iter([data]),
        byteorder="<",
        shape=(16, 16),
        dtype=np.uint8,
        tile=(16, 16),
        compression="lzw",
        extratags=[(65000, 3, 1, fill_order, True)],
    )
    with tifffile.TiffFile(path) as tiff:  # whose writer does not write the order of bits
        at = tiff.pages[0].tags[65000].offset
    content = bytearray(path.read_bytes())
    content[at : at + 2] = (266).to_bytes(2, "little")
    path.write_bytes(content)

    array = lazy_array(planes_of(read_head(path).pages[0]))

    with pytest.raises(ReadError, match="LZW code 267 behind a clear code"):
        array.compute()
