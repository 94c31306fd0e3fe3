"""Cluster maps as CSV: one row for each node, also as the published page keeps it."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Literal

from nimbus._check import listed

from .clustermap import ClusterMap
from .edits import NO_METACLUSTER, ClusterMapError

OWN = ("node", "metacluster", "name", "color")
"""Columns of our CSV; nodes and metaclusters count from 0."""

PIXIE = ("cell_som_cluster", "cell_meta_cluster", "cell_meta_cluster_rename")
"""Columns of the published page; both count from 1."""


def map_to_csv(clusters: ClusterMap, *, style: Literal["nimbus", "pixie"] = "nimbus") -> str:
    """One row for each node with a metacluster; the history is not kept.

    Parameters
    ----------
    clusters
        The map.
    style
        ``"nimbus"`` with colours, or ``"pixie"``, which the published page reads; it counts nodes
        and metaclusters from 1.

    Examples
    --------
    >>> print(map_to_csv(ClusterMap.of([1, -1, 0], names={0: "T cell"}), style="pixie"), end="")
    cell_som_cluster,cell_meta_cluster,cell_meta_cluster_rename
    1,2,1
    3,1,T cell
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(OWN if style == "nimbus" else PIXIE)
    names, colors = clusters.names, clusters.colors
    for node, own in enumerate(clusters.metacluster):
        if own == NO_METACLUSTER:
            continue
        if style == "nimbus":
            writer.writerow((node, own, names[own], colors[own]))
        else:
            writer.writerow((node + 1, own + 1, names[own]))
    return text.getvalue()


def map_from_csv(text: str, *, n_nodes: int | None = None) -> ClusterMap:
    """The map of a CSV text in either style, told by its columns; other columns are not read.

    Parameters
    ----------
    text
        With a header. Nodes without a row have no metacluster.
    n_nodes
        Number of nodes; ``None`` takes the largest node.

    Raises
    ------
    ClusterMapError
        Missing columns, a node that is named twice or does not exist, a metacluster with two names
        or colours, or a name of two metaclusters.
    """
    try:
        rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    except csv.Error as error:
        raise ClusterMapError(f"this is no CSV: {error}") from error
    columns = tuple(rows[0]) if rows else ()
    (node_key, own_key, name_key), first = _style(columns)
    own: dict[int, int] = {}
    names: dict[int, str] = {}
    colors: dict[int, str] = {}
    for line, row in enumerate(rows, start=2):
        node = _number(row, node_key, line, first)
        if node in own:
            raise ClusterMapError(f"line {line}: node {row[node_key]} has a row before")
        if n_nodes is not None and node >= n_nodes:
            raise ClusterMapError(
                f"line {line}: {node_key} {row[node_key]}, but there are {n_nodes} nodes"
            )
        own[node] = _number(row, own_key, line, first)
        _same(names, own[node], (row[name_key] or "").strip(), line)
        if row.get("color"):
            _same(colors, own[node], row["color"], line)
    size = max(own) + 1 if n_nodes is None else n_nodes
    nodes = [own.get(k, NO_METACLUSTER) for k in range(size)]
    return ClusterMap.of(nodes, names=names, colors=colors)


def _style(columns: Sequence[str]) -> tuple[tuple[str, str, str], int]:
    """Columns to read, and the number that nodes and metaclusters begin with."""
    if set(PIXIE) <= set(columns):
        return PIXIE, 1
    if set(OWN[:3]) <= set(columns):
        return OWN[:3], 0
    raise ClusterMapError(
        f"the CSV needs the columns {listed(OWN[:3])} or {listed(PIXIE)} and a row; it has "
        f"{listed([str(c) for c in columns])}"
    )


def _number(row: Mapping[str, str | None], key: str, line: int, first: int) -> int:
    """A whole number from 0, also when written as ``3.0``."""
    given = (row[key] or "").strip()
    digits = given.removesuffix(".0")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 10) or int(digits) < first:
        raise ClusterMapError(f"line {line}: {key} is a whole number from {first}, not {given!r}")
    return int(digits) - first


def _same(known: dict[int, str], metacluster: int, value: str, line: int) -> None:
    if known.setdefault(metacluster, value) != value:
        raise ClusterMapError(
            f"line {line}: {value!r}, but the same metacluster is {known[metacluster]!r} above"
        )
