"""Cell types from scores against cell types from integrated expression.

    python benchmarks/celltypes.py                                   (simulated tissue, three seeds)
    python benchmarks/celltypes.py --real ../shared/data/dcis_mibi --fields 8 --no-tta

Simulated tissue has spillover, dim positives and background (`nimbus.datasets.tissue`, CODEX and
MIBI); its types are known. Seeds are not those of the training. The real set is scored on patients
of the test part of `benchmarks/silver.py`; its published types were made from mean intensities, so
they favour integrated expression.

Rows are what the table is made from:

    scores              `nimbus.tl.score`, the shipped model
    scores, best        the same with the threshold of each marker that has the best F1 against the
                        truth: nobody knows it in practice
    integrated          mean intensity over its 99.9% quantile, limited to 1, as Pixie does
    integrated, Pixie   the same, metaclusters by Pixie's rule (z-scores, limit 3, Ward)
    integrated, mixture probability by a mixture of two (`nimbus.core.mixture`) for each marker
    integrated, best    "integrated" with the best threshold of each marker, as for the scores
    integrated, calls   positive or negative at that threshold

Columns: `clusters` are metaclusters without names (adjusted Rand index), and each named by its most
frequent true type, as by a perfect person (macro F1); `cells` are named by `nimbus.tl.annotate` one
by one, `groups` metacluster by metacluster. Unassigned cells are a group of their own for the index
and misses for F1.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData
from sklearn.metrics import adjusted_rand_score, f1_score
from spatialdata import SpatialData

import nimbus
from nimbus.core.mixture import fit_mixture
from nimbus.datasets._splits import assign_groups
from nimbus.datasets.markers import KNOWN
from nimbus.metrics.positivity import best_f1

MARKERS = ("CD45", "CD3", "CD4", "CD8", "CD20", "FOXP3", "CD68", "CD163", "CD11c", "CD31", "CD138",
           "MPO", "HLADR", "PANCK", "ECAD", "VIM", "SMA")  # fmt: skip
SURE, NEVER = 0.7, 0.05
"""A type carries a marker if so many of its cells do; between the two nothing is said."""

PIXEL_SIZE_UM = 500 / 1024
SPLIT = {"train": 0.8, "test": 0.2}
LAYERS = {
    "scores": "nimbus",
    "scores, best": "nimbus",
    "integrated": "quantile",
    "integrated, Pixie": "quantile",
    "integrated, mixture": "mixture",
    "integrated, best": "quantile",
    "integrated, calls": "calls",
}


def matrix_of(types: list[str]) -> pd.DataFrame:
    """What the simulator's types carry, as one would write it down."""
    rows = {}
    for kind in types:
        share = {m: dict(KNOWN[m.upper()].positive).get(kind, 0.0) for m in MARKERS}
        rows[kind] = {m: 1 if p >= SURE else 0 if p <= NEVER else None for m, p in share.items()}
    return pd.DataFrame(rows).T.astype(object)


def simulated(platform: str, seed: int, given: argparse.Namespace) -> tuple[AnnData, pd.DataFrame]:
    sdata = nimbus.datasets.tissue(
        shape=(given.side, given.side),
        markers=MARKERS,
        n_fovs=2,
        platform=platform,
        random_state=seed,
    )
    nimbus.tl.score(sdata, model=given.model, tta=not given.no_tta, show_progress_bar=False)
    table = sdata.tables["table"]
    return table, matrix_of(sorted(table.obs["cell_type"].astype(str).unique()))


def real(folder: Path, given: argparse.Namespace) -> tuple[AnnData, pd.DataFrame]:
    matrix = pd.read_csv(folder / "assignment_matrix.csv", index_col="cell_type")
    fields = pd.read_csv(folder / "fovs.csv", dtype=str)
    part = assign_groups({"d": list(fields["patient"])}, SPLIT, random_state=0)
    fields = fields[[part["d", patient] == "test" for patient in fields["patient"]]]
    fovs = sorted(fields["fov"])[: given.fields]
    print(f"{len(fovs)} fields of {fields[fields['fov'].isin(fovs)]['patient'].nunique()} patients")
    sdata: SpatialData = nimbus.io.read_fovs(
        folder / "image_data",
        folder / "segmentation",
        pixel_size=PIXEL_SIZE_UM,
        channels=list(matrix.columns),
        fovs=fovs,
    )
    nimbus.tl.score(sdata, model=given.model, tta=not given.no_tta, show_progress_bar=False)
    table = sdata.tables["table"]
    cells = pd.read_csv(folder / "cells.csv").query("confidence == 'high'")
    kinds = cells.set_index(["fov", "instance_id"])["cell_type"]
    fov = table.obs["region"].astype(str).str.removesuffix("_labels")
    keys = pd.MultiIndex.from_arrays([fov, table.obs["instance_id"]])
    table.obs["cell_type"] = kinds.reindex(keys).to_numpy()
    return table, matrix


def add_layers(table: AnnData, matrix: pd.DataFrame) -> None:
    """Integrated expression in its forms."""
    mean = np.asarray(table.layers.get("integrated", table.X), dtype=np.float64)
    top = np.maximum(np.quantile(mean, 0.999, axis=0), 1e-9)
    table.layers["quantile"] = np.clip(mean / top, 0, 1).astype(np.float32)
    table.layers["mixture"] = np.stack([_probability(column) for column in mean.T], axis=1)
    cut = best_thresholds(table, matrix, "quantile")
    at = np.array([cut[marker] for marker in table.var_names])
    table.layers["calls"] = (table.layers["quantile"] >= at).astype(np.float32)


def best_thresholds(table: AnnData, matrix: pd.DataFrame, layer: str) -> dict[str, float]:
    """Of each marker, the one of the best F1 against the truth."""
    truth = _truth(table, matrix)
    best = {}
    for k, marker in enumerate(table.var_names):
        score = table.layers[layer][:, k]
        known = (truth[:, k] >= 0) & np.isfinite(score)
        label = truth[known, k]
        at = best_f1(score[known], label).threshold if 0 < label.sum() < label.size else 0.5
        best[marker] = float(np.clip(at, 1e-3, 1 - 1e-3))
    return best


def _truth(table: AnnData, matrix: pd.DataFrame) -> np.ndarray:
    """1, 0 or -1 of each cell and marker; where it is not simulated, by the published type."""
    if "truth" in table.layers:
        return np.asarray(table.layers["truth"])
    labels = matrix.reindex(columns=table.var_names).astype(float)
    return labels.reindex(table.obs["cell_type"]).fillna(-1).to_numpy().astype(int)


def _probability(mean: np.ndarray) -> np.ndarray:
    """Of the upper one of two components of the logarithm, as `pp.mixture_labels` has them."""
    if not (mean > 0).any() or mean.min() == mean.max():
        return np.full(mean.shape, 0.5, dtype=np.float32)
    log = np.log(np.maximum(mean, 0) + np.median(mean[mean > 0]))
    return fit_mixture(log).posterior(log).astype(np.float32)


def measured(table: AnnData, matrix: pd.DataFrame, given: argparse.Namespace) -> Iterator[dict]:
    """A row of measures for each source."""
    add_layers(table, matrix)
    known = table.obs["cell_type"].notna().to_numpy()
    for source, layer in LAYERS.items():
        best = source.endswith("best")
        threshold = best_thresholds(table, matrix, layer) if best else 0.5
        nimbus.tl.cluster(
            table, layer=layer, markers=list(matrix.columns), grid=(given.grid, given.grid),
            n_metaclusters=given.n_metaclusters,
        )  # fmt: skip
        if source == "integrated, Pixie":
            nimbus.tl.metacluster(table, n_metaclusters=given.n_metaclusters, preset="pixie")
        truth = table.obs["cell_type"][known].astype(str).to_numpy()
        groups = table.obs["nimbus_metacluster"].astype(object).fillna("none")[known].to_numpy()
        named = pd.Series(truth).groupby(groups).transform(lambda own: own.mode()[0]).to_numpy()
        row = {"input": source, "clusters ARI": adjusted_rand_score(truth, groups)}
        row["clusters F1"] = macro_f1(truth, named)
        for what, groupby in (("cells", None), ("groups", "nimbus_metacluster")):
            nimbus.tl.annotate(table, matrix, layer=layer, groupby=groupby, threshold=threshold)
            found = table.obs["nimbus_cell_type"].astype(object).fillna("unassigned")[known]
            row[f"{what} ARI"] = adjusted_rand_score(truth, found)
            row[f"{what} F1"] = macro_f1(truth, split_names(found.to_numpy(), truth))
            row[f"{what} unassigned"] = float((found == "unassigned").mean())
        yield row


def split_names(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """Names that stand for several types ("A / B") count as right for each of them."""
    right = [t in name.split(" / ") for name, t in zip(found, truth, strict=True)]
    return np.where(right, truth, found)


def macro_f1(truth: np.ndarray, found: np.ndarray) -> float:
    labels = sorted(set(truth))
    return float(f1_score(truth, found, labels=labels, average="macro", zero_division=0))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[1000, 1001, 1002])
    parser.add_argument("--platforms", nargs="+", default=["codex", "mibi"])
    parser.add_argument("--side", type=int, default=512, help="pixels of a field; two fields each")
    parser.add_argument("--real", type=Path, help="folder laid out as dcis_mibi, instead")
    parser.add_argument("--fields", type=int, default=8, help="at most so many fields of it")
    parser.add_argument("--model", default="nimbus-s")
    parser.add_argument("--no-tta", action="store_true")
    parser.add_argument("--grid", type=int, default=10)
    parser.add_argument("--n-metaclusters", type=int, default=20)
    given = parser.parse_args()
    warnings.simplefilter("ignore")  # markers without positives, nested types: told by the verbs
    pd.set_option("display.width", 200, "display.max_columns", 20, "display.precision", 3)
    rows = []
    if given.real is not None:
        rows += list(measured(*real(given.real, given), given))
    else:
        for platform in given.platforms:
            for seed in given.seeds:
                about = {"platform": platform, "seed": seed}
                rows += [about | row for row in measured(*simulated(platform, seed, given), given)]
                print(pd.DataFrame(rows).tail(len(LAYERS)).to_string(index=False), flush=True)
    table = pd.DataFrame(rows)
    measures = [name for name in table if name not in ("platform", "seed", "input")]
    keys = [name for name in ("platform", "input") if name in table]
    print(table.groupby(keys, sort=False)[measures].mean().to_string())


if __name__ == "__main__":
    main()
