"""Figure: profiles of nodes and of metaclusters, with their counts and trees."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.gridspec import GridSpec
from matplotlib.image import AxesImage
from scipy.cluster import hierarchy
from spatialdata import SpatialData

from nimbus._check import one_or_more, require_known
from nimbus._keys import Layers
from nimbus._types import FloatArray
from nimbus.data.clusters import map_of, nodes_of, record_of
from nimbus.data.profiles import ZSCORE_CAP, Profiles, ordered_profiles
from nimbus.data.tables import table_of

from ._show import UNDEFINED, finish

MARKER, NODE, METACLUSTER = 0.17, 0.032, 0.19
"""Room in inches: height of a marker, width of a node, width of a metacluster."""

TREE, COUNTS, STRIP, BAR, GAP = 0.65, 0.75, 0.14, 0.14, 0.06
"""Room in inches for trees, bars of counts, the strip of colours, the colour bar, and between."""

BRANCH = "#555555"

COUNT_TEXT: dict[str, Any] = {"fontsize": 6, "ha": "center", "va": "bottom"}

LEFT, RIGHT, TOP, BELOW, LETTER = 0.95, 0.6, 0.15, 0.35, 0.085
"""Margins in inches: least for markers; colour bar; beneath, and for a letter of a name."""


def metaclusters(
    adata: AnnData | SpatialData,
    *,
    markers: str | Sequence[str] | None = None,
    zscore: bool = False,
    cmap: str | None = None,
    key: str = Layers.SCORE,
    table_key: str = "table",
    show: bool | None = None,
    save: str | Path | None = None,
) -> list[Axes] | None:
    """Draw mean scores of nodes and metaclusters as heatmaps, with cells in each.

    Left are the nodes, those of a metacluster beside each other; right the metaclusters, alike
    ones beside each other. Above are their cells, on a logarithmic scale, and trees (average
    linkage): of the nodes within each metacluster, all to one scale, and of the metaclusters.

    Parameters
    ----------
    adata
        Table after :func:`nimbus.tl.cluster`, or the SpatialData object that holds it.
    markers
        Markers from top to bottom; ``None`` takes all, alike ones beside each other.
    zscore
        Z-scores across nodes, and across metaclusters, limited to 3, instead of mean scores.
    cmap
        Colour map; ``None`` is ``"viridis"``, and ``"RdBu_r"`` for z-scores.
    key
        `key_added` of the clustering.
    table_key
        Table of a SpatialData object.
    show
        ``None`` shows the figure, unless `save` is given.
    save
        File to write, e.g. ``"metaclusters.png"``.

    Returns
    -------
    The heatmap of nodes and that of metaclusters; ``None`` where the figure was shown.

    Raises
    ------
    ValueError
        There are no metaclusters, or a marker was not clustered.

    Examples
    --------
    >>> import nimbus
    >>> scores = np.repeat([[0.9, 0.1], [0.1, 0.9], [0.1, 0.1]], 20, axis=0)
    >>> table = AnnData(np.zeros((60, 2)), layers={"nimbus": scores})
    >>> nimbus.tl.cluster(table, grid=(2, 2), n_metaclusters=3)
    >>> nodes, groups = metaclusters(table, show=False)
    >>> [int(n) for n in groups.images[0].get_array().shape]
    [2, 3]
    """
    record = record_of(table_of(adata, table_key), key)
    nodes = nodes_of(record)
    names = None if markers is None else one_or_more(markers)
    require_known("marker", names or (), nodes.markers)
    shown = ordered_profiles(nodes, map_of(record), names, zscore=zscore)
    figure, grid = _new_figure(shown)
    left, right = figure.add_subplot(grid[2, 1]), figure.add_subplot(grid[2, 2])
    limits = (-ZSCORE_CAP, ZSCORE_CAP) if zscore else _limits(shown)
    colors = cmap or ("RdBu_r" if zscore else "viridis")
    _draw_heatmap(left, shown.node_values, colors, limits)
    image = _draw_heatmap(right, shown.metacluster_values, colors, limits)
    _draw_edges(left, shown)
    _draw_marker_names(figure.add_subplot(grid[2, 0]), shown)
    _draw_tree(figure.add_subplot(grid[0, 2]), shown.tree)
    _draw_node_trees(figure.add_subplot(grid[0, 1]), shown)
    _draw_strips(figure, grid, shown)
    _draw_counts(figure, grid, shown)
    bar = figure.colorbar(image, cax=figure.add_subplot(grid[2, 3]))
    usual = "mean score" if limits == (0.0, 1.0) else "mean"
    bar.set_label("z-score" if zscore else usual, fontsize="small")
    bar.ax.tick_params(labelsize="x-small")
    return finish([left, right], given=False, show=show, save=save)


def _new_figure(shown: Profiles) -> tuple[Figure, GridSpec]:
    """A figure whose heatmaps have the room they need; lengths are in inches."""
    widths = (
        TREE,
        max(2.5, NODE * len(shown.nodes)),
        max(1.5, METACLUSTER * len(shown.names)),
        BAR,
    )
    heights = (TREE, COUNTS, max(1.2, MARKER * len(shown.markers)), STRIP)
    left = max(LEFT, GAP + LETTER * max(len(name) for name in shown.markers))
    width = left + sum(widths) + 3 * GAP + RIGHT
    below = BELOW + LETTER * max(len(name) for name in shown.names)
    height = TOP + sum(heights) + 3 * GAP + below
    figure = plt.figure(figsize=(width, height))
    grid = figure.add_gridspec(
        4,
        4,
        width_ratios=widths,
        height_ratios=heights,
        left=left / width,
        right=1 - RIGHT / width,
        top=1 - TOP / height,
        bottom=below / height,
        wspace=4 * GAP / sum(widths),
        hspace=4 * GAP / sum(heights),
    )
    return figure, grid


def _limits(shown: Profiles) -> tuple[float, float]:
    """0 to 1 for scores; what there is for other values."""
    low, high = float(np.nanmin(shown.node_values)), float(np.nanmax(shown.node_values))
    return (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)


def _draw_heatmap(
    ax: Axes, values: FloatArray, cmap: str, limits: tuple[float, float]
) -> AxesImage:
    image = ax.imshow(
        values, cmap=cmap, vmin=limits[0], vmax=limits[1], aspect="auto", interpolation="nearest"
    )
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    return image


def _draw_edges(ax: Axes, shown: Profiles) -> None:
    """Lines between the nodes of different metaclusters."""
    edges = np.flatnonzero(np.diff(shown.position)) + 0.5
    ax.vlines(edges, -0.5, len(shown.markers) - 0.5, color="white", linewidth=0.5)


def _draw_marker_names(ax: Axes, shown: Profiles) -> None:
    """Tree of the markers, and their names left of it."""
    _draw_tree(ax, shown.marker_tree, left=True)
    n = len(shown.markers)
    ax.set_ylim(n - 0.5, -0.5)
    ax.set_yticks(range(n), shown.markers, fontsize="small")
    ax.tick_params(axis="y", length=0)


def _draw_tree(ax: Axes, tree: FloatArray | None, *, left: bool = False) -> None:
    """A tree whose leaves stand at 0, 1, ..., towards the heatmap."""
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    if tree is None:
        return
    for place, height in _branches(tree):
        x, y = (height, place) if left else (place, height)
        ax.plot(x, y, color=BRANCH, linewidth=0.8, solid_capstyle="butt")
    top = float(tree[:, 2].max()) * 1.05
    if left:
        ax.set_xlim(top, 0)
    else:
        ax.set(xlim=(-0.5, len(tree) + 0.5), ylim=(0, top))


def _draw_node_trees(ax: Axes, shown: Profiles) -> None:
    """Trees of the nodes of each metacluster, all to one scale."""
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set_visible(False)
    first, top = 0, 0.0
    for k, tree in enumerate(shown.node_trees):
        if tree is not None:
            top = max(top, float(tree[:, 2].max()))
            for place, height in _branches(tree):
                ax.plot(place + first, height, color=shown.colors[k], linewidth=0.6)
        first += int((shown.position == k).sum())
    ax.set(xlim=(-0.5, len(shown.nodes) - 0.5), ylim=(0, top * 1.05 or 1.0))


def _branches(tree: FloatArray) -> Iterator[tuple[FloatArray, FloatArray]]:
    """Places and heights of the corners of each merge; leaves stand at 0, 1, ..."""
    drawn = hierarchy.dendrogram(tree, no_plot=True)
    for along, height in zip(drawn["icoord"], drawn["dcoord"], strict=True):
        yield (np.array(along) - 5) / 10, np.array(height)  # SciPy puts leaves at 5, 15, ...


def _draw_strips(figure: Figure, grid: GridSpec, shown: Profiles) -> None:
    """Colours of the metaclusters beneath both heatmaps, names beneath the right one."""
    every = np.arange(len(shown.names))
    for column, position in ((1, shown.position), (2, every)):
        ax = figure.add_subplot(grid[3, column])
        ax.imshow(
            position[None],
            cmap=ListedColormap(list(shown.colors)),
            vmin=-0.5,
            vmax=len(shown.names) - 0.5,
            aspect="auto",
            interpolation="nearest",
        )
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
        if column == 1:
            ax.set_xlabel(f"{len(shown.nodes)} nodes by metacluster", fontsize="small")
        else:
            ax.set_xticks(every, shown.names, rotation=90, fontsize="small")
            ax.tick_params(axis="x", length=0)


def _draw_counts(figure: Figure, grid: GridSpec, shown: Profiles) -> None:
    """Cells of each node and metacluster."""
    for column, counts, colors in (
        (1, shown.node_counts, [shown.colors[k] for k in shown.position]),
        (2, shown.counts, list(shown.colors)),
    ):
        ax = figure.add_subplot(grid[1, column])
        ax.bar(range(counts.size), counts, width=1.0 if column == 1 else 0.85, color=colors)
        ax.set(yscale="log", xlim=(-0.5, counts.size - 0.5), xticks=[])
        ax.set_ylim(0.8, max(2.0, float(shown.counts.max()) ** 1.6))  # room for the numbers
        ax.tick_params(axis="y", labelsize="x-small", which="both", color=UNDEFINED)
        ax.spines[["top", "right", "bottom"]].set_visible(False)
        if column == 1:
            ax.set_ylabel("cells", fontsize="small")
        else:
            ax.spines["left"].set_visible(False)
            ax.tick_params(axis="y", which="both", left=False, labelleft=False)
            for k, count in enumerate(counts.tolist()):
                ax.text(k, count * 1.15, f"{count}", rotation=90, **COUNT_TEXT)
