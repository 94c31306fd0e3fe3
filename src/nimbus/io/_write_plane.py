"""One plane as a TIFF, written tile by tile."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from xml.sax.saxutils import escape

import dask.array as da
import numpy as np
import tifffile

from nimbus._types import AnyArray

from ._whole import whole_file

TILE = 256

ROWS = 4
"""Rows of tiles that are computed at once."""


def write_plane(path: Path, plane: da.Array, *, name: str | None = None) -> None:
    """Write a plane ``(y, x)`` as a tiled, deflated TIFF; an error leaves no half of a file.

    No more than some rows of tiles are in memory.

    Parameters
    ----------
    path
        File to write or replace.
    plane
        Values; ``uint8``, ``uint16``, ``uint32`` and ``float32`` stay what they are.
    name
        Stands in the description as ``<image><name>...</name></image>``, where Mantis Viewer
        looks for the name of a marker.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "CD3.tiff"
    >>> write_plane(path, da.arange(6, dtype="uint16").reshape(2, 3), name="CD3 ε")
    >>> tifffile.imread(path).tolist()
    [[0, 1, 2], [3, 4, 5]]
    """
    described = None if name is None else f"<image><name>{escape(name)}</name></image>"
    with whole_file(path) as spare:
        tifffile.imwrite(
            spare,
            _tiles(plane),
            shape=plane.shape,
            dtype=plane.dtype,
            tile=(TILE, TILE),
            compression="zlib",
            photometric="minisblack",
            metadata=None,
            # Characters beyond ASCII as references: a TIFF's text has no others.
            description=described and described.encode("ascii", "xmlcharrefreplace"),
        )


def _tiles(plane: da.Array) -> Iterator[AnyArray]:
    """Tiles from left to right and top to bottom, those at the edges filled up with 0."""
    height, width = plane.shape
    for top in range(0, height, ROWS * TILE):
        strip = np.asarray(plane[top : top + ROWS * TILE].compute())
        for y in range(0, len(strip), TILE):
            for x in range(0, width, TILE):
                tile = np.zeros((TILE, TILE), dtype=plane.dtype)
                part = strip[y : y + TILE, x : x + TILE]
                tile[: part.shape[0], : part.shape[1]] = part
                yield tile
