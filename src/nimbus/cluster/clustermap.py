"""Metaclusters with their history: every edit gives a new value, and can be undone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from nimbus._check import unknown_name

from .edits import (
    Assign,
    ClusterMapError,
    Clusters,
    Edit,
    Merge,
    Move,
    Recolor,
    Rename,
    Split,
    new_clusters,
)


@dataclass(frozen=True, slots=True)
class ClusterMap:
    """Metacluster, name and colour of each node, with all edits that led there.

    Metaclusters are given by their number (int) or by their name (str).

    Parameters
    ----------
    start
        Metaclusters before the first edit.
    now
        Metaclusters after the last.
    done
        Edits in between, oldest first.
    undone
        Edits that were undone, the next to be redone last. Two maps that differ in these alone are
        equal.

    Examples
    --------
    >>> first = ClusterMap.of([0, 0, 1, 2])
    >>> merged = first.merge([1, 2]).rename(1, "T cell")
    >>> merged.metacluster, merged.names
    ((0, 0, 1, 1), {0: '0', 1: 'T cell'})
    >>> merged.undo().undo() == first
    True
    >>> ClusterMap.replay(first, merged.done) == merged
    True
    """

    start: Clusters
    now: Clusters
    done: tuple[Edit, ...] = ()
    undone: tuple[Edit, ...] = field(default=(), compare=False)

    @classmethod
    def of(
        cls,
        metacluster: Sequence[int],
        *,
        names: Mapping[int, str] | None = None,
        colors: Mapping[int, str] | None = None,
    ) -> ClusterMap:
        """A map without history.

        Parameters
        ----------
        metacluster
            Number of the metacluster of each node; -1 for nodes without cells.
        names, colors
            By number; names that are missing are the numbers, colours that are missing stay apart.
        """
        clusters = new_clusters(metacluster, names=names, colors=colors)
        return cls(clusters, clusters)

    @classmethod
    def replay(cls, start: ClusterMap, edits: Iterable[Edit]) -> ClusterMap:
        """`start` after all `edits`, in their order."""
        out = start
        for edit in edits:
            out = out.edit(edit)
        return out

    @property
    def first(self) -> ClusterMap:
        """The map before the first edit."""
        return ClusterMap(self.start, self.start)

    @property
    def metacluster(self) -> tuple[int, ...]:
        """Number of the metacluster of each node; -1 for nodes without cells."""
        return self.now.metacluster

    @property
    def names(self) -> dict[int, str]:
        """Names by number, which rises."""
        return {group.id: group.name for group in self.now.groups}

    @property
    def colors(self) -> dict[int, str]:
        """Colours by number, which rises."""
        return {group.id: group.color for group in self.now.groups}

    def number(self, metacluster: int | str) -> int:
        """Number of a metacluster given by number or name."""
        if not isinstance(metacluster, str):
            return self.now.require(int(metacluster)).id
        for group in self.now.groups:
            if group.name == metacluster:
                return group.id
        raise ClusterMapError(
            unknown_name("metacluster", metacluster, [group.name for group in self.now.groups])
        )

    def nodes_of(self, metacluster: int | str) -> tuple[int, ...]:
        """Nodes of a metacluster."""
        return self.now.nodes_of(self.number(metacluster))

    def edit(self, edit: Edit) -> ClusterMap:
        """The map after an edit; what was undone before can no longer be redone."""
        return ClusterMap(self.start, edit.applied(self.now), (*self.done, edit))

    def merge(self, metaclusters: str | Iterable[int | str]) -> ClusterMap:
        """Put metaclusters together; the first keeps its number, name and colour."""
        several = [metaclusters] if isinstance(metaclusters, str) else metaclusters
        return self.edit(Merge(tuple(self.number(one) for one in several)))

    def split(
        self, nodes: Iterable[int], *, name: str | None = None, color: str | None = None
    ) -> ClusterMap:
        """Make a new metacluster of nodes; its number is one above the largest."""
        return self.edit(Split(_whole(nodes), name, color))

    def move(self, nodes: Iterable[int], metacluster: int | str) -> ClusterMap:
        """Move nodes into a metacluster; one that loses its last node disappears."""
        return self.edit(Move(_whole(nodes), self.number(metacluster)))

    def rename(self, metacluster: int | str, name: str) -> ClusterMap:
        """Give a metacluster another name, one that no other has."""
        return self.edit(Rename(((self.number(metacluster), name),)))

    def recolor(self, metacluster: int | str, color: str) -> ClusterMap:
        """Give a metacluster another colour, as ``"#1f77b4"``."""
        return self.edit(Recolor(((self.number(metacluster), color),)))

    def assign(self, other: ClusterMap) -> ClusterMap:
        """Take the metaclusters, names and colours of another map, as one edit."""
        return self.edit(Assign(other.now.metacluster, other.now.groups))

    def renamed(self, names: Mapping[int | str, str]) -> ClusterMap:
        """Give metaclusters names, all at once; those that are given the same one are merged.

        A name that a metacluster outside of `names` has is refused.
        """
        return self.edit(Rename(tuple((self.number(old), new) for old, new in names.items())))

    def undo(self) -> ClusterMap:
        """The map before its last edit, which can be redone."""
        if not self.done:
            raise ClusterMapError("there is no edit to undo")
        before = ClusterMap.replay(self.first, self.done[:-1])
        return ClusterMap(self.start, before.now, self.done[:-1], (*self.undone, self.done[-1]))

    def redo(self) -> ClusterMap:
        """The map with the edit that was undone last."""
        if not self.undone:
            raise ClusterMapError("there is no edit to redo")
        after = self.edit(self.undone[-1])
        return ClusterMap(self.start, after.now, after.done, self.undone[:-1])


def _whole(nodes: Iterable[int]) -> tuple[int, ...]:
    return tuple(sorted({int(node) for node in nodes}))
