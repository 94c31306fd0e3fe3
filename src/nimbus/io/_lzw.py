"""Whether LZW bytes can be decoded: imagecodecs takes the first code of a table unseen."""

from __future__ import annotations

from functools import cache

import numpy as np

from nimbus._types import AnyArray

from .errors import read_error

_CLEAR, _END, _LOW = 256, 257, 9
_MOST_CODES = 4864
"""Codes behind a clear code, and the next clear code; imagecodecs gives up on more."""
_NO_CODE = 8


def check_lzw(data: bytes, path: str) -> None:
    """Refuse LZW bytes where the code behind a clear code stands for no byte.

    The decoder itself refuses bytes that begin with no clear code, and later codes beyond the
    table. Both orders of codes are checked: that of TIFF 6, and the older one.

    Raises
    ------
    ReadError
        Decoding would read memory that was never written.

    Examples
    --------
    >>> check_lzw(bytes([128, 0, 64, 64]), "a.tiff")
    """
    reverse = len(data) > 1 and data[0] == 0 and data[1] & 1 == 1
    if not reverse and data[:1] != b"\x80":
        return
    places, above = _candidates(data, reverse)
    allowed = _allowed(reverse)
    at = 0
    while at + _LOW <= 8 * len(data):
        code = _low_bits(data, at, reverse)
        if code > _END:
            raise read_error(path, f"damaged: LZW code {code} behind a clear code")
        if code == _END:
            return
        if code == _CLEAR:
            at += _LOW
            continue
        start, stop = places.searchsorted((at, at + len(allowed)))
        offsets = places[start:stop] - at
        found = np.flatnonzero((above[start:stop] & allowed[offsets]) == 0)
        if not len(found):
            return
        nth = int(found[0])
        at = int(places[start + nth])
        if _low_bits(data, at, reverse) == _END:
            return
        at += _LOW + (int(allowed[offsets[nth]]).bit_count() if reverse else 0)


def _low_bits(data: bytes, at: int, reverse: bool) -> int:
    """The nine lowest bits of a code."""
    pair = int.from_bytes(data[at // 8 : at // 8 + 2], "little" if reverse else "big")
    return (pair >> (at % 8 if reverse else 7 - at % 8)) & 0x1FF


def _candidates(data: bytes, reverse: bool) -> tuple[AnyArray, AnyArray]:
    """Bits where the nine lowest of a clear or end code may begin, and the three bits above them.

    Eight of the nine are a one and seven zeros. In the older order these are found from the end.
    """
    padded = np.frombuffer(b"\0" + (data[::-1] if reverse else data) + b"\0", np.uint8)
    here, after = padded[1:-1], padded[2:]
    lowest_one = here & -here
    at = np.flatnonzero((after >> 1) < lowest_one)
    bit = (8 - np.frexp(lowest_one[at].astype(np.float32))[1]).astype(np.int64)
    above = ((padded[at].astype(np.int64) << 8) | here[at]) >> (8 - bit)
    places = 8 * at + bit
    above = (above & 7 | _NO_CODE).astype(np.uint8)
    if reverse:
        places, above = (8 * len(data) - _LOW - places)[::-1], above[::-1]
    whole = (places >= 0) & (places + _LOW <= 8 * len(data))
    return places[whole], above[whole]


@cache
def _allowed(reverse: bool) -> AnyArray:
    """Which bits above must be zero, for each bit behind a clear code where nine lowest begin.

    `_NO_CODE` where no code has its nine lowest bits.
    """
    # An entry is made with each code but the first. TIFF 6 widens the codes one entry early.
    length = np.arange(_MOST_CODES) + (_END if reverse else _END + 1)
    width = _LOW + sum((length >= limit).astype(np.int64) for limit in (512, 1024, 2048))
    stops = np.cumsum(width)
    allowed = np.full(stops[-1], _NO_CODE, np.uint8)
    allowed[stops - (width if reverse else _LOW)] = (1 << (width - _LOW)) - 1
    return allowed
