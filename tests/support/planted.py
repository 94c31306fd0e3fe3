"""Cells of known types, as scores: binary profiles with a few calls flipped."""

from __future__ import annotations

import numpy as np


def plant_types(n_cells, *, n_types=12, n_markers=10, rare=(), flip=0.01, seed=0):
    """Scores ``(cell, marker)`` float32 and the type of each cell.

    The last ``len(rare)`` types hold that share of the cells each, and differ from a common type
    in two markers.
    """
    rng = np.random.default_rng(seed)
    profiles = distinct_profiles(n_types, n_markers, rng)
    for k, _ in enumerate(rare):
        parent = profiles[k].copy()
        parent[[k % n_markers, (k + 3) % n_markers]] ^= True
        profiles = np.concatenate([profiles, parent[None]])
    shares = rng.lognormal(0, 0.7, n_types)
    shares = np.concatenate([shares / shares.sum() * (1 - sum(rare)), rare])
    kind = rng.choice(len(shares), size=n_cells, p=shares)
    positive = profiles[kind] ^ (rng.random((n_cells, n_markers)) < flip)
    high, low = rng.beta(6, 1.6, positive.shape), rng.beta(1.2, 9, positive.shape)
    return np.where(positive, high, low).astype(np.float32), kind


def distinct_profiles(n_types, n_markers, rng):
    """Binary profiles that differ in two markers at least."""
    found = []
    while len(found) < n_types:
        own = np.zeros(n_markers, dtype=bool)
        own[rng.choice(n_markers, size=rng.integers(2, 6), replace=False)] = True
        if all((own ^ other).sum() >= 2 for other in found):
            found.append(own)
    return np.array(found)


def node_recall(node, kind, wanted):
    """Share of the cells of a type that lie in nodes where it is the most frequent."""
    table = np.zeros((node.max() + 1, kind.max() + 1), dtype=int)
    np.add.at(table, (node, kind), 1)
    owner = table.argmax(axis=1)
    own = kind == wanted
    return float((owner[node[own]] == wanted).mean())
