"""Figure: how many metaclusters resamples agree on, and which nodes are where they belong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from spatialdata import SpatialData

from nimbus._keys import Layers
from nimbus.data.clusters import consensus_of, map_of, nodes_of, record_of
from nimbus.data.tables import table_of

from ._show import NEGATIVE, POSITIVE, UNDEFINED, AxesGiven, finish, flat_axes

WIDTH, HEIGHT, LETTER = 13.0, 3.3, 0.07
"""Inches: of the figure, and for a letter of a name of a metacluster."""

SMALLEST, LARGEST = 8.0, 150.0
"""Area of the dot of a node, in square points: without cells, and with most of them."""


def stability(
    adata: AnnData | SpatialData,
    *,
    key: str = Layers.SCORE,
    table_key: str = "table",
    ax: AxesGiven = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> list[Axes] | None:
    """Draw how stable each number of metaclusters is, and each node in its metacluster.

    Left: mean stability of the nodes, and the share of pairs of nodes that resamples do not agree
    on. A good number has a high stability and few such pairs; it is dashed where it is now.
    Middle: by what the area under the distribution of the consensus grows with one metacluster
    more; where it hardly does, more of them tell little. Right: nodes by metacluster, with areas
    by cells; ringed ones are small, stable and far from their siblings: rare cell types, perhaps.

    Parameters
    ----------
    adata
        Table after :func:`nimbus.tl.metacluster`, or the SpatialData object that holds it.
    key
        Its `key_added`.
    table_key
        Table of a SpatialData object.
    ax
        Three axes to draw into; ``None`` makes a figure.
    show
        ``None`` shows the figure, unless `ax` or `save` is given.
    save
        File to write, e.g. ``"stability.png"``.

    Returns
    -------
    The three axes; ``None`` where the figure was shown. Nodes stand in the metacluster they have
    now, after all edits; their stability is in the one that was found.

    Raises
    ------
    ValueError
        There are no metaclusters.

    Examples
    --------
    >>> import nimbus
    >>> scores = np.repeat([[0.9, 0.1], [0.1, 0.9], [0.1, 0.1]], 20, axis=0)
    >>> table = AnnData(np.zeros((60, 2)), layers={"nimbus": scores})
    >>> nimbus.tl.cluster(table, grid=(2, 2), n_metaclusters=2)
    >>> [axes.get_xlabel() for axes in stability(table, show=False)]
    ['metaclusters', 'metaclusters', 'metacluster']
    """
    record = record_of(table_of(adata, table_key), key)
    found = consensus_of(record)
    axes = (
        _new_axes(map_of(record).names.values())
        if ax is None
        else flat_axes(ax, 3, what="two of numbers, one of nodes")
    )
    now = int(found["settings"]["n_metaclusters"])
    _draw_agreement(axes[0], found["by_number"], now)
    _draw_gain(axes[1], found["by_number"], now)
    _draw_nodes(axes[2], record, found)
    return finish(axes, given=ax is not None, show=show, save=save)


def _new_axes(names: Iterable[str]) -> list[Axes]:
    """Three panels; the figure is higher by the names beneath the last."""
    size = (WIDTH, HEIGHT + LETTER * max(map(len, names)))
    return list(plt.subplots(1, 3, figsize=size, width_ratios=(1, 1, 1.8), layout="tight")[1])


def _draw_agreement(ax: Axes, by_number: pd.DataFrame, now: int) -> None:
    number = by_number["n_metaclusters"]
    for name, color, label in (
        ("stability", NEGATIVE, "mean stability of nodes"),
        ("ambiguous", POSITIVE, "pairs not agreed on"),
    ):
        ax.plot(number, by_number[name], color=color, marker=".", markersize=4, label=label)
    ax.set(ylim=(-0.03, 1.03), ylabel="share")
    ax.legend(fontsize="small", frameon=False)
    _finish_numbers(ax, now)


def _draw_gain(ax: Axes, by_number: pd.DataFrame, now: int) -> None:
    later = by_number[by_number["n_metaclusters"] > 2]  # the first has none before it
    ax.bar(later["n_metaclusters"], later["gain"], color=UNDEFINED, width=0.8)
    ax.set(ylabel="gain in area")
    _finish_numbers(ax, now)


def _finish_numbers(ax: Axes, now: int) -> None:
    ax.axvline(now, color="black", linewidth=0.8, linestyle=(0, (4, 3)))
    ax.set_xlabel("metaclusters")
    ax.spines[["top", "right"]].set_visible(False)


def _draw_nodes(ax: Axes, record: Mapping[str, Any], found: Mapping[str, Any]) -> None:
    clusters, counts = map_of(record), nodes_of(record).counts
    stable, rare = np.asarray(found["stability"]), np.asarray(found["rare"], dtype=bool)
    position = {number: k for k, number in enumerate(clusters.names)}
    there = np.flatnonzero(counts > 0)
    own = np.array([clusters.metacluster[k] for k in there])
    place = np.array([position[number] for number in own]) + _spread(own)
    area = SMALLEST + (LARGEST - SMALLEST) * counts[there] / counts.max()
    colors = [clusters.colors[number] for number in own]
    ax.scatter(place, stable[there], s=area, c=colors, alpha=0.8, linewidths=0)
    ring = rare[there]
    ax.scatter(
        place[ring], stable[there][ring], s=area[ring] + 40, facecolors="none", edgecolors="black"
    )
    size = "x-small" if len(position) > 25 else "small"
    ax.set_xticks(range(len(position)), list(clusters.names.values()), rotation=90, fontsize=size)
    ax.set(xlim=(-0.7, len(position) - 0.3), xlabel="metacluster", ylabel="stability of the node")
    handle = Line2D([], [], marker="o", mfc="none", mec="black", ls="none", label="rare candidate")
    ax.legend(
        handles=[handle],
        fontsize="small",
        frameon=False,
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        borderaxespad=0,
    )
    ax.set_ylim(min(0.5, float(np.nanmin(stable)) - 0.08), 1.06)
    ax.spines[["top", "right"]].set_visible(False)


def _spread(own: np.ndarray) -> np.ndarray:
    """Places of the nodes of a metacluster beside each other, within half a unit."""
    rank = pd.Series(own).groupby(own).cumcount().to_numpy()
    size = np.bincount(own)[own]
    return np.asarray((rank + 0.5) / size - 0.5) * 0.6
