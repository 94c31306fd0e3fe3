"""State of the page: a plain value, of which every click makes another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

from nimbus.cluster.clustermap import ClusterMap
from nimbus.cluster.edits import NO_METACLUSTER, ClusterMapError

from .view import View

Click: TypeAlias = Literal["select", "move"]
"""What a click on a metacluster does: select its nodes, or move the selected ones there."""


@dataclass(frozen=True, slots=True)
class State:
    """Metaclusters with their history, selected nodes, and how all is shown.

    Every method gives a new state; one that cannot be done raises
    :class:`~nimbus.cluster.edits.ClusterMapError` and leaves all as it was.

    Parameters
    ----------
    clusters
        Metaclusters, with undo and redo.
    view
        How they are shown.
    selected
        Selected nodes.
    anchor
        Node that was clicked last, from which a range is selected.
    click
        What a click on a metacluster does.

    Examples
    --------
    >>> start = State.of(ClusterMap.of([0, 0, 1]), markers=["CD3", "CD20"])
    >>> moved = start.toggle(1).move(1)
    >>> moved.clusters.metacluster, moved.selected
    ((0, 1, 1), frozenset())
    >>> moved.undo().clusters == start.clusters
    True
    """

    clusters: ClusterMap
    view: View
    selected: frozenset[int] = frozenset()
    anchor: int | None = field(default=None, compare=False)
    click: Click = "select"

    @classmethod
    def of(cls, clusters: ClusterMap, *, markers: Sequence[str]) -> State:
        """A state in which nothing is selected and all markers are shown."""
        return cls(clusters, View.of(markers))

    @property
    def whole(self) -> tuple[int, ...]:
        """Metaclusters all of whose nodes are selected, by rising number."""
        return tuple(
            m for m in self.clusters.names if self.selected.issuperset(self.clusters.nodes_of(m))
        )

    @property
    def touched(self) -> tuple[int, ...]:
        """Metaclusters of the selected nodes, by rising number."""
        return tuple(sorted({self.clusters.metacluster[node] for node in self.selected}))

    # Selecting

    def toggle(self, node: int) -> State:
        """Select a node, or no longer."""
        self._require([node])
        return replace(self, selected=self.selected ^ {node}, anchor=node)

    def toggle_metacluster(self, metacluster: int) -> State:
        """Select all nodes of a metacluster; where all are selected, none of them."""
        nodes = frozenset(self.clusters.nodes_of(metacluster))
        chosen = self.selected - nodes if nodes <= self.selected else self.selected | nodes
        return replace(self, selected=chosen, anchor=None)

    def select(self, nodes: Iterable[int], *, add: bool = False) -> State:
        """Select these nodes, and keep those before with `add`; nodes without cells are skipped."""
        wanted = frozenset(int(node) for node in nodes)
        there = {n for n, own in enumerate(self.clusters.metacluster) if own != NO_METACLUSTER}
        return replace(self, selected=(self.selected if add else frozenset()) | (wanted & there))

    def select_to(self, node: int, *, order: Sequence[int]) -> State:
        """Select all nodes from the one clicked last to `node`, in the `order` they are shown."""
        self._require([node])
        places = {own: place for place, own in enumerate(order)}
        if self.anchor is None or self.anchor not in places or node not in places:
            return self.toggle(node)
        first, last = sorted((places[self.anchor], places[node]))
        return replace(self.select(order[first : last + 1], add=True), anchor=node)

    def clear(self) -> State:
        """Select nothing."""
        return replace(self, selected=frozenset(), anchor=None)

    def select_found(self) -> State:
        """Select the nodes that the search finds."""
        found = self.found_nodes()
        if not found:
            raise ClusterMapError(f"no node or metacluster is called {self.view.search!r}")
        return self.select(found)

    # Editing; the selection goes, so that the next edit does not take it along

    def move(self, metacluster: int) -> State:
        """Move the selected nodes into a metacluster."""
        self._require_selection()
        stranger = any(self.clusters.metacluster[n] != metacluster for n in self.selected)
        if not stranger:
            raise ClusterMapError("all selected nodes are in that metacluster already")
        return self._edited(self.clusters.move(self.selected, metacluster))

    def clicking(self, click: Click) -> State:
        """Another meaning of a click on a metacluster."""
        return replace(self, click=click)

    def click_metacluster(self, metacluster: int) -> State:
        """A click on a metacluster: selects it, or moves the selection there."""
        if self.click == "move":
            return self.move(metacluster)
        return self.toggle_metacluster(metacluster)

    def new(self, name: str | None = None) -> State:
        """Make a metacluster of the selected nodes; its number is one above the largest."""
        self._require_selection()
        return self._edited(self.clusters.split(self.selected, name=name or None))

    def rename(self, metacluster: int, name: str) -> State:
        """Give a metacluster a name that no other has; the same name is no edit."""
        if self.clusters.names.get(metacluster) == name:
            return self
        return replace(self, clusters=self.clusters.rename(metacluster, name))

    def problem_of_name(self, metacluster: int, name: str) -> str:
        """Why a metacluster cannot have a name; empty if it can."""
        try:
            self.rename(metacluster, name)
        except ClusterMapError as error:
            return str(error)
        return ""

    def recolor(self, metacluster: int, color: str) -> State:
        """Give a metacluster another colour; the same colour is no edit."""
        if self.clusters.colors.get(metacluster) == color:
            return self
        return replace(self, clusters=self.clusters.recolor(metacluster, color))

    def recut(self, labels: Iterable[int]) -> State:
        """Take other metaclusters, number by node, as one edit; names before are an undo away."""
        return self._edited(self.clusters.assign(ClusterMap.of([int(k) for k in labels])))

    def undo(self) -> State:
        """The metaclusters before the last edit."""
        return self._edited(self.clusters.undo())

    def redo(self) -> State:
        """The metaclusters after the edit that was undone last."""
        return self._edited(self.clusters.redo())

    def with_clusters(self, clusters: ClusterMap) -> State:
        """Metaclusters that another page or program made; nodes stay selected."""
        return replace(self, clusters=clusters)

    # Showing

    def shown(self, view: View) -> State:
        """Another view of the same."""
        return replace(self, view=view)

    def found_nodes(self) -> tuple[int, ...]:
        """Nodes that the search finds: the one of that number, those of metaclusters so called."""
        text = self.view.search.strip().casefold()
        if not text:
            return ()
        named = {m for m, name in self.clusters.names.items() if text in name.casefold()}
        return tuple(
            node
            for node, own in enumerate(self.clusters.metacluster)
            if own != NO_METACLUSTER and (own in named or text in (str(node), f"node {node}"))
        )

    def found_markers(self) -> tuple[str, ...]:
        """Markers that the search finds."""
        text = self.view.search.strip().casefold()
        return tuple(m for m in self.view.markers if text and text in m.casefold())

    def _edited(self, clusters: ClusterMap) -> State:
        return replace(self, clusters=clusters, selected=frozenset(), anchor=None)

    def _require(self, nodes: Iterable[int]) -> None:
        for node in nodes:
            own = self.clusters.metacluster
            if not 0 <= node < len(own) or own[node] == NO_METACLUSTER:
                raise ClusterMapError(f"node {node} holds no cell")

    def _require_selection(self) -> None:
        if not self.selected:
            raise ClusterMapError("no node is selected; click on nodes or metaclusters first")
