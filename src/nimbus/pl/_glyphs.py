"""Small pictures of nodes: stars, pies and discs, each around a place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import EllipseCollection, PatchCollection
from matplotlib.patches import Wedge

from nimbus._types import FloatArray, IntArray

SMALLEST = 0.5
"""Radius of a node with hardly a cell, in parts of the largest."""

FULL = 0.95
"""Quantile of the cells of a node from which on it is drawn at its largest."""

PAPER = "white"
LINE = "#444444"


def radii(counts: IntArray, largest: float) -> FloatArray:
    """Radius of each node: the area rises with the cells, from a size that can be seen.

    Examples
    --------
    >>> radii(np.array([0, 25, 100, 100]), 1.0).round(3)
    array([0.5  , 0.661, 1.   , 1.   ])
    """
    there = counts[counts > 0]
    top = float(np.quantile(there, FULL)) if there.size else 1.0
    share = np.clip(np.asarray(counts, dtype=np.float64) / top, 0, 1)
    return np.asarray(largest * np.sqrt(SMALLEST**2 + (1 - SMALLEST**2) * share))


def draw_discs(
    ax: Axes,
    place: FloatArray,
    radius: FloatArray,
    colors: Sequence[object] | str,
    **kwargs: object,
) -> EllipseCollection:
    """Discs with radii in data units."""
    discs = EllipseCollection(
        2 * radius,
        2 * radius,
        np.zeros(len(radius)),
        units="xy",
        offsets=place,
        offset_transform=ax.transData,
        facecolors=colors,
        **kwargs,
    )
    ax.add_collection(discs)
    return discs


def draw_stars(
    ax: Axes, place: FloatArray, radius: FloatArray, values: FloatArray, colors: Sequence[str]
) -> None:
    """A sector for each marker, as long as its value is high; a thin circle is a value of 1.

    Parameters
    ----------
    ax
        Axes.
    place, radius
        Of each node.
    values
        ``(node, marker)``, 0 to 1.
    colors
        Of the markers.
    """
    draw_discs(ax, place, radius, PAPER, edgecolors=LINE, linewidths=0.3, zorder=3)
    angle = np.linspace(90, -270, values.shape[1] + 1)  # clockwise from the top
    wedges, own = [], []
    for (x, y), size, node in zip(place, radius, values, strict=True):
        for k, value in enumerate(np.nan_to_num(node)):
            if value > 0:
                wedges.append(Wedge((x, y), size * min(value, 1.0), angle[k + 1], angle[k]))
                own.append(colors[k])
    ax.add_collection(PatchCollection(wedges, facecolors=own, linewidths=0, zorder=4))


def draw_pies(
    ax: Axes, place: FloatArray, radius: FloatArray, shares: FloatArray, colors: Sequence[str]
) -> None:
    """A sector for each group, as wide as its share, ``(node, group)``; rows sum to 1 or to 0."""
    draw_discs(ax, place, radius, PAPER, edgecolors=LINE, linewidths=0.6, zorder=3)
    wedges, own = [], []
    for (x, y), size, node in zip(place, radius, shares, strict=True):
        edges = 90 - 360 * np.concatenate([[0.0], np.cumsum(node)])
        for k in np.flatnonzero(node > 0).tolist():
            wedges.append(Wedge((x, y), size, edges[k + 1], edges[k]))
            own.append(colors[k])
    ax.add_collection(PatchCollection(wedges, facecolors=own, linewidths=0, zorder=4))
