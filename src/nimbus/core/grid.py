"""How pixels of an image, its labels and the network's grid lie on each other.

::

    image    |  0  |  1  |  2  |  3  |  4  |     5 pixels of size 1
    labels   |     0     |     1     |   2       label_size 2
    network  |     0     |     1     |   2       factor 2: the last pixel is cut by the edge
    half     |  0  |  1  |  2  |  3  |  4  |     half a network pixel: here borders are drawn

All lengths are in image pixels. Every function takes global indices, so that a tile computes
exactly what the whole image would.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from nimbus._types import BoolArray, FloatArray, IntArray

_ROUNDING = 1e-6
"""A network pixel counts only if more than this part of it lies in the image."""

OUTSIDE = -1
"""Index of a place that the labels do not cover."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis (y or x) of a field.

    Parameters
    ----------
    n_image, n_labels
        Pixels of the image and of the labels.
    factor
        Size of a network pixel, in image pixels.
    label_size
        Size of a label pixel, in image pixels.
    label_start
        Where the first label pixel begins, in image pixels.
    rest
        How much of the image lies past its last pixel, in image pixels: a coarse level of an odd
        size leaves out what fills no pixel. It belongs to the last pixel.

    Examples
    --------
    >>> axis = Axis(n_image=5, n_labels=5, factor=2.0)
    >>> axis.n_network
    3
    >>> axis.network_of_labels(0, 5)
    array([0, 0, 1, 1, 2])
    >>> axis.labels_of_network(1, 2)
    (2, 4)
    """

    n_image: int
    n_labels: int
    factor: float
    label_size: float = 1.0
    label_start: float = 0.0
    rest: float = 0.0

    @property
    def n_network(self) -> int:
        """Network pixels that cover the image; the last may be cut by its edge."""
        return max(1, math.ceil(self.n_image / self.factor - _ROUNDING))

    @property
    def n_half(self) -> int:
        """Half network pixels that cover the image."""
        return max(1, math.ceil(2 * self.n_image / self.factor - _ROUNDING))

    def network_of_labels(self, start: int, stop: int) -> IntArray:
        """Nearest network pixel of each label pixel ``start <= i < stop``.

        `OUTSIDE` where the centre of the label pixel is not on the image.
        """
        centre = self._label_centres(start, stop)
        index = np.floor(centre / self.factor + _ROUNDING).astype(np.int64)
        return np.where(self._on_image(centre), np.minimum(index, self.n_network - 1), OUTSIDE)

    def labels_of_network(self, start: int, stop: int) -> tuple[int, int]:
        """First and last+1 label pixel whose nearest network pixel is in ``start <= k < stop``."""
        end = self.n_image + self.rest if stop >= self.n_network else stop * self.factor
        low = (start * self.factor - self.label_start) / self.label_size - 2
        high = (end - self.label_start) / self.label_size + 2
        first = min(max(math.floor(low), 0), self.n_labels)
        last = max(min(math.ceil(high), self.n_labels), first)
        network = self.network_of_labels(first, last)
        hit = np.flatnonzero((network >= start) & (network < stop))
        return (first + int(hit[0]), first + int(hit[-1]) + 1) if hit.size else (first, first)

    def labels_of_half(self, start: int, stop: int) -> IntArray:
        """Label pixel at the centre of each half pixel ``start <= j < stop``.

        Half pixels beyond the image repeat its edge; `OUTSIDE` where there are no labels.
        """
        half = np.clip(np.arange(start, stop), 0, self.n_half - 1)
        centre = np.minimum((half + 0.5) * self.factor / 2, self.n_image - 0.5)
        index = np.floor((centre - self.label_start) / self.label_size + _ROUNDING)
        inside = (index >= 0) & (index < self.n_labels)
        return np.where(inside, index, OUTSIDE).astype(np.int64)

    def image_of_network(self, start: int, stop: int) -> tuple[int, int]:
        """First and last+1 image pixel that network pixels ``start <= k < stop`` touch."""
        first = math.floor(start * self.factor + _ROUNDING)
        last = math.ceil(stop * self.factor - _ROUNDING)
        return min(first, self.n_image - 1), min(max(last, first + 1), self.n_image)

    def finest_of_labels(self, start: int, stop: int) -> tuple[IntArray, IntArray]:
        """Label and image pixel at each place of label pixels ``start <= i < stop``.

        Places are label pixels, or image pixels where those are smaller; those off the image
        are left out. A mean over places is the mean over the area.
        """
        if self.label_size <= 1:
            centre = self._label_centres(start, stop)
            inside = self._on_image(centre)
            label = np.arange(start, stop)[inside]
            image = np.floor(centre[inside] + _ROUNDING).astype(np.int64)
        else:  # the rest counts as one more image pixel, where the image covers its centre
            n_places = _first_centre(np.array(self.n_image + self.rest))
            edges = self.label_start + np.array([start, stop]) * self.label_size
            image = np.arange(*np.clip(_first_centre(edges), 0, n_places))
            label = np.floor((image + 0.5 - self.label_start) / self.label_size + _ROUNDING)
        return label.astype(np.int64), np.minimum(image, self.n_image - 1)

    def _on_image(self, centre: FloatArray) -> BoolArray:
        return (centre >= -_ROUNDING) & (centre < self.n_image + self.rest - _ROUNDING)

    def _label_centres(self, start: int, stop: int) -> FloatArray:
        return self.label_start + (np.arange(start, stop) + 0.5) * self.label_size


def _first_centre(edge: FloatArray) -> IntArray:
    """First pixel whose centre does not lie before an edge."""
    first: IntArray = np.ceil(edge - 0.5 - _ROUNDING).astype(np.int64)
    return first


@dataclass(frozen=True, slots=True)
class Grid:
    """Both axes of a field."""

    y: Axis
    x: Axis

    @property
    def network_shape(self) -> tuple[int, int]:
        """Rows and columns of the network's grid."""
        return self.y.n_network, self.x.n_network

    @property
    def label_area(self) -> float:
        """Network pixels that a label pixel spans."""
        return self.y.label_size * self.x.label_size / (self.y.factor * self.x.factor)


def same_grid(shape: tuple[int, int], factor: float) -> Grid:
    """Grid of an image and labels of one `shape` that lie pixel on pixel.

    Examples
    --------
    >>> same_grid((8, 10), factor=2.0).network_shape
    (4, 5)
    """
    return Grid(*(Axis(n_image=n, n_labels=n, factor=factor) for n in shape))
