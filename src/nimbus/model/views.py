"""The eight turns and mirrors of a square, each with its own inverse.

They are made of transposing and flipping alone, which NumPy arrays and PyTorch tensors share.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class View:
    """A mirror at the diagonal, then mirrors of the axes; each may be left out.

    Parameters
    ----------
    name
        What the view does.
    transpose
        Swap y and x first.
    flip_y, flip_x
        Then reverse an axis.

    Examples
    --------
    >>> image = np.array([[1, 2, 3], [4, 5, 6]])
    >>> turned = VIEWS[1].apply(image)
    >>> turned
    array([[3, 6],
           [2, 5],
           [1, 4]])
    >>> VIEWS[1].invert(turned)
    array([[1, 2, 3],
           [4, 5, 6]])
    """

    name: str
    transpose: bool
    flip_y: bool
    flip_x: bool

    def apply(self, image: NDArray[np.generic]) -> NDArray[np.generic]:
        """The view of an image, axes ``(..., y, x)``; shares its memory."""
        if self.transpose:
            image = np.swapaxes(image, -1, -2)
        return self._flipped(image)

    def invert(self, image: NDArray[np.generic]) -> NDArray[np.generic]:
        """The image that has this view; shares its memory."""
        image = self._flipped(image)
        return np.swapaxes(image, -1, -2) if self.transpose else image

    def _flipped(self, image: NDArray[np.generic]) -> NDArray[np.generic]:
        if self.flip_y:
            image = image[..., ::-1, :]
        return image[..., ::-1] if self.flip_x else image


VIEWS = (
    View("identity", transpose=False, flip_y=False, flip_x=False),
    View("turn 90", transpose=True, flip_y=True, flip_x=False),
    View("turn 180", transpose=False, flip_y=True, flip_x=True),
    View("turn 270", transpose=True, flip_y=False, flip_x=True),
    View("mirror y", transpose=False, flip_y=True, flip_x=False),
    View("mirror x", transpose=False, flip_y=False, flip_x=True),
    View("transpose", transpose=True, flip_y=False, flip_x=False),
    View("mirror at the antidiagonal", transpose=True, flip_y=True, flip_x=True),
)
"""All eight; the first leaves the image as it is."""

IDENTITY = VIEWS[0]


def views(tta: bool) -> tuple[View, ...]:
    """The views that are averaged: all eight with test-time augmentation, else one.

    Examples
    --------
    >>> len(views(tta=True)), [view.name for view in views(tta=False)]
    (8, ['identity'])
    """
    return VIEWS if tta else (IDENTITY,)
