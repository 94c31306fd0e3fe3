"""What a task reads: one field's image and labels, lazily, and how they lie on each other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, get_args

import dask.array as da
import numpy as np
from numpy.typing import NDArray

from nimbus._types import AnyArray, IntArray
from nimbus.core.boxes import Box
from nimbus.core.grid import Grid
from nimbus.core.intensity import first_not_finite

from .damage import READ_ERRORS, damaged_chunk
from .pixels import box_of

MAX_ID = 2**31 - 1
"""Largest cell id."""

NanRule = Literal["raise", "zero"]
"""What to do with NaN and infinite pixels."""


def require_nan_rule(nan: str) -> None:
    """Raise ``ValueError`` for a rule that does not exist."""
    if nan not in get_args(NanRule):
        raise ValueError(f"nan={nan!r} is not one of {get_args(NanRule)}")


@dataclass(frozen=True, slots=True, eq=False)
class FieldSource:
    """One field, ready to be read box by box.

    Parameters
    ----------
    image_name, labels_name
        Names for messages and for the fingerprint.
    image
        Scored channels, axes ``(c, y, x)``; none where the image lacks all of them.
    labels
        Cell ids, axes ``(y, x)``.
    grid
        How image, labels and network lie on each other.
    channels
        Name of each channel.
    scales
        Divisor of each channel; 0 for a channel without signal.
    nan
        ``"zero"`` reads NaN and infinite pixels as 0, ``"raise"`` refuses them.
    """

    image_name: str
    labels_name: str
    image: da.Array
    labels: da.Array
    grid: Grid
    channels: tuple[str, ...]
    scales: NDArray[np.float64]
    nan: NanRule = "raise"

    def read_labels(self, box: Box) -> IntArray:
        """Cell ids of `box`, in label pixels, axes ``(y, x)``.

        Raises
        ------
        ValueError
            An id below 0 or above 2**31 - 1.
        """
        ids = read_box(self.labels, box, name=self.labels_name)
        if ids.size and (int(ids.min()) < 0 or int(ids.max()) > MAX_ID):
            raise ValueError(
                f"labels {self.labels_name!r} hold ids from {ids.min()} to {ids.max()}; cell ids "
                f"are between 0 (background) and {MAX_ID}: relabel them, e.g. with "
                "skimage.segmentation.relabel_sequential"
            )
        return ids

    def read_image(self, group: slice, box: Box) -> AnyArray:
        """Intensities of some channels in `box`, in image pixels, axes ``(c, y, x)``."""
        part = read_box(self.image, box, name=self.image_name, group=group)
        return finite(part, self.channels[group], box, image_name=self.image_name, nan=self.nan)

    def channel_groups(self, at_least: int) -> Iterator[slice]:
        """Groups of channels that are whole chunks on disk, each of `at_least` if there are.

        None where the image has none of the channels.
        """
        start = 0
        for end in accumulate(self.image.chunks[0]):
            if end - start >= at_least or start < end == self.image.shape[0]:
                yield slice(start, end)
                start = end


def read_box(array: da.Array, box: Box, *, name: str, group: slice | None = None) -> AnyArray:
    """Pixels of `box`, computed in this thread; an unreadable chunk is named.

    Raises
    ------
    OSError
        A chunk or file of `name` cannot be read.
    """
    index = box.slices if group is None else (group, *box.slices)
    try:
        part: AnyArray = np.asarray(box_of(array, index).compute(scheduler="synchronous"))
    except READ_ERRORS as error:
        chunk = damaged_chunk(array, box)
        damage = "" if chunk is None else f"; the chunk {chunk} is missing, cut off or damaged"
        raise OSError(
            f"element {name!r} cannot be read at rows {box.y0}:{box.y1}, columns "
            f"{box.x0}:{box.x1} ({type(error).__name__}: {error}){damage}"
        ) from error
    return part


def finite(
    image: AnyArray, channels: tuple[str, ...], box: Box, *, image_name: str, nan: NanRule
) -> AnyArray:
    """`image` without NaN and infinite pixels: zeros instead, or an error that names the place.

    Raises
    ------
    ValueError
        There is such a pixel and `nan` is ``"raise"``.
    """
    bad = first_not_finite(image)
    if bad is None:
        return image
    if nan == "zero":
        return np.where(np.isfinite(image), image, image.dtype.type(0))
    channel, y, x = bad
    raise ValueError(
        f"channel {channels[channel]!r} of image {image_name!r} is {image[bad]} at row "
        f"{box.y0 + y}, column {box.x0 + x}; mend the image, or pass nan='zero' to read such "
        "pixels as 0"
    )
