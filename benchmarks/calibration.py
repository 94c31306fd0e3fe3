"""How much labels help, by their number: methods and shrinkage of tl.calibrate compared.

    python benchmarks/calibration.py
    python benchmarks/calibration.py --model runs/nimbus-s/nimbus-s.safetensors --seed 7

Simulated tissue of two platforms, six fields each. n cells of three fields are labelled for every
marker, drawn at random, and the other three fields judge: mean over markers of the expected
calibration error, the Brier score, and F1 at the threshold. "empirical" is the threshold of the
best F1 of the labelled cells themselves; "raw" are the scores, cut at 0.5.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
import pandas as pd

import nimbus
from nimbus.metrics.calibration import LabelledScores, brier, expected_calibration_error, fit_curves
from nimbus.metrics.positivity import best_f1, f1_at
from nimbus.metrics.thresholds import best_cut

PLATFORMS = ("codex", "mibi")
N_LABELLED = (10, 30, 100, 400)
SHRINKAGE = (1, 20, 50, 100, 300, 1e6)
REPEATS = 3


def scored(platform: str, given: argparse.Namespace) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores, truth and field number of all cells."""
    sdata = nimbus.datasets.tissue(
        shape=(given.side, given.side), n_fovs=6, platform=platform, random_state=given.seed
    )
    nimbus.tl.score(sdata, model=given.model, tta=False, show_progress_bar=False)
    table = sdata.tables["table"]
    field = table.obs["region"].str.extract(r"(\d+)")[0].astype(int).to_numpy()
    return table.layers["nimbus"].astype(float), table.layers["truth"], field


def pairs_of(score: np.ndarray, truth: np.ndarray) -> LabelledScores:
    n, n_markers = score.shape
    known = (truth >= 0).T.ravel()
    return LabelledScores(
        score=score.T.ravel()[known],
        positive=truth.T.ravel()[known] == 1,
        marker=np.repeat(np.arange(n_markers), n)[known],
        fold=np.zeros(int(known.sum()), dtype=int),
    )


def measures(
    probability: np.ndarray, cuts: list[float], score: np.ndarray, truth: np.ndarray
) -> dict[str, float]:
    each = range(score.shape[1])
    return {
        "ece": np.nanmean(
            [expected_calibration_error(probability[:, k], truth[:, k]) for k in each]
        ),
        "brier": np.nanmean([brier(probability[:, k], truth[:, k]) for k in each]),
        "f1": np.nanmean([f1_at(score[:, k], truth[:, k], threshold=cuts[k]) for k in each]),
    }


def compared(
    score: np.ndarray, truth: np.ndarray, field: np.ndarray, n: int, seed: int
) -> Iterator[dict[str, object]]:
    chosen = np.random.default_rng(seed).permutation(np.flatnonzero(field < 3))[:n]
    judge, every = field >= 3, range(score.shape[1])
    pairs = pairs_of(score[chosen], truth[chosen])
    empirical = [best_f1(score[chosen, k], truth[chosen, k]).threshold for k in every]
    cuts = {"raw": [0.5] * len(every), "empirical": np.nan_to_num(empirical, nan=0.5).tolist()}
    for name, own in cuts.items():
        yield {"method": name, **measures(score[judge], own, score[judge], truth[judge])}
    for method in ("platt", "isotonic"):
        for shrinkage in SHRINKAGE:
            curves = fit_curves(
                pairs, n_markers=len(every), method=method, shrinkage=shrinkage
            ).markers
            probability = np.stack([curve(score[:, k]) for k, curve in enumerate(curves)], axis=1)
            own = [best_cut(score[:, k], probability[:, k]).threshold for k in every]
            found = measures(probability[judge], own, score[judge], truth[judge])
            yield {"method": f"{method} {shrinkage:g}", **found}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="nimbus-s")
    parser.add_argument("--side", type=int, default=400)
    parser.add_argument("--seed", type=int, default=101)
    given = parser.parse_args()
    rows = []
    for platform in PLATFORMS:
        score, truth, field = scored(platform, given)
        for n in N_LABELLED:
            for seed in range(REPEATS):
                about = {"platform": platform, "n": n}
                rows += [about | row for row in compared(score, truth, field, n, seed)]
    table = pd.DataFrame(rows).groupby(["platform", "method", "n"], sort=False).mean()
    print(table.unstack("n").round(4).to_string())


if __name__ == "__main__":
    main()
