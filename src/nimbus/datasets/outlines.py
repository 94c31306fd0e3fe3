"""Label images whose outlines are changed: moved, joined, cut, shifted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nimbus._types import BoolArray, FloatArray, IntArray


def moved(labels: IntArray, distance_px: float) -> IntArray:
    """Labels whose outlines went out by `distance_px` (in, where negative).

    Cells that grow stop where they meet; cells that shrink also part from their neighbours.
    """
    if distance_px == 0:
        return labels
    if distance_px < 0:
        border = np.zeros(labels.shape, dtype=bool)
        border[1:] |= labels[1:] != labels[:-1]
        border[:, 1:] |= labels[:, 1:] != labels[:, :-1]
        depth = ndimage.distance_transform_edt(~border)
        return np.where(depth > -distance_px, labels, 0)
    distance, (y, x) = ndimage.distance_transform_edt(labels == 0, return_indices=True)
    return np.where(distance <= distance_px, labels[y, x], labels)


def shifted(labels: IntArray, by_px: tuple[int, int]) -> IntArray:
    """Labels moved by whole pixels; 0 comes in at the edges.

    Examples
    --------
    >>> shifted(np.array([[1, 2, 3]]), (0, 1))
    array([[0, 1, 2]])
    """
    down, right = by_px
    height, width = labels.shape
    out = np.zeros_like(labels)
    out[max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = labels[
        max(-down, 0) : height + min(-down, 0), max(-right, 0) : width + min(-right, 0)
    ]
    return out


def neighbours(labels: IntArray, reach_px: int) -> IntArray:
    """Pairs of ids that lie within `reach_px` of each other in a row or column, ``(pair, 2)``."""
    pairs = []
    for a, b in ((labels, labels), (labels.T, labels.T)):
        first, second = a[:-reach_px], b[reach_px:]
        touch = (first != second) & (first > 0) & (second > 0)
        pairs.append(np.stack([first[touch], second[touch]], axis=-1))
    both = np.sort(np.concatenate(pairs), axis=1)
    return np.asarray(np.unique(both, axis=0).reshape(-1, 2))


def joined(labels: IntArray, pairs: IntArray) -> NDArray[np.int32]:
    """Labels in which the second cell of each pair has the id of the first.

    Examples
    --------
    >>> joined(np.array([[1, 2, 3]]), np.array([[1, 2]]))
    array([[1, 1, 3]], dtype=int32)
    """
    new = np.arange(labels.max(initial=0) + 1, dtype=np.int32)
    new[pairs[:, 1]] = pairs[:, 0]
    return np.asarray(new[labels])


def cut_in_two(
    labels: IntArray, chosen: BoolArray, centre_px: FloatArray, rng: np.random.Generator
) -> NDArray[np.int32]:
    """Labels in which each chosen cell is cut through its centre; one half gets a new id.

    Parameters
    ----------
    labels
        Ids 1 to n.
    chosen
        Whether each cell is cut, ``(n,)``.
    centre_px
        y, x of each cell, ``(n, 2)``.
    rng
        Source of chance.
    """
    n = len(chosen)
    new = np.zeros(n + 1, dtype=np.int32)
    new[1:][chosen] = n + 1 + np.arange(np.count_nonzero(chosen))
    turn = np.append(0, rng.uniform(0, 2 * np.pi, n))
    y, x = np.nonzero((new > 0)[labels])
    ids = labels[y, x]
    centre = np.vstack([np.zeros((1, 2)), centre_px])[ids]
    side = (y - centre[:, 0]) * np.sin(turn[ids]) + (x - centre[:, 1]) * np.cos(turn[ids])
    out = labels.astype(np.int32)
    out[y[side > 0], x[side > 0]] = new[ids[side > 0]]
    return out
