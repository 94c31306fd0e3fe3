"""Rectangles of pixels."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Box:
    """Half-open rectangle: rows ``y0 <= y < y1``, columns ``x0 <= x < x1``.

    Examples
    --------
    >>> box = Box(0, 4, 2, 8)
    >>> box.shape, box.grown(3).clipped((6, 9))
    ((4, 6), Box(y0=0, y1=6, x0=0, x1=9))
    """

    y0: int
    y1: int
    x0: int
    x1: int

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns."""
        return self.y1 - self.y0, self.x1 - self.x0

    @property
    def slices(self) -> tuple[slice, slice]:
        """Index of this box in an array of axes ``(y, x)``."""
        return slice(self.y0, self.y1), slice(self.x0, self.x1)

    def grown(self, margin: int) -> Box:
        """The box with `margin` more pixels on each side."""
        return Box(self.y0 - margin, self.y1 + margin, self.x0 - margin, self.x1 + margin)

    def clipped(self, shape: tuple[int, int]) -> Box:
        """The part of the box inside an image of `shape`."""
        height, width = shape
        return Box(
            min(max(self.y0, 0), height),
            min(max(self.y1, 0), height),
            min(max(self.x0, 0), width),
            min(max(self.x1, 0), width),
        )

    def joined(self, other: Box) -> Box:
        """The smallest box that holds this one and `other`.

        Examples
        --------
        >>> Box(0, 4, 2, 8).joined(Box(3, 5, 0, 1))
        Box(y0=0, y1=5, x0=0, x1=8)
        """
        return Box(
            min(self.y0, other.y0),
            max(self.y1, other.y1),
            min(self.x0, other.x0),
            max(self.x1, other.x1),
        )

    def relative_to(self, other: Box) -> Box:
        """This box in the coordinates of `other`'s upper left corner."""
        return Box(self.y0 - other.y0, self.y1 - other.y0, self.x0 - other.x0, self.x1 - other.x0)
