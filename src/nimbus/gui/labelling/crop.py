"""The cell that is judged and what is around it, as it is drawn."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nimbus._types import FloatArray, IntArray
from nimbus.core.outlines import outlines
from nimbus.data.elements import element_array
from nimbus.data.part import PlacedField
from nimbus.gui.scene import LabelScene
from nimbus.gui.tissue import LabelledTissue, Window

CROP_PIXELS = 560
"""Pixels along a side of the crop that are read and sent."""

FIELD_PIXELS = 420
"""Pixels along a side of the whole field that are read and sent."""

AROUND = 9.0
"""Side of the crop in diameters of a cell."""

NEAR = 3
"""Label pixels around a centroid in which its cell must be."""

Lines = tuple[list[list[float]], list[list[float]]]
"""x and y of each line."""


@dataclass(frozen=True, slots=True, eq=False)
class Crop:
    """What is drawn of a field.

    Parameters
    ----------
    values
        Intensity of the marker, ``(y, x)``.
    second
        Intensity of the second channel, or ``None``.
    extent
        Left, right, top and bottom in units of the coordinate system.
    own
        Outline of the cell that is judged.
    others
        Outlines of its neighbours.
    """

    values: NDArray[np.float32]
    second: NDArray[np.float32] | None
    extent: Window
    own: Lines
    others: Lines


@dataclass(frozen=True, slots=True, eq=False)
class Microscope:
    """Looks at cells of a tissue whose nodes are the rows of its table.

    Parameters
    ----------
    tissue
        Images and labels; :meth:`LabelledTissue.node_at` gives rows.
    field_of
        Field of each row, as a position in ``tissue.fields``; -1 for none.
    ids
        Cell id of each row.
    guess
        Centroid (x, y) of each row where the table has it, ``(row, 2)``; NaN where not.
    """

    tissue: LabelledTissue
    field_of: IntArray
    ids: NDArray[np.int64]
    guess: FloatArray
    _boxes: dict[str, dict[int, Window]] = field(default_factory=dict)

    def field(self, row: int) -> str:
        """Name of the labels element of a row."""
        return self.tissue.fields[int(self.field_of[row])]

    def place(self, row: int) -> tuple[float, float] | None:
        """Centre (x, y) of a cell; ``None`` where the labels do not hold it.

        The centroid of the table is taken where it lies in or beside the cell, because a whole
        slide need not be read then; otherwise the labels of the field are read once.
        """
        field = self.field(row)
        x, y = (float(value) for value in self.guess[row])
        if np.isfinite((x, y)).all() and self._holds(field, int(self.ids[row]), x, y):
            return x, y
        if field not in self._boxes:
            self._boxes[field] = _boxes(self.tissue, field)
        box = self._boxes[field].get(int(self.ids[row]))
        return None if box is None else ((box[0] + box[1]) / 2, (box[2] + box[3]) / 2)

    def around(self, row: int, side: float) -> Window:
        """A square window around a cell; the whole field where the labels do not hold it."""
        place = self.place(row)
        if place is None:
            return self.tissue.whole(self.field(row))
        x, y = place
        return x - side / 2, x + side / 2, y - side / 2, y + side / 2

    def crop(self, row: int, channel: str, second: str | None, window: Window) -> Crop:
        """Read what is seen through a window."""
        field = self.field(row)
        scene = self.tissue.scene(field, channel, window, max_pixels=CROP_PIXELS)
        if not isinstance(scene, LabelScene):
            raise TypeError("labels have no outlines")
        over = None
        if second is not None:
            over = self.tissue.scene(field, second, window, max_pixels=CROP_PIXELS).values
        own, others = outline_lines(scene.node, row, scene.extent)
        return Crop(scene.values, over, scene.extent, own, others)

    def overview(self, field: str, channel: str) -> tuple[NDArray[np.float32], Window]:
        """Intensities of a whole field and where it lies."""
        whole = self.tissue.whole(field)
        scene = self.tissue.scene(field, channel, whole, max_pixels=FIELD_PIXELS)
        return scene.values, scene.extent

    def _holds(self, field: str, cell: int, x: float, y: float) -> bool:
        labels = element_array(self.tissue.sdata.labels[field])
        row, column = _label_place(self.tissue.placed[field], x, y)
        top, left = max(0, row - NEAR), max(0, column - NEAR)
        near = labels[top : max(0, row + NEAR + 1), left : max(0, column + NEAR + 1)]
        return bool((np.asarray(near.compute()) == cell).any())


def outline_lines(rows: IntArray, row: int, extent: Window) -> tuple[Lines, Lines]:
    """Outlines of a cell and of all others, along the sides of drawn pixels.

    Parameters
    ----------
    rows
        Row of the cell at each drawn pixel, ``(y, x)``; -1 for none.
    row
        The cell.
    extent
        Where the pixels lie.

    Examples
    --------
    >>> own, others = outline_lines(np.array([[7, -1, 8]]), 7, (0.0, 6.0, 0.0, 2.0))
    >>> own
    ([[0.0, 2.0, 2.0, 0.0, 0.0]], [[0.0, 0.0, 2.0, 2.0, 0.0]])
    >>> len(others[0])
    1
    """
    left, right, top, bottom = extent
    size = (right - left) / rows.shape[1], (bottom - top) / rows.shape[0]
    own: Lines = ([], [])
    others: Lines = ([], [])
    for cell, pieces in outlines([rows.astype(np.int64) + 1]).items():
        lines = own if cell == row + 1 else others
        for ring in (ring for piece in pieces for ring in piece):
            closed = np.concatenate([ring, ring[:1]])
            lines[0].append((left + closed[:, 0] * size[0]).tolist())
            lines[1].append((top + closed[:, 1] * size[1]).tolist())
    return own, others


def _label_place(placed: PlacedField, x: float, y: float) -> tuple[int, int]:
    """Label pixel (row, column) at a place."""
    found = []
    for axis, place in ((placed.y, y), (placed.x, x)):
        pixel = (place - axis.start) / axis.unit
        found.append(int(np.floor((pixel - axis.pixels.label_start) / axis.pixels.label_size)))
    return found[0], found[1]


def _boxes(tissue: LabelledTissue, field: str) -> dict[int, Window]:
    """Where each cell of a field lies; its labels are read in strips of rows."""
    labels, placed = element_array(tissue.sdata.labels[field]), tissue.placed[field]
    spans: dict[int, list[int]] = {}
    strip = max(1, 2**24 // max(1, labels.shape[1]))
    for top in range(0, labels.shape[0], strip):
        part = np.asarray(labels[top : top + strip].compute())
        _spans(part, top, spans)
    ends = [
        [
            axis.place(axis.pixels.label_start + span[k] * axis.pixels.label_size)
            for axis, k in ((placed.x, 0), (placed.x, 1), (placed.y, 2), (placed.y, 3))
        ]
        for span in spans.values()
    ]
    return {cell: (e[0], e[1], e[2], e[3]) for cell, e in zip(spans, ends, strict=True)}


def _spans(part: IntArray, top: int, spans: dict[int, list[int]]) -> None:
    """Widen the pixels (left, right, top, bottom) of each cell by those of a strip."""
    ids, which = np.unique(part, return_inverse=True)
    boxes = ndimage.find_objects(which.reshape(part.shape) + 1)
    for cell, (y, x) in zip(ids.tolist(), boxes, strict=True):
        if cell:
            new = [x.start, x.stop, y.start + top, y.stop + top]
            old = spans.get(cell, new)
            ends = zip((min, max, min, max), old, new, strict=True)
            spans[cell] = [pick(a, b) for pick, a, b in ends]
