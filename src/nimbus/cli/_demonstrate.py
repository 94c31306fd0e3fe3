"""The work of ``nimbus demo``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
from anndata import AnnData
from spatialdata import SpatialData

import nimbus
from nimbus._keys import Layers
from nimbus.metrics.positivity import auroc, best_f1, decided, f1_at

from ._columns import columns, number
from ._whole import written_whole

OVERLAY = ("CD3", "CD8", "CD68")
"""Markers of the first figure: two membranes, one of them rare, and granules."""

CLOSE_UP_UM = 80.0
"""Side of the second figure."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is made; see the options of ``nimbus demo``."""

    out: Path
    model: str
    n_fields: int
    side: int
    seed: int
    tta: bool
    show_progress_bar: bool


def demonstrate(plan: Plan) -> str:
    """Make, score, draw and write; gives the comparison as text."""
    plan.out.mkdir(parents=True, exist_ok=True)
    sdata = nimbus.datasets.tissue(
        shape=(plan.side, plan.side), n_fovs=plan.n_fields, random_state=plan.seed
    )
    nimbus.tl.score(sdata, model=plan.model, tta=plan.tta, show_progress_bar=plan.show_progress_bar)
    nimbus.pp.integrate(sdata, show_progress_bar=plan.show_progress_bar)
    store = plan.out / "demo.zarr"
    with written_whole(store) as part:
        sdata.write(part)
    figures = draw(sdata, plan.out)
    files = "\n".join(f"  {path.name}" for path in (store, *figures))
    return f"{comparison(sdata.tables['table'])}\n\nwrote to {plan.out}:\n{files}"


def comparison(table: AnnData) -> str:
    """For each marker how well scores and integrated expression tell positive from negative."""
    markers = [str(name) for name in table.var_names]
    rows = np.array([_measures(table, k) for k in range(len(markers))])
    told = ~np.isnan(rows[:, 1])  # AUROC needs both classes
    mean = rows[told].mean(axis=0) if told.any() else np.full(rows.shape[1], np.nan)
    above = ["", "", "AUROC", "AUROC", "best F1", "best F1", "F1 at 0.5"]
    header = ["marker", "positive", *2 * ("score", "intensity"), "score"]
    body = [
        [name, f"{100 * row[0]:.1f}%", *(number(value) for value in row[1:])]
        for name, row in zip([*markers, "mean"], [*rows, mean], strict=True)
    ]
    text = columns(above, [header, *body])
    skipped = [name for name, has in zip(markers, told, strict=True) if not has]
    if skipped:
        text += f"\n\nAUROC needs positive and negative cells; without one: {', '.join(skipped)}"
    return text


def _measures(table: AnnData, column: int) -> list[float]:
    """Positive part; AUROC of both; best F1 of both; F1 of the score at 0.5."""
    truth = np.asarray(table.layers[Layers.TRUTH])[:, column]
    score, integrated = (
        np.asarray(table.layers[layer], dtype=np.float64)[:, column]
        for layer in (Layers.SCORE, Layers.INTEGRATED)
    )
    _, positive = decided(score, truth)
    return [
        float(positive.mean()) if positive.size else float("nan"),
        auroc(score, truth),
        auroc(integrated, truth),
        best_f1(score, truth).f1,
        best_f1(integrated, truth).f1,
        f1_at(score, truth),
    ]


def draw(sdata: SpatialData, folder: Path) -> Sequence[Path]:
    """Draw the three figures; gives their files."""
    matplotlib.use("Agg")
    names = ("overlay.png", "closeup.png", "densities.png")
    overlay, close_up, densities = (folder / name for name in names)
    labels = sorted(sdata.labels)[0]
    layers = [Layers.SCORE, Layers.INTEGRATED, Layers.TRUTH]
    nimbus.pl.overlay(
        sdata, channel=OVERLAY, layer=layers, labels_key=labels, panel_size=3.0, save=overlay
    )
    low, high = _middle(sdata, labels)
    nimbus.pl.overlay(
        sdata,
        channel=OVERLAY[1],
        layer=layers,
        labels_key=labels,
        xlim=(low, high),
        ylim=(low, high),
        save=close_up,
    )
    nimbus.pl.densities(sdata, truth_layer=Layers.TRUTH, ncols=5, save=densities)
    plt.close("all")
    return overlay, close_up, densities


def _middle(sdata: SpatialData, labels: str) -> tuple[float, float]:
    """A square in the middle of a field, along both axes."""
    table = sdata.tables["table"]
    places = table.obsm["spatial"][(table.obs["region"] == labels).to_numpy()]
    centre = float(places.mean()) if len(places) else 0.0
    return centre - CLOSE_UP_UM / 2, centre + CLOSE_UP_UM / 2
