"""Fresh simulated tissue: scores against integrated expression, on all cells and on hard ones.

    python benchmarks/simulated.py
    python benchmarks/simulated.py --model runs/nimbus-s/nimbus-s.safetensors --seeds 1000 1001

Tissue of every platform, with seeds that no training uses (those start at 0 and draw tiles in
another way), scored by the default call. Hard cells of a marker are its spillover neighbours
(negatives that touch a positive cell) and its dim positives (the dimmer half by mean intensity).
Into many of these neighbours hardly any light spills: the hardest cells are the dim positives and
the brighter half of the neighbours. Measures that begin with "visible" leave out cells of which no
eye could tell (the layer is -1). A marker with fewer than 5 positives or negatives in a field is
left out.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import ndimage
from scipy.spatial import cKDTree

import nimbus
from nimbus.datasets.platforms import PLATFORMS
from nimbus.metrics.positivity import auroc, average_precision, f1_at

MARKERS = ("DAPI", "CD45", "CD3", "CD4", "CD8", "CD20", "FOXP3", "CD68", "CD11c", "PANCK", "ECAD",
           "Ki67", "CD31", "VIM")  # fmt: skip
MASKS = ("whole_cell", "nuclear", "expanded")
OF_ALL = ("AUROC", "AUROC integrated", "AP", "AP integrated", "F1 at 0.5")
HARD = ("hard", "hardest")
OF_HARD = tuple(f"{which} AUROC{of}" for which in HARD for of in ("", " integrated"))
MEASURES = (*OF_ALL, *OF_HARD, *(f"visible {name}" for name in (*OF_ALL, *OF_HARD)))
FEWEST = 5
TOUCHING_UM = 2.0


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="nimbus-s", help="name or path")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1000, 1001, 1002])
    parser.add_argument("--side-um", type=float, default=250.0, help="edge of a field")
    parser.add_argument("--no-tta", action="store_true")
    given = parser.parse_args()
    pd.set_option("display.width", 160, "display.max_columns", 20, "display.precision", 3)
    table = simulated(given)
    for by in ("platform", "masks", "marker"):
        print(table.groupby(by)[list(MEASURES)].mean(), end="\n\n")
    print(table[list(MEASURES)].mean().to_string())


def simulated(given: argparse.Namespace) -> pd.DataFrame:
    """One row for each platform, seed and marker; `given` has model, seeds, side_um, no_tta."""
    rows = [
        row
        for platform in PLATFORMS
        for seed in given.seeds
        for row in measured(platform, seed, given)
    ]
    return pd.DataFrame(rows)


def measured(platform: str, seed: int, given: argparse.Namespace) -> list[dict[str, object]]:
    """One row for each marker of a field."""
    pixel = PLATFORMS[platform].pixel_sizes_um[0]
    masks = MASKS[seed % len(MASKS)]
    sdata = nimbus.datasets.tissue(
        shape=(int(given.side_um / pixel),) * 2,
        markers=MARKERS,
        platform=platform,
        masks=masks,
        random_state=seed,
    )
    nimbus.tl.score(sdata, model=given.model, tta=not given.no_tta, show_progress_bar=False)
    table = sdata.tables["table"]
    touching = neighbours(np.asarray(sdata.labels["fov0_labels"].data), table, pixel)
    rows = []
    for column, marker in enumerate(table.var_names):
        score = table.layers["nimbus"][:, column]
        plain = np.asarray(table.X[:, column])  # mean intensity
        truth = table.layers["truth"][:, column] == 1
        visible = table.layers["visible"][:, column] >= 0
        known = np.isfinite(score)
        hard = hard_cells(truth, plain, touching)
        hardest = hard & (truth | brighter(plain, hard & ~truth))
        few = {"hard": hard, "hardest": hardest}
        found = compared(score, plain, truth, known, few)
        seen = compared(score, plain, truth, known & visible, few)
        if found:
            row = {"platform": platform, "masks": masks, "seed": seed, "marker": marker}
            rows.append(row | found | {f"visible {name}": v for name, v in seen.items()})
    return rows


def compared(
    score: np.ndarray,
    plain: np.ndarray,
    truth: np.ndarray,
    used: np.ndarray,
    few: Mapping[str, np.ndarray],
) -> dict[str, float]:
    """Measures of the cells that are `used`; empty where there are too few of a class."""
    if min(truth[used].sum(), (~truth[used]).sum()) < FEWEST:
        return {}
    row = {
        "AUROC": auroc(score[used], truth[used]),
        "AUROC integrated": auroc(plain[used], truth[used]),
        "AP": average_precision(score[used], truth[used]),
        "AP integrated": average_precision(plain[used], truth[used]),
        "F1 at 0.5": f1_at(score[used], truth[used]),
    }
    for which, cells in few.items():
        of = cells & used
        if min(truth[of].sum(), (~truth[of]).sum()) >= FEWEST:
            row[f"{which} AUROC"] = auroc(score[of], truth[of])
            row[f"{which} AUROC integrated"] = auroc(plain[of], truth[of])
    return row


def neighbours(labels: np.ndarray, table, pixel: float) -> np.ndarray:
    """Pairs of rows whose cells come nearer than `TOUCHING_UM`, ``(pair, 2)``."""
    ids = table.obs["instance_id"].to_numpy()
    row_of = np.full(int(max(ids.max(), labels.max())) + 1, -1)
    row_of[ids] = np.arange(len(ids))
    edge = (labels > 0) & (
        (ndimage.minimum_filter(labels, 3) != labels)
        | (ndimage.maximum_filter(labels, 3) != labels)
    )
    at = np.argwhere(edge)
    pairs = cKDTree(at).query_pairs(TOUCHING_UM / pixel, output_type="ndarray")
    rows = row_of[labels[tuple(at.T)]][pairs]
    rows = rows[(rows[:, 0] != rows[:, 1]) & (rows >= 0).all(axis=1)]
    return np.unique(np.sort(rows, axis=1), axis=0)


def hard_cells(truth: np.ndarray, plain: np.ndarray, touching: np.ndarray) -> np.ndarray:
    """Spillover neighbours and dim positives, as a mask of rows."""
    beside = np.zeros(len(truth), dtype=bool)
    one, other = touching.T
    beside[one[truth[other]]] = True
    beside[other[truth[one]]] = True
    dim = plain <= np.nanmedian(plain[truth]) if truth.any() else np.zeros(len(truth), dtype=bool)
    return np.where(truth, dim, beside)


def brighter(plain: np.ndarray, among: np.ndarray) -> np.ndarray:
    """The half of the rows `among` that is brighter by mean intensity."""
    return among & (plain >= np.nanmedian(plain[among])) if among.any() else among


if __name__ == "__main__":
    main()
