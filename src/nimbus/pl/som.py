"""Figure: the nodes of a map on their grid and on their tree, each with what its cells are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias, get_args

import matplotlib.pyplot as plt
import numpy as np
from anndata import AnnData
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PatchCollection
from matplotlib.legend import Legend
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from matplotlib.transforms import ScaledTranslation
from spatialdata import SpatialData

from nimbus._check import one_or_more, require_known
from nimbus._keys import Layers
from nimbus._types import BoolArray, FloatArray
from nimbus.data.clusters import map_of, nodes_of, record_of
from nimbus.data.tables import table_of

from ._glyphs import LINE, PAPER, draw_discs, draw_pies, draw_stars, radii
from ._nodecontent import Glyph, NodeContent, node_content
from ._nodes import NodeLayout, grid_layout, tree_of_nodes
from ._show import BESIDE, TITLE, UNDEFINED, AxesGiven, finish, flat_axes, legend_look, make_room

NodeLayoutName: TypeAlias = Literal["grid", "tree"]


def som(  # noqa: PLR0913 - the public signature
    adata: AnnData | SpatialData,
    *,
    layout: NodeLayoutName | Sequence[NodeLayoutName] = ("grid", "tree"),
    glyph: Glyph = "star",
    color: str | None = None,
    markers: str | Sequence[str] | None = None,
    node_numbers: bool = False,
    key: str = Layers.SCORE,
    table_key: str = "table",
    panel_size: float = 6.0,
    ax: AxesGiven = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> list[Axes] | None:
    """Draw the nodes of a self-organising map: what their cells are, how many, and who is alike.

    The area of a node rises with its cells; behind it is the colour of its metacluster.

    Parameters
    ----------
    adata
        Table after :func:`nimbus.tl.cluster`, or the SpatialData object that holds it.
    layout
        ``"grid"``: as the map was trained, with darker walls between neighbours that are less
        alike; nodes without cells are empty. ``"tree"``: the minimum spanning tree of mean scores,
        which leads from each node to those most like it. Several make a panel each.
    glyph
        ``"star"``: a sector for each marker, as long as its mean score is high. ``"pie"``: the
        share of each group of `color` among the cells of the node. ``"disc"``: filled with the
        mean of the marker `color`.
    color
        For ``"pie"`` a column of ``obs``; ``None`` takes ``"nimbus_cell_type"``, or
        ``"nimbus_metacluster"``. For ``"disc"`` a marker; ``None`` takes the colour of the
        metacluster.
    markers
        Sectors of the stars, clockwise from the top; ``None`` takes all that were clustered.
    node_numbers
        Write the number of each node beside it, as :func:`nimbus.tl.remap` takes it.
    key
        `key_added` of the clustering.
    table_key
        Table of a SpatialData object.
    panel_size
        Side of a panel in inches; not used with `ax`.
    ax
        One axes for each layout; ``None`` makes a figure.
    show
        ``None`` shows the figure, unless `ax` or `save` is given.
    save
        File to write, e.g. ``"som.png"``.

    Returns
    -------
    One axes for each layout; ``None`` where the figure was shown. On the grid x is the column and y
    the row of a node, and y goes down. Values other than scores go from the least to the largest
    mean of each marker.

    Raises
    ------
    ValueError
        There is no clustering; an unknown layout, glyph, marker or column; more groups than can be
        told apart.

    Examples
    --------
    >>> import nimbus
    >>> scores = np.repeat([[0.9, 0.1], [0.1, 0.9], [0.1, 0.1]], 20, axis=0)
    >>> table = AnnData(np.zeros((60, 2)), layers={"nimbus": scores})
    >>> nimbus.tl.cluster(table, grid=(2, 2), n_metaclusters=3)
    >>> [axes.get_title() for axes in som(table, show=False)]
    ['2 x 2 nodes', 'minimum spanning tree']
    """
    wanted = one_or_more(layout)
    require_known("layout", wanted, get_args(NodeLayoutName))
    require_known("glyph", [glyph], get_args(Glyph))
    table = table_of(adata, table_key)
    record = record_of(table, key)
    nodes = nodes_of(record)
    clusters = map_of(record) if "map" in record or "metacluster" in record else None
    content = node_content(table, nodes, clusters, glyph, color, markers, key)
    axes = (
        _new_axes(len(wanted), panel_size)
        if ax is None
        else flat_axes(ax, len(wanted), what="one for each layout")
    )
    for own, name in zip(axes, wanted, strict=True):
        placed = grid_layout(nodes, record) if name == "grid" else tree_of_nodes(nodes)
        own.set_title(placed.title, fontsize="medium")
        _draw_panel(own, name, placed, content, node_numbers=node_numbers)
    _draw_legends(axes[-1], content, outside=ax is None)
    return finish(axes, given=ax is not None, show=show, save=save)


def _new_axes(n_panels: int, panel_size: float) -> list[Axes]:
    size = (n_panels * panel_size, panel_size + TITLE)
    figure = plt.figure(figsize=size, layout="constrained")
    towards_legends = {"anchor": "NE"}  # in a slot that is larger than what is drawn
    return list(figure.subplots(1, n_panels, squeeze=False, subplot_kw=towards_legends).ravel())


def _draw_panel(
    ax: Axes, name: str, placed: NodeLayout, content: NodeContent, *, node_numbers: bool
) -> None:
    """Background, lines and glyphs of one layout."""
    counts = content.nodes.counts[placed.nodes]
    behind = content.metacluster_colors(placed.nodes.tolist())
    if name == "grid":
        tiles = [Rectangle((x - 0.5, y - 0.5), 1, 1) for x, y in placed.place]
        ax.add_collection(PatchCollection(tiles, facecolors=behind, alpha=0.45, linewidths=0))
    _draw_lines(ax, placed, name)
    radius = radii(counts, placed.radius)
    if name == "tree":
        draw_discs(ax, placed.place, radius * 1.35, behind, linewidths=0, zorder=2)
    _draw_glyphs(ax, placed, radius, counts > 0, content)
    margin = placed.radius * 1.6 if name == "tree" else 0.55
    (left, top), (right, bottom) = placed.place.min(axis=0), placed.place.max(axis=0)
    ax.set(xlim=(left - margin, right + margin), ylim=(bottom + margin, top - margin))
    ax.set(xticks=[], yticks=[], aspect="equal")
    ax.spines[:].set_visible(False)
    if node_numbers:
        _write_numbers(ax, placed)


def _write_numbers(ax: Axes, placed: NodeLayout) -> None:
    """Number of each node on it, as large as its glyph allows."""
    ax.apply_aspect()
    (left, _), (right, _) = ax.transData.transform(np.array([[0.0, 0.0], [placed.radius, 0.0]]))
    size = min(8.0, (right - left) * 72 / ax.figure.dpi * 0.8)
    halo = [withStroke(linewidth=size / 5, foreground=PAPER)]
    for (x, y), node in zip(placed.place, placed.nodes, strict=True):
        ax.text(
            x, y, str(node), fontsize=size, ha="center", va="center", zorder=6, path_effects=halo
        )


def _draw_lines(ax: Axes, placed: NodeLayout, name: str) -> None:
    shades = np.zeros((len(placed.lines), 4))
    shades[:, 3] = placed.strength
    width = 0.3 + 1.9 * placed.strength if name == "grid" else 1.0
    ax.add_collection(
        LineCollection(
            list(placed.lines), colors=shades, linewidths=width, zorder=1, capstyle="round"
        )
    )


def _draw_glyphs(
    ax: Axes, placed: NodeLayout, radius: FloatArray, full: BoolArray, content: NodeContent
) -> None:
    """What each node with cells is; nodes without any are small rings."""
    empty = placed.place[~full]
    draw_discs(ax, empty, radius[~full] / 2, "none", edgecolors=UNDEFINED, linewidths=0.5)
    place, size, own = placed.place[full], radius[full], placed.nodes[full]
    match content.glyph:
        case "star":
            draw_stars(ax, place, size, content.values[own], list(content.parts.values()))
        case "pie":
            draw_pies(ax, place, size, content.values[own], list(content.parts.values()))
        case _ if not content.title:
            colors = content.metacluster_colors(own.tolist())
            draw_discs(ax, place, size, colors, edgecolors=LINE, linewidths=0.5, zorder=3)
        case _:
            values = content.values[own, 0]
            discs = draw_discs(ax, place, size, PAPER, edgecolors=LINE, linewidths=0.5, zorder=3)
            discs.set(facecolor=None, array=values, cmap="viridis")
            unit = values.min() >= 0 and values.max() <= 1
            discs.set_clim(*((0, 1) if unit else (values.min(), values.max())))


def _draw_legends(ax: Axes, content: NodeContent, *, outside: bool) -> None:
    """At the right of the last panel what the parts of a glyph are, and the metaclusters."""
    groups: Mapping[str, str] = {}
    if content.clusters is not None:
        colors = content.clusters.colors
        groups = {name: colors[number] for number, name in content.clusters.names.items()}
    if content.glyph == "disc" and content.title:
        discs = next(one for one in ax.collections if one.get_array() is not None)
        ax.figure.colorbar(discs, ax=ax, shrink=0.5, label=f"mean of {content.title}")
    parts = [(content.title, content.parts), ("metacluster", groups)]
    if content.parts.keys() == groups.keys():  # a pie of the metaclusters themselves
        parts = parts[1:]
    legends: list[Legend] = []
    left = BESIDE
    for title, entries in parts:
        if entries:
            legends.append(_legend(ax, title, entries, left))
            left += legends[-1].get_window_extent().width / ax.figure.dpi + BESIDE
    if outside:
        make_room(*legends, above=TITLE)


def _legend(ax: Axes, title: str, entries: Mapping[str, str], left: float) -> Legend:
    """A legend so many inches beside a panel, whatever width a layout gives the panel."""
    beside = ScaledTranslation(left, 0, ax.figure.dpi_scale_trans)
    legend = Legend(
        ax,
        labels=list(entries),
        loc="upper left",
        bbox_to_anchor=(1.0, 1.0),
        bbox_transform=ax.transAxes + beside,
        borderaxespad=0,
        **legend_look(title, entries),
    )
    ax.add_artist(legend)
    legend.set_clip_on(False)  # else the layout leaves no room for it
    return legend
