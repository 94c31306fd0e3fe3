"""A sample of an array's content, to tell one input from another."""

from __future__ import annotations

import hashlib

import dask.array as da

from nimbus.core.boxes import Box

from .source import read_box

_SAMPLE = 64
"""Side of the squares whose content is looked at."""


def content_hash(array: da.Array, *, name: str) -> str:
    """Hash of a square at the upper left, the middle and the lower right.

    Parameters
    ----------
    array
        Axes ``(y, x)``, or ``(c, y, x)``: then the middle of every channel, and the corners of
        the first.
    name
        Of the element, for messages.
    """
    digest = hashlib.sha256()
    height, width = array.shape[-2:]
    middle = (height // 2, width // 2)
    for y, x in ((0, 0), middle, (height - _SAMPLE, width - _SAMPLE)):
        box = Box(y, y + _SAMPLE, x, x + _SAMPLE).clipped((height, width))
        group = slice(0, None if (y, x) == middle else 1) if array.ndim == 3 else None
        digest.update(read_box(array, box, name=name, group=group).tobytes())
    return digest.hexdigest()
