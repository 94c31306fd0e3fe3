"""Label images: cell ids in TIFF, OME-TIFF, QuPath's coloured masks, PNG and ``.npy``."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from nimbus._check import listed
from nimbus._types import IntArray

from ._stack import ImageStack
from .errors import read_error
from .label_arrays import read_npy, read_png
from .plain_tiff import read_tiff

MAX_ID = 2**31 - 1

_PLAIN = {".png": read_png, ".npy": read_npy}
"""Reader by ending; all others are TIFFs."""


def read_labels(path: Path) -> da.Array:
    """Cell ids of a label image, axes ``(y, x)``, lazy; 0 is background.

    Accepted are integers of any width in a TIFF or a ``.npy``, grey values of 8 or 16 bits in a
    ``.png``, and in a TIFF 8-bit colours as QuPath writes them: the id is
    ``red * 256**2 + green * 256 + blue``, and an alpha sample is passed over. ``uint8`` and
    ``uint16`` stay what they are, wider types become ``int32``.

    Parameters
    ----------
    path
        The file, of a kind that its ending tells; a TIFF also as OME-TIFF.

    Raises
    ------
    ReadError
        Several planes or values that are no integers; when computed, negative ids and ids above
        2**31 - 1.
    """
    plain = _PLAIN.get(path.suffix.lower())
    if plain is None:
        return _read_tiff(path)
    plane = plain(path)
    _check_type(plane.dtype, path)
    return _as_ids(plane, path)


def _read_tiff(path: Path) -> da.Array:
    """Cell ids of a TIFF."""
    stack = read_tiff(path)
    n_planes, dtype = stack.array.shape[0], stack.array.dtype
    if n_planes in (3, 4) and _one_page(stack) and dtype == np.uint8:
        colours = stack.array.rechunk({0: n_planes})
        ids: da.Array = colours.map_blocks(ids_of_colours, dtype=np.int32, drop_axis=0)
        return ids
    if n_planes != 1:
        raise read_error(
            path,
            f"holds {n_planes} planes of {dtype} ({listed(stack.channels)}); labels are one plane "
            "of integers, or 8-bit RGB as QuPath exports it",
        )
    _check_type(stack.planes[0].page.dtype if stack.planes else dtype, path)
    return _as_ids(stack.array[0], path)


def _as_ids(plane: da.Array, path: Path) -> da.Array:
    """``uint8`` and ``uint16`` as they are, others as ``int32``, checked when they are computed."""
    if plane.dtype in (np.uint8, np.uint16):
        return plane
    ids: da.Array = da.map_blocks(partial(_checked_ids, path=str(path)), plane, dtype=np.int32)
    return ids


def ids_of_colours(colours: NDArray[np.uint8]) -> NDArray[np.int32]:
    """Cell ids that QuPath packed into colours.

    Parameters
    ----------
    colours
        Red, green, blue and perhaps alpha; axes ``(c, y, x)``.

    Examples
    --------
    >>> ids_of_colours(np.array([[[0, 1]], [[1, 0]], [[2, 3]], [[255, 0]]], dtype=np.uint8))
    array([[  258, 65539]], dtype=int32)
    """
    red, green, blue = (colours[i].astype(np.int32) for i in range(3))
    packed: NDArray[np.int32] = red * 256**2 + green * 256 + blue
    return packed


def _one_page(stack: ImageStack) -> bool:
    return len({(plane.page.path, plane.page.offset) for plane in stack.planes}) == 1


def _check_type(dtype: np.dtype[np.generic], path: Path) -> None:
    if dtype.kind == "f":
        raise read_error(
            path,
            f"labels are of type {dtype}; cell ids are integers: if they are whole numbers, save "
            "them again as such, e.g. tifffile.imwrite(new, tifffile.imread(old).astype('uint32'))",
        )
    if dtype.kind not in "ui":
        raise read_error(
            path,
            "labels are black and white: they say where cells are, not which; label the cells, "
            "e.g. with skimage.measure.label",
        )


def _checked_ids(labels: IntArray, path: str) -> NDArray[np.int32]:
    low, high = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
    if low < 0 or high > MAX_ID:
        raise read_error(
            path,
            f"holds ids from {low} to {high}; cell ids are between 0 (background) and {MAX_ID}: "
            "relabel them, e.g. with skimage.segmentation.relabel_sequential",
        )
    return labels.astype(np.int32)
