"""Figure: measures of each marker or group, beside those of the baseline."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from nimbus._check import listed, one_or_more, require_known
from nimbus._keys import MACRO_AVERAGE
from nimbus.data.annotations import require_frame

from ._show import AxesGiven, finish, flat_axes

SCORE, BASELINE = "#009E73", "#8C8C8C"
"""Bluish green (Okabe and Ito) and grey."""

TITLES = {
    "auroc": "AUROC",
    "average_precision": "average precision",
    "f1": "F1",
    "best_f1": "F1 at the best threshold",
}
"""Names of measures where those of the columns will not do."""

COMPARED_WITH = {"f1": "best_f1"}
"""Measure of the baseline that stands beside one of the scores, where it is not the same."""

GAIN = "_gain"
"""Ends the names of differences, which may be below 0."""

ROW, MARGIN_TOP, MARGIN_BELOW, PANEL_WIDTH, GAP = 0.24, 0.6, 0.5, 2.3, 0.3
"""Lengths in inches: a group, title and legend, numbers below, a panel, and between panels."""

FIRST_COUNT = "n_fields"
"""First column of the table behind those that name the group."""


def metrics(
    metrics: pd.DataFrame,
    *,
    measures: str | Sequence[str] = ("f1", "auroc", "average_precision"),
    names: tuple[str, str] = ("score", "baseline"),
    sort: bool = True,
    ax: AxesGiven = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> list[Axes] | None:
    """Draw measures of each group as points with their intervals, beside the baseline.

    Parameters
    ----------
    metrics
        What :func:`nimbus.tl.evaluate` returned.
    measures
        Columns to draw, one panel each. Beside ``"f1"`` stands the baseline's F1 at its own best
        threshold. Gains (``"f1_gain"``) are drawn to both sides of 0.
    names
        Of the scores and of the baseline, for the legend.
    sort
        Groups with the largest first measure on top; ``False`` keeps the order of the rows.
        Averages stand below in either case.
    ax
        Axes to draw into, one for each measure; ``None`` makes a figure.
    show
        ``None`` shows the figure, unless `ax` or `save` is given.
    save
        File to write, e.g. ``"metrics.png"``.

    Returns
    -------
    The axes, one for each measure; ``None`` where the figure was shown. Measures that are NaN have
    no point.

    Raises
    ------
    ValueError
        A table of another kind or without rows, or an unknown measure.

    Examples
    --------
    >>> import nimbus
    >>> sdata = nimbus.datasets.tissue(shape=(128, 128), markers=["CD3", "CD8"], random_state=1)
    >>> table = nimbus.tl.evaluate(sdata, layer="truth", truth_layer="truth")
    >>> [ax.get_title() for ax in nimbus.pl.metrics(table, measures="auroc", show=False)]
    ['AUROC']
    """
    wanted = one_or_more(measures)
    _require_metrics(metrics, wanted)
    labels, rows, n_single = _ordered(metrics, wanted[0], sort=sort)
    axes = (
        _new_axes(len(wanted), len(rows), max(map(len, labels)))
        if ax is None
        else flat_axes(ax, len(wanted), what="one for each measure")
    )
    for own, measure in zip(axes, wanted, strict=True):
        _draw_measure(own, rows, measure, names)
        own.set_title(TITLES.get(measure, measure.replace("_", " ")), fontsize="medium")
        own.set_yticks(range(len(rows)), labels if own is axes[0] else [], fontsize="small")
        own.tick_params(axis="y", length=0)
        own.set_ylim(len(rows) - 0.5, -0.5)
        if n_single < len(rows):
            own.axhline(n_single - 0.5, color="black", linewidth=0.6)
    _legend(axes, outside=ax is None)
    return finish(axes, given=ax is not None, show=show, save=save)


def _require_metrics(metrics: pd.DataFrame, measures: Sequence[str]) -> None:
    require_frame("metrics", metrics)
    columns = [str(name) for name in metrics.columns]
    if FIRST_COUNT not in columns or not len(metrics):
        raise ValueError(
            "metrics must be the table that nimbus.tl.evaluate returns, with at least one row; it "
            f"has {len(metrics)} rows and the columns {listed(columns)}"
        )
    require_known("measure", measures, columns[columns.index(FIRST_COUNT) + 1 :])


def _ordered(
    metrics: pd.DataFrame, first: str, *, sort: bool
) -> tuple[list[str], pd.DataFrame, int]:
    """Names of the groups, their rows from top to bottom, and how many are no averages."""
    keys = metrics.iloc[:, : list(metrics.columns).index(FIRST_COUNT)].astype(str)
    average = (keys == MACRO_AVERAGE).any(axis=1).to_numpy()
    height = metrics[first].to_numpy(dtype=float)
    rank = -np.nan_to_num(height, nan=-np.inf) if sort else np.zeros(len(metrics))
    order = np.lexsort((np.arange(len(metrics)), np.where(average, 0.0, rank), average))
    texts = [_label(row) for row in keys.to_numpy().tolist()]
    return [texts[k] for k in order], metrics.iloc[order], int((~average).sum())


def _label(key: list[str]) -> str:
    """Name of a group; of an average only what was not averaged over."""
    kept = [part for part in key if part != MACRO_AVERAGE]
    if len(kept) == len(key):
        return ", ".join(key) or "all"
    return "mean of " + ", ".join(kept) if kept else "mean"


def _new_axes(n_panels: int, n_rows: int, longest: int) -> list[Axes]:
    """Panels side by side; lengths in inches, the room on the left for the longest name."""
    left = 0.3 + 0.075 * longest
    height = n_rows * ROW + MARGIN_TOP + MARGIN_BELOW
    width = left + n_panels * (PANEL_WIDTH + GAP)
    figure = plt.figure(figsize=(width, height))
    return [
        figure.add_axes(
            (
                (left + k * (PANEL_WIDTH + GAP)) / width,
                MARGIN_BELOW / height,
                PANEL_WIDTH / width,
                n_rows * ROW / height,
            )
        )
        for k in range(n_panels)
    ]


def _draw_measure(ax: Axes, rows: pd.DataFrame, measure: str, names: tuple[str, str]) -> None:
    other = f"baseline_{COMPARED_WITH.get(measure, measure)}"
    drawn = [(measure, SCORE, names[0], "o")]
    if other in rows:
        drawn.insert(0, (other, BASELINE, names[1], "D"))
    shift = 0.13 if len(drawn) > 1 else 0.0
    reached: list[float] = []
    for (column, color, name, shape), up in zip(drawn, (shift, -shift), strict=False):
        value, low, high = _ends(rows, column)
        place = np.arange(len(rows)) + up
        ax.hlines(place, low, high, color=color, linewidth=1.6, alpha=0.6)
        ax.plot(value, place, shape, color=color, markersize=4.5, label=name, clip_on=False)
        every = np.concatenate([value, low, high])
        reached += every[np.isfinite(every)].tolist()
    ax.set_xlim(*_ends_of_axis(reached, whole=not measure.endswith(GAIN)))
    if measure.endswith(GAIN):
        ax.axvline(0.0, color="black", linewidth=0.6, zorder=1)
    if len(drawn) > 1 and measure in COMPARED_WITH:
        ax.set_xlabel(f"{names[1]}: at its best threshold", fontsize="small")
    ax.grid(axis="x", color="#E0E0E0", linewidth=0.6)
    ax.set_axisbelow(True)
    for side in ("top", "right", "left"):
        ax.spines[side].set_visible(False)
    ax.tick_params(axis="x", labelsize="small")


def _ends(rows: pd.DataFrame, column: str) -> list[NDArray[np.float64]]:
    """Values and the ends of their intervals; where there are none, the values again."""
    value = rows[column].to_numpy(dtype=float)
    if f"{column}_low" not in rows:
        return [value, value, value]
    return [value, *(rows[f"{column}_{end}"].to_numpy(dtype=float) for end in ("low", "high"))]


def _ends_of_axis(reached: Sequence[float], *, whole: bool) -> tuple[float, float]:
    """Where the axis begins and ends.

    A measure that is a part of a `whole` ends at 1 and begins at the tenth below its lowest value.
    Others, as gains and counts, take what there is, and 0.
    """
    low, high = min(reached, default=1.0), max(reached, default=1.0)
    if whole and low >= 0 and high <= 1:
        return max(0.0, math.floor(low * 10 - 0.1) / 10), 1.0
    low, high = min(low, 0.0), max(high, 0.0)
    margin = 0.05 * (high - low) or 0.05
    return low - margin if low < 0 else 0.0, high + margin


def _legend(axes: Sequence[Axes], *, outside: bool) -> None:
    handles, texts = axes[0].get_legend_handles_labels()
    if len(handles) < 2:
        return
    look = {"fontsize": "small", "frameon": False, "ncols": 2}
    if outside:
        axes[0].figure.legend(
            handles[::-1], texts[::-1], loc="upper right", borderaxespad=0.1, **look
        )
    else:
        axes[-1].legend(handles[::-1], texts[::-1], loc="lower right", **look)
