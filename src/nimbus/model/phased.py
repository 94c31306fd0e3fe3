"""Feature images in the memory order that the fast convolution wants.

A tile is four columns wide, and the first column of all tiles comes before the second of any::

    column  0 1 2 3 | 4 5 6 7 | 8 9

    memory  . 0 4 8 .   . 1 5 9 .   . 2 6 . .   . 3 7 . .
            phase 0     phase 1     phase 2     phase 3

A column and the one four pixels on are neighbours in memory, so a transform over the columns of
all tiles is one product of matrices. Dots are spare: they hold the rim, one reflected pixel around
the image, and zeros.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .winograd import N_OUT


@dataclass(frozen=True, slots=True)
class Phased:
    """Features of an image with a reflected rim.

    Parameters
    ----------
    data
        Axes ``(row, phase, tile, feature)``; row 0 and tile 0 are spare. Spare places hold finite
        values.
    height, width
        Of the image.

    Examples
    --------
    >>> image = phased(torch.zeros(400), height=5, width=6, n_features=2)
    >>> image.data.shape, image.n_tile_rows, image.n_tiles
    (torch.Size([10, 4, 4, 2]), 2, 2)
    """

    data: Tensor
    height: int
    width: int

    @property
    def n_features(self) -> int:
        """Features of a pixel."""
        return self.data.shape[-1]

    @property
    def n_tiles(self) -> int:
        """Tiles in a row of tiles."""
        return self.data.shape[2] - 2

    @property
    def n_tile_rows(self) -> int:
        """Rows of tiles."""
        return self.data.shape[0] // N_OUT

    def rows(self, start: int, stop: int) -> Tensor:
        """Data of the rows of tiles ``start <= t < stop``, without the rim's rows."""
        return self.data[1 + N_OUT * start : 1 + N_OUT * stop]

    def fill(self, values: Tensor) -> None:
        """Write an image, axes ``(y, x, ...)`` with features along all others, and its rim."""
        place_columns(values, self.data[1 : 1 + self.height])
        self.fill_rim()

    def fill_rim(self) -> None:
        """Reflect the image into its rim, and clear what lies in a tile beyond it.

        A side of one pixel is repeated. What is beyond changes no result but its rounding, which
        must not depend on what the memory held before.
        """
        for outer, inner in _reflections(self.width):
            (p, tile), (q, source) = _place(outer), _place(inner)
            self.data[:, p, tile] = self.data[:, q, source]
        for x in range(self.width + 1, N_OUT * self.n_tiles + 1):
            p, tile = _place(x)
            self.data[:, p, tile] = 0
        for outer, inner in _reflections(self.height):
            self.data[1 + outer] = self.data[1 + inner]
        self.data[2 + self.height :] = 0


def place_columns(values: Tensor, rows: Tensor) -> None:
    """Write pixels ``(y, x, ...)`` to `rows`, ``(y, phase, tile, feature)``; spare places are left.

    The axes of `values` after x are the features.
    """
    rows = rows.view(*rows.shape[:3], *values.shape[2:])
    for phase in range(N_OUT):
        columns = values[:, phase::N_OUT]
        rows[:, phase, 1 : 1 + columns.shape[1]] = columns


def phased(memory: Tensor, *, height: int, width: int, n_features: int) -> Phased:
    """Lay an image of unknown content into flat `memory`, which is larger than needed.

    What `memory` holds must be finite.
    """
    shape = phased_shape(height, width, n_features)
    return Phased(memory[: shape.numel()].view(shape), height, width)


def phased_shape(height: int, width: int, n_features: int) -> torch.Size:
    """Shape of :attr:`Phased.data`."""
    tile_rows, tiles = -(-height // N_OUT), -(-width // N_OUT)
    return torch.Size((N_OUT * tile_rows + 2, N_OUT, tiles + 2, n_features))


def _reflections(size: int) -> tuple[tuple[int, int], tuple[int, int]]:
    """Places outside the image, and where their values come from."""
    return (-1, min(1, size - 1)), (size, max(size - 2, 0))


def _place(x: int) -> tuple[int, int]:
    return x % N_OUT, x // N_OUT + 1
