"""Figure: what goes with errors."""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import ListedColormap
from matplotlib.ticker import PercentFormatter
from numpy.typing import NDArray

from nimbus._check import listed
from nimbus._keys import ALL_MARKERS
from nimbus.data.annotations import require_frame

from ._show import UNDEFINED, AxesGiven, finish, flat_axes

BAR, CHANCE = "#0072B2", "black"
"""Information, and the line below which chance lies."""

ROW, CELL, BARS, QUARTERS = 0.42, 0.3, 2.4, 2.4
"""Lengths in inches: a covariate, a marker, and the widths of the first two panels."""

LEAST_EXPLAINED = 0.05
"""Colours reach at least up to this, so that small differences do not look large."""

MARGIN_LEFT, LETTER, MARGIN_TOP, GAP = 1.15, 0.1, 0.35, 0.3
"""Room in inches: least for names, for a letter of one, for titles, and between panels."""

BAR_GAP, BAR_WIDTH, BAR_ROOM = 0.1, 0.1, 0.65
"""Inches between the last panel and its colour bar, across the bar, and for it with its numbers."""

_QUARTERS = tuple(f"error_rate_q{k}" for k in (1, 2, 3, 4))


def confounders(
    confounders: pd.DataFrame,
    *,
    ax: AxesGiven = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> list[Axes] | None:
    """Draw how much covariates tell of errors, which way, and for which markers.

    From left to right: mutual information with the errors of all markers, with a line below which
    95% of the permutations lie; the error rate in the quarters of the cells with the smallest up to
    the largest values (grey where ties leave a quarter empty); for each marker the part of the
    entropy of its errors that a covariate explains, with a dot where the information is above that
    of chance.

    Parameters
    ----------
    confounders
        What :func:`nimbus.tl.confounders` returned.
    ax
        Three axes to draw into, two where the table holds one marker; ``None`` makes a figure.
    show
        ``None`` shows the figure, unless `ax` or `save` is given.
    save
        File to write, e.g. ``"confounders.png"``.

    Returns
    -------
    The axes; ``None`` where the figure was shown.

    Raises
    ------
    ValueError
        A table of another kind.

    Examples
    --------
    >>> import nimbus
    >>> sdata = nimbus.datasets.tissue(shape=(128, 128), markers=["CD3", "CD8"], random_state=1)
    >>> table = nimbus.tl.confounders(
    ...     sdata, layer="truth", truth_layer="truth", covariates=["cell_size", "density"]
    ... )
    >>> [ax.get_title() for ax in nimbus.pl.confounders(table, show=False)]
    ['information on errors', 'error rate', 'explained, by marker']
    """
    _require_confounders(confounders)
    whole = confounders[confounders["marker"] == ALL_MARKERS].sort_values(
        "mutual_information", ascending=False, kind="stable"
    )
    order = whole["covariate"].tolist()
    single = confounders[confounders["marker"] != ALL_MARKERS]
    markers = list(dict.fromkeys(single["marker"]))
    several = len(markers) > 1
    axes = (
        _new_axes(order, markers if several else [])
        if ax is None
        else flat_axes(ax, 3 if several else 2, what="information, error rate, markers")
    )
    _draw_information(axes[0], whole)
    _draw_quarters(axes[1], whole)
    if several:
        _draw_markers(axes[2], single, order, markers)
    for own in axes:
        names = [name.replace("_", " ") for name in order] if own is axes[0] else []
        own.set_yticks(range(len(order)), names)
        own.set_ylim(len(order) - 0.5, -0.5)
        own.tick_params(axis="y", length=0)
    return finish(axes, given=ax is not None, show=show, save=save)


def _require_confounders(table: pd.DataFrame) -> None:
    require_frame("confounders", table)
    columns = [str(name) for name in table.columns]
    needed = {"marker", "covariate", "mutual_information", "null_high", "explained", *_QUARTERS}
    if needed - set(columns) or ALL_MARKERS not in set(table["marker"]):
        raise ValueError(
            "confounders must be the table that nimbus.tl.confounders returns, with its rows of "
            f"{ALL_MARKERS!r}; it has the columns {listed(columns)}"
        )


def _new_axes(covariates: list[str], markers: list[str]) -> list[Axes]:
    """Panels side by side over the same rows; lengths in inches."""
    left = max(MARGIN_LEFT, LETTER * max(map(len, covariates)))
    below = 0.35 + max(0.3, 0.075 * max(map(len, markers), default=0))
    widths = [BARS, QUARTERS, *([max(CELL * len(markers), 2.0)] if markers else [])]
    width = left + sum(widths) + GAP * len(widths) + (BAR_ROOM if markers else 0.0)
    rows = len(covariates) * ROW
    height = rows + MARGIN_TOP + below
    figure = plt.figure(figsize=(width, height))
    lefts = left + np.cumsum([0.0, *[own + GAP for own in widths[:-1]]])
    return [
        figure.add_axes((start / width, below / height, own / width, rows / height))
        for start, own in zip(lefts, widths, strict=True)
    ]


def _draw_information(ax: Axes, whole: pd.DataFrame) -> None:
    values = whole["mutual_information"].to_numpy(dtype=float)
    chance = whole["null_high"].to_numpy(dtype=float)
    places = np.arange(len(whole))
    ax.barh(places, values, color=BAR, height=0.6)
    ax.vlines(chance, places - 0.36, places + 0.36, color=CHANCE, linewidth=1.4)
    ax.set_title("information on errors", fontsize="medium")
    ax.set_xlabel("mutual information (nats)\nline: 95% of permutations", fontsize="small")
    ax.set_xlim(0, None)
    ax.locator_params(axis="x", nbins=4)
    ax.tick_params(axis="x", labelsize="small")
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)


def _draw_quarters(ax: Axes, whole: pd.DataFrame) -> None:
    rates = whole[list(_QUARTERS)].to_numpy(dtype=float)
    usual = float(whole["error_rate"].max())
    _heat(ax, rates, vmax=max(2 * usual, _largest(rates)) or 1.0)
    for row, column in np.ndindex(rates.shape):
        rate = rates[row, column]
        if np.isfinite(rate):
            ax.text(column, row, f"{100 * rate:.1f}%", ha="center", va="center", fontsize="small")
    ax.set_xticks(range(4), ["smallest", "", "", "largest"], fontsize="small")
    ax.set_xlabel("quarters of the cells", fontsize="small")
    ax.set_title("error rate", fontsize="medium")


def _draw_markers(ax: Axes, single: pd.DataFrame, order: list[str], markers: list[str]) -> None:
    def grid(column: str) -> NDArray[np.float64]:
        wide = single.pivot(index="covariate", columns="marker", values=column)
        return wide.loc[order, markers].to_numpy(dtype=float)

    explained = grid("explained")
    image = _heat(ax, explained, vmax=max(_largest(explained), LEAST_EXPLAINED))
    above = grid("mutual_information") > grid("null_high")
    ax.plot(*np.nonzero(above)[::-1], "o", color="black", markersize=2.5)
    ax.set_xticks(range(len(markers)), markers, rotation=90, fontsize="small")
    ax.set_title("explained, by marker", fontsize="medium")
    ax.set_xlabel("dot: above 95% of permutations", fontsize="small")
    inch = ax.figure.dpi / ax.bbox.width
    beside = ax.inset_axes((1 + BAR_GAP * inch, 0.0, BAR_WIDTH * inch, 1.0))
    bar = ax.figure.colorbar(image, cax=beside)
    bar.ax.tick_params(labelsize="small", length=2)
    bar.ax.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
    bar.outline.set_linewidth(0.5)


def _largest(values: NDArray[np.float64]) -> float:
    return float(np.max(values, initial=0.0, where=np.isfinite(values)))


def _heat(ax: Axes, values: NDArray[np.float64], *, vmax: float) -> QuadMesh:
    """Values as colours from white to orange; grey where there is none."""
    part = ListedColormap(colormaps["Oranges"](np.linspace(0, 0.7, 256)), name="errors")
    colors = part.with_extremes(bad=UNDEFINED)
    for side in ax.spines.values():
        side.set_visible(False)
    ax.tick_params(length=0)
    return ax.pcolormesh(
        np.arange(values.shape[1] + 1) - 0.5,
        np.arange(values.shape[0] + 1) - 0.5,
        np.ma.masked_invalid(values),
        cmap=colors,
        vmin=0,
        vmax=vmax,
        edgecolors="white",
        linewidth=1.0,
    )
