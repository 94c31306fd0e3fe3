"""What came of the trainings of robust.py: measures of their scores, a table and curves."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from robust_data import KINDS, MARKERS, N_JUDGE

from nimbus.metrics.positivity import average_precision

N_DRAWS = 200
"""Draws of fields for the intervals."""


def macro(cells: dict[str, list[float]], fields: NDArray[np.int64] | None = None) -> float:
    """Mean over the markers of the average precision; of drawn fields, if given."""
    field, marker, truth, score = (
        np.asarray(cells[k]) for k in ("field", "marker", "truth", "score")
    )
    if fields is not None:
        rows = np.concatenate([np.flatnonzero(field == f) for f in fields])
        marker, truth, score = marker[rows], truth[rows], score[rows]
    every = [average_precision(score[marker == m], truth[marker == m]) for m in range(len(MARKERS))]
    return float(np.nanmean(every))


def drawn_again(cells: dict[str, list[float]]) -> list[float]:
    """:func:`macro` of fields drawn with replacement; the same draws for every method."""
    rng = np.random.default_rng(0)
    return [round(macro(cells, rng.integers(0, N_JUDGE, N_JUDGE)), 5) for _ in range(N_DRAWS)]


def result_of(folder: Path, method: str) -> dict[str, Any]:
    """A finished training."""
    found: dict[str, Any] = json.loads((folder / f"result-{method}.json").read_text())
    return found


def compared(folders: list[Path], method: str, other: str) -> tuple[float, float, float]:
    """Mean over seeds of AP of `method` minus `other`, and its 95% interval by fields."""
    rng = np.random.default_rng(0)
    pairs = [[result_of(f, m) for m in (method, other)] for f in folders]
    difference = np.mean([a["curve"][-1]["map"] - b["curve"][-1]["map"] for a, b in pairs])
    each = np.array([np.subtract(a["draws"], b["draws"]) for a, b in pairs])
    seeds = rng.integers(0, len(pairs), (2000, len(pairs)))
    draws = each[seeds, rng.integers(0, N_DRAWS, seeds.shape)].mean(axis=1)
    return float(difference), *(float(q) for q in np.quantile(draws, [0.025, 0.975]))


def report(out: Path, seeds: Sequence[int], methods: Sequence[str]) -> str:
    """Markdown table of all that is finished."""
    columns = ("labels", "wrong", "method", "AP, each seed", "mean", "at the best step",
               "minus naive (95%)", "wrong of those followed")  # fmt: skip
    rows = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    for kind in KINDS:
        for method in methods:
            folders = [out / f"{kind}-{s}" for s in seeds]
            folders = [f for f in folders if (f / f"result-{method}.json").is_file()]
            if not folders:
                continue
            results = [result_of(f, method) for f in folders]
            ends = [r["curve"][-1] for r in results]
            aps = [e["map"] for e in ends]
            best = np.mean([max(c["map"] for c in r["curve"]) for r in results])
            change, purity = "", f"{np.mean([e['wrong_of_kept'] for e in ends]):.3f}"
            if method != "naive":
                mean, low, high = compared(folders, method, "naive")
                change = f"{mean:+.3f} ({low:+.3f} to {high:+.3f})"
            rows.append(
                f"| {kind} | {np.mean([e['wrong'] for e in ends]):.3f} | {method} "
                f"| {', '.join(f'{a:.3f}' for a in aps)} | {np.mean(aps):.3f} "
                f"| {best:.3f} | {change} "
                f"| {'' if method == 'clean' else purity} |"
            )  # fmt: skip
    return "\n".join(rows)


def drawn_curves(out: Path, path: Path, seeds: Sequence[int], *, warm_up: int) -> None:
    """Share of wrong labels among those kept, and average precision, over the steps."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, len(KINDS), figsize=(10, 5), sharex=True, squeeze=False)
    for column, kind in enumerate(KINDS):
        for method, color in (("naive", "0.5"), ("robust", "C0")):
            for seed in seeds:
                file = out / f"{kind}-{seed}" / f"result-{method}.json"
                if not file.is_file():
                    continue
                curve = result_of(file.parent, method)["curve"]
                steps = [warm_up + c["step"] for c in curve]
                label = {"naive": "all", "robust": "followed by robust"}[method]
                label = label if seed == seeds[0] else None
                axes[0, column].plot(
                    steps, [100 * c["wrong_of_kept"] for c in curve], color=color, label=label
                )
                label = method if seed == seeds[0] else None
                axes[1, column].plot(steps, [c["map"] for c in curve], color=color, label=label)
        axes[0, column].set(title=f"{kind} labels", ylabel="wrong labels (%)")
        axes[0, column].set_ylim(bottom=0)
        axes[1, column].set(xlabel="step", ylabel="average precision")
        if axes[0, column].lines:
            axes[0, column].legend(frameon=False)
            axes[1, column].legend(frameon=False)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
