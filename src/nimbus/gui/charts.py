"""All figures of nodes and metaclusters, drawn from a state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import panel as pn
from bokeh.layouts import column, row
from bokeh.models import BasicTicker, ColorBar, LinearColorMapper, Range1d, Spacer

from nimbus.cluster.edits import NO_METACLUSTER
from nimbus.cluster.profiles import capped_zscores
from nimbus.data.profiles import Profiles

from .blocks import Block, metacluster_block, node_block, profiles_of, tree_lines
from .desk import Facts
from .heatmap import Heatmap, set_counts_range
from .markertree import MarkerTree
from .nodeplot import NodePlot
from .state import State
from .style import (
    COUNTS_HEIGHT,
    FONT,
    NODES_WIDTH,
    SCORE_COLORS,
    STRIP_HEIGHT,
    TREE_HEIGHT,
    TREE_WIDTH,
    ZSCORE_COLORS,
)
from .view import ZSCORE_LIMIT

UNKNOWN = "#c8ced4"
"""Of a node that belongs to no metacluster."""


class Charts:
    """Heatmaps, their trees, and the nodes on grid or tree.

    Parameters
    ----------
    facts
        What no click changes.
    on_node
        Called with a node, the row of a marker or -1, and whether shift was held.
    on_metacluster
        The same with a metacluster.
    on_nodes
        Called with the nodes of a box or a lasso.
    """

    def __init__(
        self,
        facts: Facts,
        *,
        on_node: Callable[[int, int, bool], None],
        on_metacluster: Callable[[int, int, bool], None],
        on_nodes: Callable[[list[int]], None],
    ) -> None:
        self._facts, self._on_nodes = facts, on_nodes
        self._profiles: Profiles | None = None
        self._drawn: State | None = None
        self.mapper = LinearColorMapper(palette=SCORE_COLORS, low=0, high=1)
        self._rows = Range1d(1, 0)
        self.tree = MarkerTree(self._rows)
        shared = {"mapper": self.mapper, "rows": self._rows}
        self.nodes = Heatmap(
            "nodes", named="markers", **shared, on_column=on_node, on_span=on_nodes
        )
        self.groups = Heatmap(
            "metaclusters",
            named="columns",
            **shared,
            on_column=on_metacluster,
            on_span=self._metaclusters_within,
        )
        self.points = NodePlot(
            facts.nodes.counts,
            on_node=lambda node, held: on_node(node, -1, held),
            on_nodes=on_nodes,
        )
        self.root = self._layout()

    @property
    def markers(self) -> tuple[str, ...]:
        """Markers in the order they are shown."""
        return () if self._profiles is None else self._profiles.markers

    @property
    def order(self) -> list[int]:
        """Nodes in the order they are shown."""
        return [] if self.nodes.block is None else [int(k) for k in self.nodes.block.ids]

    def refresh(self, state: State) -> None:
        """Show a state: only what another selection changes, where that is all."""
        before, self._drawn = self._drawn, state
        self._color(state)
        if before is None or _arrangement(before) != _arrangement(state):
            self._profiles = profiles_of(self._facts.nodes, state)
            self._draw(state, self._profiles)
        else:
            node, group = self._blocks(state)
            self.nodes.redraw_selection(node)
            self.groups.redraw_selection(group)
        if state.view.as_points:
            self._draw_points(state, anew=before is None or before.view.layout != state.view.layout)

    def _blocks(self, state: State) -> tuple[Block, Block]:
        profiles = self._profiles or profiles_of(self._facts.nodes, state)
        node = node_block(profiles, state, rare=self._facts.rare, stability=self._facts.stability)
        return node, metacluster_block(profiles, state)

    def _draw(self, state: State, profiles: Profiles) -> None:
        node, group = self._blocks(state)
        n_markers = len(profiles.markers)
        self._rows.update(start=n_markers, end=0)
        self.nodes.draw(node, profiles.markers)
        self.groups.draw(group, profiles.markers)
        least = TREE_WIDTH + NODES_WIDTH + self.groups.root.width
        self.root.styles = {"min-width": f"{least}px"}  # Panel's min_width would hold the page open
        either = bool(node.tree[0]) or bool(group.tree[0])
        self.nodes.figures.tree.visible = self.groups.figures.tree.visible = either
        self._above.height = COUNTS_HEIGHT + STRIP_HEIGHT + 4 + either * (TREE_HEIGHT + 2)
        set_counts_range((self.nodes, self.groups), float(profiles.counts.max()))
        self.tree.draw(tree_lines(profiles.marker_tree), n_markers)
        points = state.view.as_points
        self._columns.visible, self.points.root.visible = not points, points

    def _draw_points(self, state: State, *, anew: bool) -> None:
        layout, facts = state.view.layout, self._facts
        if anew:
            edges = facts.edges if layout == "tree" else facts.edges[:0]
            self.points.place(facts.places[layout], edges)
        own = state.clusters.metacluster
        known = state.clusters.names | {NO_METACLUSTER: ""}
        colors = state.clusters.colors | {NO_METACLUSTER: UNKNOWN}
        by_marker = state.view.by_marker
        found = set(state.found_nodes())
        self.points.draw(
            self._marker_colors(state) if by_marker else [colors[m] for m in own],
            [known[m] for m in own],
            np.array([k in state.selected for k in range(len(own))]),
            np.array([k in found for k in range(len(own))]),
        )

    def _marker_colors(self, state: State) -> list[str]:
        """Of each node by the chosen marker, as the bar of colours has them."""
        nodes, palette = self._facts.nodes, self.mapper.palette
        there = nodes.counts > 0
        values = nodes.means[:, nodes.markers.index(state.view.marker)].copy()
        if state.view.zscore:
            values[there] = capped_zscores(values[there, None], ZSCORE_LIMIT)[:, 0]
        low, high = state.view.limits
        share = np.clip((np.where(there, values, low) - low) / (high - low), 0, 1)
        return [palette[int(k)] for k in share * (len(palette) - 1)]

    def _color(self, state: State) -> None:
        low, high = state.view.limits
        palette = ZSCORE_COLORS if state.view.zscore else SCORE_COLORS
        if self.mapper.palette != palette:
            self.mapper.palette = palette
        title = "z-score" if state.view.zscore else "mean"
        if self._bar.title != title:
            self._bar.title = title
        self.mapper.update(low=low, high=high)

    def _metaclusters_within(self, metaclusters: list[int]) -> None:
        if self._drawn is not None:
            clusters = self._drawn.clusters
            self._on_nodes([node for m in metaclusters for node in clusters.nodes_of(m)])

    def _layout(self) -> Any:
        self._above = Spacer(height=COUNTS_HEIGHT + STRIP_HEIGHT + 4, width=TREE_WIDTH)
        bar = self._bar = ColorBar(
            color_mapper=self.mapper,
            ticker=BasicTicker(desired_num_ticks=4),
            width=10,
            height=120,
            major_label_text_font=FONT,
            major_label_text_font_size="10.5px",
            title_text_font=FONT,
            title_text_font_size="10.5px",
            title_text_font_style="normal",
            title_standoff=4,
            background_fill_color=None,
            padding=4,
        )
        self.groups.figures.heat.add_layout(bar, "right")
        for one in self.groups.figures.all:
            one.min_border_right = 56
        left = column(self._above, self.tree.root, spacing=2)
        self._columns = row(left, self.nodes.root, sizing_mode="stretch_width", spacing=0)
        self.points.root.visible = False
        both = column(self._columns, self.points.root, sizing_mode="stretch_width")
        self.groups.root.sizing_mode = None  # it has a width
        whole = row(both, self.groups.root, sizing_mode="stretch_width", spacing=0)
        return pn.pane.Bokeh(whole, sizing_mode="stretch_width", margin=0)


def _arrangement(state: State) -> tuple[object, ...]:
    """What columns and rows depend on."""
    view = state.view
    return (
        state.clusters.now,
        view.markers if view.by_hand else None,
        view.hidden,
        view.zscore,
        view.layout,
    )
