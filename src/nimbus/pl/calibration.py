"""Figure: what scores promise, and what calibration makes of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from spatialdata import SpatialData

from nimbus._check import listed, one_or_more, require_known
from nimbus._keys import ALL_MARKERS
from nimbus.data.tables import table_of
from nimbus.metrics.calibration import wilson_interval

from ._show import NEGATIVE, POSITIVE, AxesGiven, finish, flat_axes

BEFORE, AFTER = "#404040", "#009E73"
"""Scores in grey; probabilities in the green of Okabe and Ito's palette."""

BAND = "#F0E442"
"""Undecided scores: yellow of the same palette, drawn faintly."""

BELOW, GAP = 0.2, 0.05
"""Height of the histogram and its distance, as part of the panel."""

MARGIN_LEFT, MARGIN_BELOW, MARGIN_TITLE, MARGIN_LEGEND = 0.68, 0.5, 0.5, 0.1
"""Room in inches: for numbers and names of the axes, a title, and around the legend above all."""

LEGEND_COLUMN, LEGEND_ROW = 1.05, 0.15
"""Width and height of an entry of the legend in inches."""


def calibration(  # noqa: PLR0913 - the public signature
    adata: AnnData | SpatialData,
    *,
    key: str = "nimbus_calibrated",
    markers: str | Sequence[str] | None = None,
    table_key: str = "table",
    ncols: int = 4,
    panel_size: float = 2.4,
    ax: AxesGiven = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> list[Axes] | None:
    """Draw how often cells of each score are positive, before and after calibration.

    A point is a bin of labelled cells, with its 95% interval: to the right what its scores
    promise, upwards which part is positive. Points on the diagonal keep their promise. Beneath
    are the labelled cells by score.

    Parameters
    ----------
    adata
        Table after :func:`nimbus.tl.calibrate`, or the SpatialData object that holds it.
    key
        Its `key_added`.
    markers
        Markers to draw; ``None`` takes ``"all markers"`` together, then each that has a labelled
        cell.
    table_key
        Table of a SpatialData object.
    ncols
        Panels in a row.
    panel_size
        Side of a panel in inches; not used with `ax`.
    ax
        Axes to draw into, one for each panel; ``None`` makes a figure.
    show
        ``None`` shows the figure, unless `ax` or `save` is given.
    save
        File to write, e.g. ``"calibration.png"``.

    Returns
    -------
    The axes, one for each panel; ``None`` where the figure was shown. Points after calibration
    are of cells whose field had no part in the curve; the line is the curve from scores to
    probabilities; undecided scores are shaded, the threshold is dotted.

    Raises
    ------
    ValueError
        There is no such calibration, or a marker has no labelled cell.

    Examples
    --------
    >>> import nimbus
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> score = rng.random((400, 1))
    >>> gold = (rng.random((400, 1)) < score**2).astype(np.int8)
    >>> table = AnnData(np.zeros((400, 1)), layers={"nimbus": score, "gold": gold})
    >>> table.obs["slide"] = ["a", "b", "c", "d"] * 100
    >>> _ = nimbus.tl.calibrate(table, field_key="slide")
    >>> [ax.get_xlabel() for ax in calibration(table, show=False)]
    ['', '']
    """
    record = _record(table_of(adata, table_key), key)
    bins = record["reliability"]
    there = list(dict.fromkeys(bins["marker"]))
    if markers is None:
        names = there
    else:
        names = one_or_more(markers)
        require_known("marker with labelled cells", names, there)
    axes = (
        _new_axes(len(names), ncols, panel_size)
        if ax is None
        else flat_axes(ax, len(names), what="one for each marker")
    )
    for own, name in zip(axes, names, strict=True):
        _draw_panel(own, record, name)
    _legend(axes[0], outside=ax is None)
    return finish(axes, given=ax is not None, show=show, save=save)


def _record(table: AnnData, key: str) -> Mapping[str, Any]:
    """What :func:`nimbus.tl.calibrate` stored."""
    found = [
        str(name)
        for name, record in table.uns.items()
        if isinstance(record, Mapping) and "reliability" in record
    ]
    if key not in found:
        raise ValueError(
            f"uns[{key!r}] holds no calibration; run nimbus.tl.calibrate first, or pass key= "
            f"(there is {listed(found)})"
        )
    record: Mapping[str, Any] = table.uns[key]
    return record


def _new_axes(n: int, ncols: int, panel_size: float) -> list[Axes]:
    """Axes of one size, in rows; lengths are in inches."""
    columns = max(1, min(n, ncols))
    rows = math.ceil(n / columns)
    below = panel_size * (BELOW + GAP)
    width = panel_size + MARGIN_LEFT
    height = panel_size + below + MARGIN_BELOW + MARGIN_TITLE
    total_width = columns * width + 0.15
    legend = MARGIN_LEGEND + LEGEND_ROW * len(_entries()) / _legend_columns(total_width)
    total_height = rows * height + legend
    figure = plt.figure(figsize=(total_width, total_height))
    return [
        figure.add_axes(
            (
                (k % columns * width + MARGIN_LEFT) / total_width,
                ((rows - 1 - k // columns) * height + MARGIN_BELOW + below) / total_height,
                panel_size / total_width,
                panel_size / total_height,
            )
        )
        for k in range(n)
    ]


def _draw_panel(ax: Axes, record: Mapping[str, Any], name: str) -> None:
    bins = record["reliability"]
    own = bins[bins["marker"] == name]
    _limits(ax, record["markers"], name)
    ax.plot([0, 1], [0, 1], color="#B0B0B0", linewidth=0.8, zorder=1)
    curve = record["curves"][record["curves"]["marker"] == name]
    ax.plot(curve["score"], curve["probability"], color=BEFORE, linewidth=1.0, zorder=2)
    for when, color, face in (("before", BEFORE, "white"), ("after", AFTER, AFTER)):
        _points(ax, own[own["when"] == when], color, face)
    ax.set(xlim=(0, 1), ylim=(-0.02, 1.02), aspect="auto")
    ax.set_ylabel("part that is positive", fontsize="small")
    ax.tick_params(labelbottom=False, labelsize="small")
    ax.set_title(_title(record, name), fontsize="small")
    beneath = ax.inset_axes((0.0, -GAP - BELOW, 1.0, BELOW), sharex=ax)
    _histogram(beneath, own[own["when"] == "before"])


def _points(ax: Axes, bins: pd.DataFrame, color: str, face: str) -> None:
    low, high = wilson_interval(bins["n_positive"].to_numpy(), bins["n_cells"].to_numpy())
    ax.vlines(bins["mean"], low, high, color=color, linewidth=0.8, alpha=0.7, zorder=3)
    ax.plot(
        bins["mean"],
        bins["observed"],
        linestyle="none",
        marker="o",
        markersize=4.5,
        color=color,
        markerfacecolor=face,
        zorder=4,
    )


def _limits(ax: Axes, markers: pd.DataFrame, name: str) -> None:
    """Threshold and undecided band of a marker; all markers together have none."""
    rows = markers[markers["marker"] == name]
    for lower, upper, threshold in rows[["lower", "upper", "threshold"]].to_numpy(dtype=float):
        if lower < upper:
            ax.axvspan(lower, min(upper, 1.0), color=BAND, alpha=0.3, linewidth=0, zorder=0)
        if threshold <= 1:
            ax.axvline(threshold, color="black", linewidth=0.9, linestyle=(0, (1, 2)), zorder=2)


def _histogram(ax: Axes, bins: pd.DataFrame) -> None:
    """Labelled cells by score, on a logarithmic scale from one cell."""
    low, high, n_cells, n_positive = (
        bins[name].to_numpy(dtype=float) for name in ("low", "high", "n_cells", "n_positive")
    )
    for counts, color in ((n_cells - n_positive, NEGATIVE), (n_positive, POSITIVE)):
        ax.bar(low, counts, high - low, align="edge", color=color, alpha=0.55, linewidth=0)
    ax.set_yscale("log")
    ax.set_ylim(0.8, max(10.0, 1.5 * float(n_cells.max(initial=0))))
    ax.set_ylabel("cells", fontsize="small")
    ax.set_xlabel("score or probability", fontsize="small")
    ax.tick_params(labelsize="small")
    ax.spines[["top", "right"]].set_visible(False)


def _title(record: Mapping[str, Any], name: str) -> str:
    rows = record["markers"][record["markers"]["marker"] == name]
    errors: Mapping[Any, Any] = (
        record["pooled"] if name == ALL_MARKERS else rows.to_dict("records")[0]
    )
    n, positive = int(errors["n_labelled"]), int(errors["n_positive"])
    before, after = errors["ece_before"], errors["ece_after"]
    return f"{name}: {positive} of {n} positive\ncalibration error {before:.3f} to {after:.3f}"


def _entries() -> list[Line2D | Patch]:
    """What the legend explains."""
    return [
        Line2D([], [], color=BEFORE, marker="o", markerfacecolor="white", label="score, curve"),
        Line2D([], [], color=AFTER, marker="o", linestyle="none", label="held-out probability"),
        Patch(color=BAND, alpha=0.3, label="undecided"),
        Line2D([], [], color="black", linestyle=(0, (1, 2)), label="threshold"),
        Patch(color=POSITIVE, alpha=0.55, label="positive"),
        Patch(color=NEGATIVE, alpha=0.55, label="negative"),
    ]


def _legend(ax: Axes, *, outside: bool) -> None:
    look = {"handles": _entries(), "fontsize": "x-small", "frameon": False}
    if outside:
        columns = _legend_columns(ax.figure.bbox.width / ax.figure.dpi)
        ax.figure.legend(loc="upper center", ncols=columns, **look)
    else:
        ax.legend(loc="upper left", **look)


def _legend_columns(width: float) -> int:
    """Entries of the legend beside each other in a figure so many inches wide."""
    return max(n for n in (1, 2, 3, 6) if n == 1 or n * LEGEND_COLUMN <= width)
