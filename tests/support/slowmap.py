"""A self-organising map by loops over cells and nodes: the batch rule as it is written down."""

from __future__ import annotations

import math

import numpy as np


def slow_map(cells, rows, columns, *, start, sigmas, n_kmeans_steps, strides=None):
    """Profiles of all nodes after all epochs, and before the k-means steps, ``(node, marker)``.

    In each epoch every so many-th cell of `strides` is used; all without.
    """
    profiles = [list(map(float, node)) for node in start]
    for sigma, stride in zip(sigmas, strides or [1] * len(sigmas), strict=True):
        profiles = slow_step(cells[::stride], profiles, columns, sigma)
    layout = profiles
    for _ in range(n_kmeans_steps):
        profiles = slow_step(cells, profiles, columns, None)
    assert len(profiles) == rows * columns
    return np.array(profiles), np.array(layout)


def slow_step(cells, profiles, columns, sigma):
    """Each node at the mean of all cells, weighted by the grid distance to the cell's node."""
    winners = [slow_winner(cell, profiles) for cell in cells]
    moved = []
    for node, old in enumerate(profiles):
        weight, total = 0.0, [0.0] * len(old)
        for cell, winner in zip(cells, winners, strict=True):
            pull = slow_pull(node, winner, columns, sigma)
            weight += pull
            for k, value in enumerate(cell):
                total[k] += pull * float(value)
        moved.append([t / weight for t in total] if weight > 0 else old)
    return moved


def slow_winner(cell, profiles, importance=None):
    """The nearest node; of equally near ones the first."""
    return int(np.argmin([slow_distance(cell, node, importance) for node in profiles]))


def slow_distance(cell, node, importance=None):
    """Euclidean, after each marker is multiplied by its importance."""
    factors = [1.0] * len(node) if importance is None else importance
    squares = [(f * (float(c) - n)) ** 2 for c, n, f in zip(cell, node, factors, strict=True)]
    return math.sqrt(sum(squares))


def slow_pull(node, winner, columns, sigma):
    """A gaussian of the distance on the grid, or the winner alone."""
    if sigma is None:
        return float(node == winner)
    down, right = node // columns - winner // columns, node % columns - winner % columns
    return math.exp(-(down**2 + right**2) / (2 * sigma**2))
