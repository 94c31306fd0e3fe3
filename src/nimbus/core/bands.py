"""Some rows at a time, where a whole tile would need large arrays that are gone at once."""

from __future__ import annotations

from collections.abc import Iterator

BAND_PIXELS = 2**18
"""Pixels of a band: their ids in 64 bits are 2 MB, what a core has of cache."""


def bands(n_rows: int, width: int) -> Iterator[slice]:
    """Consecutive rows that cover all, of about `BAND_PIXELS` pixels and at least one row.

    Examples
    --------
    >>> list(bands(5, BAND_PIXELS // 2))
    [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]
    >>> list(bands(0, 7))
    []
    """
    step = max(1, BAND_PIXELS // max(1, width))
    for first in range(0, n_rows, step):
        yield slice(first, min(first + step, n_rows))
