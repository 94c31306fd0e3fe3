"""Outlines of cells along the sides of their pixels, as polygons with holes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from nimbus._types import IntArray

Ring: TypeAlias = NDArray[np.int64]
"""Corners (x, y) in pixels, shape ``(n, 2)``, the first not repeated at the end."""

Piece: TypeAlias = tuple[Ring, ...]
"""One part of a cell whose pixels hang together by their sides: its rim, then its holes."""

_TOP, _RIGHT, _BOTTOM, _LEFT = range(4)
"""Sides of a pixel, walked with the pixel on the right: ``+x, +y, -x, -y`` with y downwards."""


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """Straight stretches of outlines, each along pixels of one cell; all of shape ``(n,)``.

    Parameters
    ----------
    cell
        Cell id.
    side
        Which side of its pixels.
    start_y, start_x, stop_y, stop_x
        Where it starts and stops.
    """

    cell: IntArray
    side: IntArray
    start_y: IntArray
    start_x: IntArray
    stop_y: IntArray
    stop_x: IntArray


def outlines(strips: Iterable[IntArray]) -> dict[int, tuple[Piece, ...]]:
    """Outline of each cell of a label image that comes in strips of rows.

    A cell that falls into several pieces gets several; pixels that touch at a corner alone are two
    pieces. Rims have a positive area (counterclockwise where y points upwards), holes a negative
    one. Rings never touch themselves, so that strict readers take the polygons.

    Parameters
    ----------
    strips
        Rows of the label image from top to bottom, axes ``(y, x)``; 0 is background. How the rows
        are cut does not matter.

    Returns
    -------
    Pieces by cell id, in increasing order of the ids.

    Examples
    --------
    >>> image = np.array([[7, 7, 0], [0, 0, 70_000]])
    >>> {cell: [ring.tolist() for ring in piece] for cell, (piece,) in outlines([image]).items()}
    {7: [[[0, 0], [2, 0], [2, 1], [0, 1]]], 70000: [[[2, 1], [3, 1], [3, 2], [2, 2]]]}
    """
    runs = _joined(list(_all_runs(strips)))
    found: dict[int, list[Ring]] = {}
    for cell, ring in _rings(runs):
        found.setdefault(cell, []).extend(_parted(ring))
    return {cell: _pieces(found[cell]) for cell in sorted(found)}


def _all_runs(strips: Iterable[IntArray]) -> Iterator[Runs]:
    above: IntArray | None = None
    top = 0
    for strip in strips:
        if strip.size == 0:
            continue
        if above is None:
            above = np.zeros_like(strip[:1])
        yield from _across(np.concatenate([above, strip]), top)
        yield from _down(strip, top)
        above, top = strip[-1:], top + strip.shape[0]
    if above is not None:
        yield from _across(np.concatenate([above, np.zeros_like(above)]), top)


def _across(rows: IntArray, top: int) -> Iterator[Runs]:
    """Upper and lower sides between each row and the next; the second row has number `top`."""
    upper, lower = rows[:-1], rows[1:]
    ends = upper != lower
    for ids, side in ((lower * ends, _TOP), (upper * ends, _BOTTOM)):
        line, first, last, cell = _stretches(ids)
        y = line + top
        start, stop = (first, last) if side == _TOP else (last, first)
        yield Runs(cell, np.full(cell.size, side), y, start, y, stop)


def _down(rows: IntArray, top: int) -> Iterator[Runs]:
    """Left and right sides."""
    padded = np.pad(rows, ((0, 0), (1, 1)))
    left, right = padded[:, :-1], padded[:, 1:]
    ends = left != right
    for ids, side in ((left * ends, _RIGHT), (right * ends, _LEFT)):
        x, first, last, cell = _stretches(ids.T)
        start, stop = (first, last) if side == _RIGHT else (last, first)
        yield Runs(cell, np.full(cell.size, side), start + top, x, stop + top, x)


def _stretches(ids: IntArray) -> tuple[IntArray, IntArray, IntArray, IntArray]:
    """Line, first, last + 1 and id of each stretch of one id along the rows; 0 is none."""
    padded = np.pad(ids, ((0, 0), (1, 1)))
    step = padded[:, 1:] != padded[:, :-1]
    line, first = np.nonzero(step & (padded[:, 1:] != 0))
    _, last = np.nonzero(step & (padded[:, :-1] != 0))
    return line, first, last, ids[line, first].astype(np.int64)


def _joined(parts: Sequence[Runs]) -> Runs:
    none = np.zeros(0, dtype=np.int64)
    names = ("cell", "side", "start_y", "start_x", "stop_y", "stop_x")
    return Runs(*(np.concatenate([none, *(getattr(p, name) for p in parts)]) for name in names))


def _following(runs: Runs) -> IntArray:
    """For each run the one that goes on where it stops.

    At a corner where two pixels of a cell touch, the walk stays with its pixel, so the turn around
    the pixel is tried first.
    """
    width = int(max(runs.start_x.max(), runs.stop_x.max())) + 1
    start = (runs.start_y * width + runs.start_x) * 4 + runs.side
    stop = (runs.stop_y * width + runs.stop_x) * 4
    order = np.argsort(start)
    ranked = start[order]
    following = np.full(start.size, -1)
    for turn in (1, 0, 3):  # around the pixel, straight on (cut by strips), into a bay
        wanted = stop + (runs.side + turn) % 4
        place = np.minimum(np.searchsorted(ranked, wanted), start.size - 1)
        fits = (ranked[place] == wanted) & (runs.cell[order[place]] == runs.cell)
        following = np.where((following < 0) & fits, order[place], following)
    return following


def _rings(runs: Runs) -> Iterator[tuple[int, list[tuple[int, int]]]]:
    """Cell and corners of each closed walk."""
    if runs.cell.size == 0:
        return
    following, sides = _following(runs).tolist(), runs.side.tolist()
    cells = runs.cell.tolist()
    places = list(zip(runs.start_x.tolist(), runs.start_y.tolist(), strict=True))
    done = bytearray(len(cells))
    for first in range(len(cells)):
        if done[first]:
            continue
        walk, here = [], first
        while not done[here]:
            done[here] = 1
            walk.append(here)
            here = following[here]
        corners = [
            places[run]
            for before, run in zip([walk[-1], *walk], walk, strict=False)
            if sides[before] != sides[run]
        ]
        yield cells[first], corners


def _parted(corners: Sequence[tuple[int, int]]) -> list[Ring]:
    """A walk as rings that do not touch themselves: cut where it passes a corner again."""
    if len(set(corners)) == len(corners):
        return [np.array(corners, dtype=np.int64)]
    rings: list[Ring] = []
    open_corners: list[tuple[int, int]] = []
    place: dict[tuple[int, int], int] = {}
    for corner in corners:
        if corner in place:
            loop = open_corners[place[corner] :]
            rings.append(np.array(loop, dtype=np.int64))
            for passed in loop:
                del place[passed]
            del open_corners[-len(loop) :]
        place[corner] = len(open_corners)
        open_corners.append(corner)
    return [*rings, np.array(open_corners, dtype=np.int64)]


def _pieces(rings: Sequence[Ring]) -> tuple[Piece, ...]:
    """Rims, each with the holes inside it."""
    areas = [_area(ring) for ring in rings]
    rims = sorted((area, k) for k, area in enumerate(areas) if area > 0)
    holes: dict[int, list[Ring]] = {k: [] for _, k in rims}
    for ring, area in zip(rings, areas, strict=True):
        if area < 0:
            own = _pixel_beside(ring)
            # The smallest: a piece may lie in a hole of another piece of the same cell.
            rim = next(k for _, k in rims if len(rims) == 1 or _inside(own, rings[k]))
            holes[rim].append(ring)
    return tuple((rings[k], *holes[k]) for k in sorted(holes))


def _area(ring: Ring) -> float:
    x, y = ring[:, 0], ring[:, 1]
    return float(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2


def _pixel_beside(ring: Ring) -> tuple[float, float]:
    """Centre (x, y) of the cell's pixel at the first side of a ring."""
    dx, dy = np.sign(ring[1] - ring[0]).tolist()
    x, y = ring[0].tolist()
    return x + dx / 2 - dy / 2, y + dy / 2 + dx / 2


def _inside(point: tuple[float, float], ring: Ring) -> bool:
    """Whether a ray to the right crosses the ring an odd number of times."""
    x, y = point
    stop = np.roll(ring, -1, axis=0)
    upright = (ring[:, 0] == stop[:, 0]) & (ring[:, 0] > x)
    crossed = (np.minimum(ring[:, 1], stop[:, 1]) < y) & (np.maximum(ring[:, 1], stop[:, 1]) > y)
    return bool(np.count_nonzero(upright & crossed) % 2)
