"""Planted cell types as scores; NumPy alone, because other environments import it too.

25 markers, 27 common types with 2 to 7 positive markers that differ in at least two, log-normal
shares, and three rare types of 0.1 % each, which differ from a common type in 2, 3 and 4 markers.
Scores are Beta(6, 1.6) for positive and Beta(1.2, 9) for negative markers; a part of the calls is
flipped first.
"""

from __future__ import annotations

import numpy as np

N_COMMON = 27
RARE = {27: "2 markers", 28: "3 markers", 29: "4 markers"}
RARE_SHARE = 0.001
AT_ONCE = 250_000


def plant(n_cells: int, *, flip: float, seed: int, n_markers: int = 25):
    """Scores ``(cell, marker)`` float32 and the type of each cell."""
    rng = np.random.default_rng(seed)
    profiles, shares = types(n_markers, rng)
    kind = rng.choice(len(shares), size=n_cells, p=shares)
    values = np.empty((n_cells, n_markers), dtype=np.float32)
    for start in range(0, n_cells, AT_ONCE):
        own = slice(start, min(start + AT_ONCE, n_cells))
        values[own] = scores(profiles[kind[own]], flip, rng)
    return values, kind


def scores(positive, flip, rng):
    """Scores of cells with these positive markers."""
    called = positive ^ (rng.random(positive.shape) < flip)
    out = rng.beta(1.2, 9, positive.shape)
    out[called] = rng.beta(6, 1.6, int(called.sum()))
    return out


def types(n_markers: int, rng):
    """Profiles ``(type, marker)`` and shares of all types, the rare ones last."""
    profiles = []
    while len(profiles) < N_COMMON:
        own = np.zeros(n_markers, dtype=bool)
        own[rng.choice(n_markers, size=rng.integers(2, 8), replace=False)] = True
        if all((own ^ other).sum() >= 2 for other in profiles):
            profiles.append(own)
    for n_different in (2, 3, 4):
        while True:
            own = profiles[rng.integers(N_COMMON)].copy()
            own[rng.choice(n_markers, size=n_different, replace=False)] ^= True
            if own.any() and all((own ^ other).sum() >= 2 for other in profiles):
                break
        profiles.append(own)
    shares = rng.lognormal(0, 0.8, N_COMMON)
    shares = shares / shares.sum() * (1 - RARE_SHARE * len(RARE))
    return np.array(profiles), np.concatenate([shares, np.full(len(RARE), RARE_SHARE)])
