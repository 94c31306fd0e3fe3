"""Which compressions nimbus decodes, and how far each can blow up a few bytes."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from tifffile import COMPRESSION

from .errors import read_error

MAX_SEGMENT_BYTES = 2**31
"""A compressed strip or tile is decoded in one piece; a larger one is refused."""


@dataclass(frozen=True, slots=True)
class Codec:
    """A compression.

    Parameters
    ----------
    name
        As in an error message.
    ratio
        Decoded bytes that one stored byte can give at most; ``None`` where the format has no
        such bound.
    """

    name: str
    ratio: float | None


# Bounds follow from the formats. Deflate: 258 bytes for 2 bits. LZW: a code of 12 bits stands for
# at most 3,838 bytes. PackBits: 128 bytes for 2. Zstandard: a run block of 128 KiB takes 4 bytes.
DEFLATE_RATIO = 1040
_DEFLATE = Codec("deflate", DEFLATE_RATIO)
_JPEG2000 = Codec("JPEG 2000", None)
_CODECS: dict[int, Codec] = {
    COMPRESSION.NONE: Codec("none", 1),
    COMPRESSION.LZW: Codec("LZW", 2600),
    COMPRESSION.ADOBE_DEFLATE: _DEFLATE,
    COMPRESSION.DEFLATE: _DEFLATE,
    COMPRESSION.PACKBITS: Codec("PackBits", 64),
    COMPRESSION.LZMA: Codec("LZMA", 10_000),
    COMPRESSION.ZSTD: Codec("Zstandard", 33_000),
    COMPRESSION.JPEG: Codec("JPEG", None),
    COMPRESSION.APERIO_JP2000_YCBC: _JPEG2000,
    COMPRESSION.APERIO_JP2000_RGB: _JPEG2000,
    COMPRESSION.JPEG_2000_LOSSY: _JPEG2000,
    COMPRESSION.JPEG2000: _JPEG2000,
}
_JPEG_SIZE_MARKERS = {0xC0, 0xC1, 0xC2, 0xC3, 0xC9, 0xCA, 0xCB}
_JPEG2000_START = b"\xff\x4f\xff\x51"


def codec_of(compression: int, path: str) -> Codec:
    """The compression of that TIFF number.

    Raises
    ------
    ReadError
        nimbus does not decode it.

    Examples
    --------
    >>> codec_of(5, "a.tiff").name
    'LZW'
    """
    codec = _CODECS.get(int(compression))
    if codec is None:
        names = ", ".join(sorted({codec.name for codec in _CODECS.values()}))
        raise read_error(
            path,
            f"compression {int(compression)} is not read; nimbus reads {names}: save the file "
            "again with one of these",
        )
    return codec


def check_stated_size(data: bytes, compression: int, most_pixels: int, path: str) -> None:
    """Refuse a JPEG or JPEG 2000 segment whose own header promises more pixels than the TIFF.

    Raises
    ------
    ReadError
        Decoding it would take more memory than the TIFF declares.
    """
    codec = _CODECS.get(int(compression))
    if codec is None or codec.ratio is not None:
        return
    height, width = _jpeg2000_size(data) if codec is _JPEG2000 else _jpeg_size(data)
    if height * width > most_pixels:
        raise read_error(
            path, f"a {codec.name} segment of {height} x {width} pixels where {most_pixels} fit"
        )


def _jpeg_size(data: bytes) -> tuple[int, int]:
    """Rows and columns in the frame header; (0, 0) where there is none."""
    at = 2
    while at + 9 <= len(data):
        marker, length = struct.unpack(">HH", data[at : at + 4])
        if marker & 0xFF in _JPEG_SIZE_MARKERS:
            height, width = struct.unpack(">HH", data[at + 5 : at + 9])
            return height, width
        at += 2 + length
    return 0, 0


def _jpeg2000_size(data: bytes) -> tuple[int, int]:
    """Rows and columns of the reference grid; (0, 0) where there is no codestream."""
    at = data.find(_JPEG2000_START)
    if at < 0 or at + 16 > len(data):
        return 0, 0
    width, height = struct.unpack(">II", data[at + 8 : at + 16])
    return height, width
