"""Edits of metaclusters: each turns one assignment of nodes into another."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from nimbus._check import listed

from .palette import distinct_colors

NO_METACLUSTER = -1
"""Of a node without cells."""

HEX_COLOR = re.compile(r"#[0-9a-f]{6}")


class ClusterMapError(ValueError):
    """An edit that cannot be made, or a file that holds no cluster map."""


@dataclass(frozen=True, slots=True)
class Group:
    """A metacluster: number, name, and colour as ``"#rrggbb"``."""

    id: int
    name: str
    color: str


@dataclass(frozen=True, slots=True)
class Clusters:
    """Which metacluster each node belongs to, and what the metaclusters are called.

    Parameters
    ----------
    metacluster
        Of each node; -1 for nodes without cells.
    groups
        Metaclusters that have a node, by rising number.
    """

    metacluster: tuple[int, ...]
    groups: tuple[Group, ...]

    @property
    def by_id(self) -> dict[int, Group]:
        """Metaclusters by number."""
        return {group.id: group for group in self.groups}

    def nodes_of(self, metacluster: int) -> tuple[int, ...]:
        """Nodes of a metacluster."""
        return tuple(k for k, own in enumerate(self.metacluster) if own == metacluster)

    def require(self, metacluster: int) -> Group:
        """The metacluster of that number, or an error that tells which there are."""
        if metacluster not in self.by_id:
            raise ClusterMapError(
                f"there is no metacluster {metacluster}; there is {listed(self.by_id)}"
            )
        return self.by_id[metacluster]

    def assigned(self, nodes: Collection[int], metacluster: int) -> Clusters:
        """`nodes` in another metacluster; those that lose their last node disappear."""
        moved = set(nodes)
        own = tuple(metacluster if k in moved else m for k, m in enumerate(self.metacluster))
        return Clusters(own, tuple(group for group in self.groups if group.id in set(own)))

    def with_groups(self, groups: Iterable[Group]) -> Clusters:
        """Other names or colours of some metaclusters; refuses a name that is taken."""
        changed = self.by_id | {group.id: group for group in groups}
        new = replace(self, groups=tuple(changed[k] for k in sorted(changed)))
        require_names([group.name for group in new.groups])
        require_colors([group.color for group in new.groups])
        return new


def new_clusters(
    metacluster: Sequence[int],
    *,
    names: Mapping[int, str] | None = None,
    colors: Mapping[int, str] | None = None,
) -> Clusters:
    """Metaclusters of nodes; names that are missing are numbers, colours stay apart.

    Examples
    --------
    >>> new_clusters([1, 0, -1, 1], names={0: "T cell"}).groups[0].name
    'T cell'
    """
    own = tuple(int(k) for k in metacluster)
    if any(k < NO_METACLUSTER for k in own):
        raise ClusterMapError(f"a metacluster is a number from 0, or -1 for none, not {min(own)}")
    ids = sorted(set(own) - {NO_METACLUSTER})
    names, colors = names or {}, colors or {}
    for given in (names, colors):
        strangers = sorted(set(given) - set(ids))
        if strangers:
            raise ClusterMapError(
                f"metacluster {strangers[0]} has a name or a colour, but no node; nodes are in "
                f"{listed(ids)}"
            )
    free = iter(distinct_colors(len(ids), taken=list(colors.values())))
    groups = [Group(k, names.get(k, str(k)), colors.get(k) or next(free)) for k in ids]
    return Clusters(own, ()).with_groups(groups)


@dataclass(frozen=True, slots=True)
class Merge:
    """Put metaclusters together; the first keeps its number, name and colour."""

    metaclusters: tuple[int, ...]

    def applied(self, clusters: Clusters) -> Clusters:
        """The metaclusters after the edit."""
        _require_several(self.metaclusters, "metaclusters to merge", at_least=2)
        nodes = [k for m in self.metaclusters for k in clusters.nodes_of(clusters.require(m).id)]
        return clusters.assigned(nodes, self.metaclusters[0])


@dataclass(frozen=True, slots=True)
class Split:
    """Make a new metacluster of nodes; its number is one above the largest."""

    nodes: tuple[int, ...]
    name: str | None = None
    color: str | None = None

    def applied(self, clusters: Clusters) -> Clusters:
        """The metaclusters after the edit."""
        require_nodes(self.nodes, clusters)
        new = max(clusters.by_id) + 1
        rest = clusters.assigned(self.nodes, new)
        taken = [group.color for group in clusters.groups]
        color = self.color or distinct_colors(1, taken=taken)[0]
        name = self.name if self.name is not None else _free_name(new, rest)
        return rest.with_groups([Group(new, name, color)])


@dataclass(frozen=True, slots=True)
class Move:
    """Move nodes into a metacluster that exists."""

    nodes: tuple[int, ...]
    metacluster: int

    def applied(self, clusters: Clusters) -> Clusters:
        """The metaclusters after the edit."""
        require_nodes(self.nodes, clusters)
        return clusters.assigned(self.nodes, clusters.require(self.metacluster).id)


@dataclass(frozen=True, slots=True)
class Rename:
    """Give metaclusters other names, all at once: two can swap theirs.

    Those that are given the same name are merged into the first of them.
    """

    names: tuple[tuple[int, str], ...]

    def applied(self, clusters: Clusters) -> Clusters:
        """The metaclusters after the edit."""
        _require_several([k for k, _ in self.names], "metaclusters to rename", at_least=1)
        first: dict[str, int] = {}
        out = clusters
        for k, name in self.names:
            nodes = clusters.nodes_of(clusters.require(k).id)
            out = out.assigned(nodes, first.setdefault(name, k))
        return out.with_groups(replace(out.require(k), name=name) for name, k in first.items())


@dataclass(frozen=True, slots=True)
class Recolor:
    """Give metaclusters other colours."""

    colors: tuple[tuple[int, str], ...]

    def applied(self, clusters: Clusters) -> Clusters:
        """The metaclusters after the edit."""
        _require_several([k for k, _ in self.colors], "metaclusters to colour", at_least=1)
        return clusters.with_groups(
            replace(clusters.require(k), color=color) for k, color in self.colors
        )


@dataclass(frozen=True, slots=True)
class Assign:
    """Take a whole other assignment, as that of a file or of another number of metaclusters."""

    metacluster: tuple[int, ...]
    groups: tuple[Group, ...]

    def applied(self, clusters: Clusters) -> Clusters:
        """The metaclusters after the edit."""
        if len(self.metacluster) != len(clusters.metacluster):
            raise ClusterMapError(
                f"the assignment is of {len(self.metacluster)} nodes, but there are "
                f"{len(clusters.metacluster)}"
            )
        return new_clusters(
            self.metacluster,
            names={group.id: group.name for group in self.groups},
            colors={group.id: group.color for group in self.groups},
        )


Edit: TypeAlias = Merge | Split | Move | Rename | Recolor | Assign


def require_names(names: Sequence[str]) -> None:
    """Refuse names that are no text, empty, padded, or given twice."""
    for name in names:
        if not isinstance(name, str) or not name or name != name.strip() or not name.isprintable():
            raise ClusterMapError(
                f"{name!r} is no name of a metacluster: it is text with a character, none that "
                "cannot be printed, and no space at its ends"
            )
    name, times = Counter(names).most_common(1)[0] if names else ("", 0)
    if times > 1:
        raise ClusterMapError(
            f"the name {name!r} is taken; merge the metaclusters, or choose another name"
        )


def require_colors(colors: Sequence[str]) -> None:
    """Refuse what is no colour such as ``"#1f77b4"``."""
    for color in colors:
        if not HEX_COLOR.fullmatch(color):
            raise ClusterMapError(f"a colour is '#' and six digits 0-9, a-f; {color!r} is none")


def require_nodes(nodes: Sequence[int], clusters: Clusters) -> None:
    """Refuse nodes that are named twice, do not exist or hold no cell."""
    _require_several(nodes, "nodes", at_least=1)
    for node in nodes:
        if not 0 <= node < len(clusters.metacluster):
            raise ClusterMapError(
                f"there is no node {node}; nodes are 0 to {len(clusters.metacluster) - 1}"
            )
        if clusters.metacluster[node] == NO_METACLUSTER:
            raise ClusterMapError(f"node {node} holds no cell and belongs to no metacluster")


def _require_several(ids: Sequence[int], what: str, *, at_least: int) -> None:
    if len(ids) < at_least or len(set(ids)) < len(ids):
        raise ClusterMapError(f"{what}: name {at_least} or more, each once; given {listed(ids)}")


def _free_name(number: int, clusters: Clusters) -> str:
    """The number as a name; if a metacluster is called so, the next that is free."""
    names = {group.name for group in clusters.groups}
    return next(str(k) for k in range(number, number + len(names) + 1) if str(k) not in names)
