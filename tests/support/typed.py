"""A table of cells of known types, and the assignment matrix that tells them apart."""

from __future__ import annotations

import anndata as ad
import numpy as np
import pandas as pd

MARKERS = ["CD45", "CD3", "CD8", "CD4", "CD20", "PanCK", "Ki/67"]
MATRIX = pd.DataFrame(
    {
        "CD45": [1, 1, 1, 0],
        "CD3": [1, 1, 0, 0],
        "CD8": [1, 0, 0, None],
        "CD4": [0, 1, None, None],
        "CD20": [0, 0, 1, 0],
        "PanCK": [0, 0, 0, 1],
    },
    index=["CD8 T", "CD4 T", "B", "Tumour"],
)
KIND = ("CD8 T", "CD4 T", "B", "Tumour", "nothing")


def make_table(n_cells=500, seed=0, flip=0.0):
    """Cells of four types and of none; a blank is positive in every other cell."""
    rng = np.random.default_rng(seed)
    kind = rng.choice(5, size=n_cells, p=[0.2, 0.3, 0.15, 0.25, 0.1])
    profile = np.zeros((5, 7))
    profile[:4, :6] = MATRIX.fillna(0.5).to_numpy(dtype=float)
    profile[:, 6] = 0.5
    positive = rng.random((n_cells, 7)) < profile[kind]
    positive ^= rng.random(positive.shape) < flip
    high, low = rng.beta(12, 1.2, positive.shape), rng.beta(1.2, 14, positive.shape)
    obs = pd.DataFrame({"kind": pd.Categorical([KIND[k] for k in kind])})
    obs.index = [f"c{k}" for k in range(n_cells)]
    table = ad.AnnData(np.zeros((n_cells, 7), np.float32), obs=obs, var=pd.DataFrame(index=MARKERS))
    table.layers["nimbus"] = np.where(positive, high, low).astype(np.float32)
    return table
