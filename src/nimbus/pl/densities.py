"""Figure: scores against mean intensities, for each marker."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

import matplotlib.pyplot as plt
import numpy as np
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import NullLocator
from numpy.typing import NDArray
from spatialdata import SpatialData

from nimbus._check import one_or_more, require_known
from nimbus._keys import Layers
from nimbus._types import BoolArray, FloatArray
from nimbus.data.layers import layer_names, marker_values, scores_or_labels
from nimbus.data.tables import table_of
from nimbus.metrics.positivity import auroc

from ._joint import Bins, bins_for, blended, finite_pairs, joint_counts, round_ticks
from ._show import NEGATIVE, POSITIVE, AxesGiven, finish, flat_axes

XScale = Literal["asinh", "linear"]

SIDE, SIDE_GAP = 0.17, 0.03
"""Height of the histograms along the sides and their distance, as part of the panel."""

MARGIN_LEFT, MARGIN_BELOW, MARGIN_TITLE, MARGIN_LEGEND = 0.62, 0.5, 0.42, 0.25
"""Room in inches: for numbers and names of the axes, a title, and the legend above all."""

_ALL = "#404040"
"""All cells, where no truth is known."""


def densities(  # noqa: PLR0913 - the public signature
    adata: AnnData | SpatialData,
    *,
    layer: str = Layers.SCORE,
    reference: str = Layers.INTEGRATED,
    truth_layer: str | None = None,
    markers: str | Sequence[str] | None = None,
    table_key: str = "table",
    xscale: XScale = "asinh",
    threshold: float | None = 0.5,
    n_bins: int = 60,
    ncols: int = 4,
    panel_size: float = 2.6,
    ax: AxesGiven = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> list[Axes] | None:
    """Draw each marker's score against its integrated expression, for positive and negative cells.

    Cells are counted in bins, so that a million of them take no longer to draw than a hundred, and
    a single one can be seen. Histograms along the sides show each measurement alone.

    Parameters
    ----------
    adata
        Table with both layers, or the SpatialData object that holds it.
    layer
        Scores ``(cells, markers)``; upwards.
    reference
        What they are compared with; to the right.
    truth_layer
        1 for positive and 0 for negative cells, e.g. ``"truth"`` or ``"gold"``; others are left
        out. ``None`` draws all cells alike.
    markers
        Markers to draw; ``None`` takes all that have a score.
    table_key
        Table of a SpatialData object.
    xscale
        ``"asinh"`` is linear up to the 25th percentile of the cells and logarithmic beyond.
    threshold
        Score where a line is drawn; ``None`` draws none.
    n_bins
        Bins along each axis.
    ncols
        Panels in a row.
    panel_size
        Side of a panel in inches; not used with `ax`.
    ax
        Axes to draw into, one for each marker; ``None`` makes a figure.
    show
        ``None`` shows the figure, unless `ax` or `save` is given.
    save
        File to write, e.g. ``"densities.png"``.

    Returns
    -------
    The axes, one for each marker; ``None`` where the figure was shown. Cells that lack one of the
    measurements (NaN, or -1 where a layer holds labels) are left out. With a truth layer the titles
    tell the area under the receiver operating curve of both.

    Raises
    ------
    ValueError
        Unknown layer or marker, or no marker with a score.

    Examples
    --------
    >>> import nimbus
    >>> table = AnnData(
    ...     np.array([[1.0], [9.0]]),
    ...     layers={"nimbus": np.array([[0.1], [0.9]]), "integrated": np.array([[1.0], [9.0]])},
    ... )
    >>> [ax.get_ylabel() for ax in nimbus.pl.densities(table, show=False)]
    ['score']
    """
    table = table_of(adata, table_key)
    wanted = [layer, reference] if truth_layer is None else [layer, reference, truth_layer]
    require_known("layer", wanted, layer_names(table))
    if xscale not in get_args(XScale):
        raise ValueError(f"xscale={xscale!r} is not one of {get_args(XScale)}")
    names = _markers(table, markers, layer)
    axes = (
        _new_axes(len(names), ncols, panel_size)
        if ax is None
        else flat_axes(ax, len(names), what="one for each marker")
    )
    for own, name in zip(axes, names, strict=True):
        cells = _cells_of(table, name, layer, reference, truth_layer)
        bins = bins_for(cells.x, cells.y, n_bins=n_bins, bent=xscale == "asinh")
        _draw_marker(own, cells, bins, threshold)
        own.set_title(
            _title(name, cells, (layer, reference)), fontsize="small", y=1 + SIDE_GAP + SIDE
        )
        own.set_xlabel(_quantity(reference))
        own.set_ylabel(_quantity(layer))
    if truth_layer is not None:
        _legend(axes[0], outside=ax is None)
    return finish(axes, given=ax is not None, show=show, save=save)


@dataclass(frozen=True, slots=True, eq=False)
class _MarkerCells:
    """Reference (x) and score (y) of the cells that have both, and which are positive."""

    x: FloatArray
    y: FloatArray
    positive: BoolArray | None

    def groups(self) -> dict[str, BoolArray]:
        """Cells by the colour they are drawn in."""
        if self.positive is None:
            return {_ALL: np.ones(self.x.shape, dtype=bool)}
        return {NEGATIVE: ~self.positive, POSITIVE: self.positive}


def _markers(table: AnnData, markers: str | Sequence[str] | None, layer: str) -> list[str]:
    there = [str(name) for name in table.var_names]
    if markers is not None:
        names = one_or_more(markers)
        require_known("marker", names, there)
        return names
    names = [name for name in there if np.isfinite(_measured(table, name, layer)).any()]
    if not names:
        raise ValueError(f"layer {layer!r} holds no score of any marker; run nimbus.tl.score first")
    return names


def _cells_of(
    table: AnnData, name: str, layer: str, reference: str, truth_layer: str | None
) -> _MarkerCells:
    x, y = (_measured(table, name, key) for key in (reference, layer))
    kept = finite_pairs(x, y)
    if truth_layer is None:
        return _MarkerCells(x[kept], y[kept], None)
    truth = marker_values(table, name, truth_layer)
    kept &= (truth == 0) | (truth == 1)
    return _MarkerCells(x[kept], y[kept], truth[kept] == 1)


def _measured(table: AnnData, name: str, layer: str) -> FloatArray:
    """Values of a marker; NaN where a cell has none, or a label that is undefined."""
    return scores_or_labels(marker_values(table, name, layer))


def _new_axes(n: int, ncols: int, panel_size: float) -> list[Axes]:
    """Axes of one size, in rows; lengths are in inches."""
    columns = max(1, min(n, ncols))
    rows = math.ceil(n / columns)
    sides = panel_size * (1 + SIDE_GAP + SIDE)  # the panel and the histogram beside it
    width, height = sides + MARGIN_LEFT, sides + MARGIN_BELOW + MARGIN_TITLE
    figure = plt.figure(figsize=(columns * width + 0.15, rows * height + MARGIN_LEGEND))
    total_width, total_height = figure.get_size_inches()
    return [
        figure.add_axes(
            (
                (k % columns * width + MARGIN_LEFT) / total_width,
                ((rows - 1 - k // columns) * height + MARGIN_BELOW) / total_height,
                panel_size / total_width,
                panel_size / total_height,
            )
        )
        for k in range(n)
    ]


def _draw_marker(ax: Axes, cells: _MarkerCells, bins: Bins, threshold: float | None) -> None:
    groups = cells.groups()
    counts = {
        color: joint_counts(cells.x[own], cells.y[own], bins) for color, own in groups.items()
    }
    ax.pcolormesh(bins.x, bins.y, blended(counts), rasterized=True)
    if bins.width:
        ax.set_xscale("asinh", linear_width=bins.width)
    ticks = round_ticks(bins)
    ax.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_xlim(bins.x[0], bins.x[-1])
    ax.set_ylim(bins.y[0], bins.y[-1])
    above = ax.inset_axes((0.0, 1 + SIDE_GAP, 1.0, SIDE), sharex=ax)
    beside = ax.inset_axes((1 + SIDE_GAP, 0.0, SIDE, 1.0), sharey=ax)
    for color, own in counts.items():
        _side(above, own.sum(axis=0), bins.x, color, "vertical")
        _side(beside, own.sum(axis=1), bins.y, color, "horizontal")
    for inset in (above, beside):
        inset.set_axis_off()
    if threshold is not None:
        ax.axhline(threshold, color="black", linewidth=0.6, linestyle=(0, (4, 3)))


def _side(
    ax: Axes,
    counts: NDArray[np.int64],
    edges: NDArray[np.float64],
    color: str,
    way: Literal["vertical", "horizontal"],
) -> None:
    """Histogram of one group along a side, as high as the side for its fullest bin."""
    ax.stairs(
        counts / max(int(counts.max(initial=0)), 1),
        edges,
        color=color,
        fill=True,
        alpha=0.55,
        orientation=way,
    )


def _legend(ax: Axes, *, outside: bool) -> None:
    handles = [Patch(color=POSITIVE, label="positive"), Patch(color=NEGATIVE, label="negative")]
    if outside:
        ax.figure.legend(
            handles=handles, fontsize="small", loc="upper right", ncols=2, frameon=False
        )
    else:
        ax.legend(handles=handles, fontsize="small", loc="upper left")


def _title(name: str, cells: _MarkerCells, layers: tuple[str, str]) -> str:
    if cells.positive is None:
        return name
    if not cells.positive.size:
        return f"{name}\nno cell has a score and a truth"
    areas = [auroc(values, cells.positive) for values in (cells.y, cells.x)]
    if math.isnan(areas[0]):
        return f"{name}\n{'all' if cells.positive.any() else 'no'} cells positive"
    first, second = (_quantity(layer).removeprefix("mean ") for layer in layers)
    return f"{name}\nAUROC: {first} {areas[0]:.3f}, {second} {areas[1]:.3f}"


def _quantity(layer: str) -> str:
    return {Layers.SCORE: "score", Layers.INTEGRATED: "mean intensity"}.get(layer, layer)
