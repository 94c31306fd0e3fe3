"""Tables whose truth is known: several fields, markers of their own difficulty."""

from __future__ import annotations

import numpy as np
import pandas as pd
from anndata import AnnData

MARKERS = ("CD3", "CD8", "CD20")


def judged_table(n=240, *, n_fields=6, seed=0) -> AnnData:
    """Scores, intensities, gold with -1, two data sets of fields; nothing is symmetric."""
    rng = np.random.default_rng(seed)
    shape = (n, len(MARKERS))
    truth = (rng.random(shape) < [0.3, 0.15, 0.5]).astype(np.int8)
    field = rng.integers(0, n_fields, n)
    shift = rng.normal(0, 0.1, (n_fields, 1))[field]
    score = np.clip(rng.normal(0.25 + 0.45 * truth + shift, 0.2), 0, 1).astype(np.float32)
    intensity = rng.lognormal(truth + np.array([0.0, 2.0, 4.0]), 0.7).astype(np.float32)
    gold = np.where(rng.random(shape) < 0.2, -1, truth).astype(np.int8)
    obs = pd.DataFrame(
        {
            "fov": pd.Categorical([f"f{k}" for k in field]),
            "dataset": np.where(field < 2, "small", "large"),
            "cell_type": rng.choice(["B", "T", "M"], n),
            "area": rng.integers(20, 200, n),
        },
        index=[f"c{k}" for k in range(n)],
    )
    table = AnnData(
        intensity,
        obs=obs,
        var=pd.DataFrame(index=list(MARKERS)),
        obsm={"spatial": rng.random((n, 2)) * 500},
        layers={"nimbus": score, "integrated": intensity, "gold": gold, "truth": truth},
    )
    return table
