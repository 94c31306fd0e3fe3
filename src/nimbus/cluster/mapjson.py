"""Cluster maps as JSON: plain text that replays, and of which nothing is taken on trust."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from .clustermap import ClusterMap
from .edits import (
    Assign,
    ClusterMapError,
    Clusters,
    Edit,
    Group,
    Merge,
    Move,
    Recolor,
    Rename,
    Split,
    new_clusters,
)

FORMAT, VERSION = "nimbus-clustermap", 1

Pairs: TypeAlias = tuple[tuple[int, str], ...]


def map_to_json(clusters: ClusterMap) -> str:
    """The map with all its edits, also the undone ones, as JSON text.

    Examples
    --------
    >>> first = ClusterMap.of([0, 0, 1])
    >>> map_from_json(map_to_json(first.rename(1, "T cell"))).undo() == first
    True
    """
    content = {
        "format": FORMAT,
        "version": VERSION,
        "start": _clusters(clusters.start.metacluster, clusters.start.groups),
        "edits": [_written(edit) for edit in clusters.done],
        "undone": [_written(edit) for edit in clusters.undone],
    }
    return json.dumps(content, ensure_ascii=False)


def map_from_json(text: str) -> ClusterMap:
    """The map of a JSON text: its start after its edits.

    Raises
    ------
    ClusterMapError
        The text is no JSON, has another format or version, misses something, or holds an edit
        that cannot be made.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:  # also a number of too many digits
        raise ClusterMapError(f"this is no JSON: {error}") from error
    fields = _mapping(content, "a cluster map")
    if fields.get("format") != FORMAT or fields.get("version") != VERSION:
        raise ClusterMapError(
            f"a cluster map has the format {FORMAT!r}, version {VERSION}; this has "
            f"{fields.get('format')!r}, version {fields.get('version')!r}"
        )
    start = _read_clusters(_get(fields, "start"))
    edits = tuple(_read(edit) for edit in _list(_get(fields, "edits"), "edits"))
    undone = tuple(_read(edit) for edit in _list(_get(fields, "undone"), "undone"))
    out = ClusterMap.replay(ClusterMap(start, start), edits)
    ClusterMap.replay(out, reversed(undone))  # what cannot be redone is refused now
    return ClusterMap(out.start, out.now, out.done, undone)


def _clusters(metacluster: tuple[int, ...], groups: tuple[Group, ...]) -> dict[str, Any]:
    named = [{"id": one.id, "name": one.name, "color": one.color} for one in groups]
    return {"nodes": list(metacluster), "metaclusters": named}


def _read_clusters(value: object) -> Clusters:
    fields = _mapping(value, "metaclusters of nodes")
    groups = _groups(fields)
    return new_clusters(
        _ints(_get(fields, "nodes"), "nodes"),
        names={group.id: group.name for group in groups},
        colors={group.id: group.color for group in groups},
    )


def _groups(fields: Mapping[str, Any]) -> tuple[Group, ...]:
    rows = [_mapping(one, "a metacluster") for one in _list(_get(fields, "metaclusters"), "list")]
    groups = tuple(
        Group(_int(_get(r, "id")), _str(_get(r, "name")), _str(_get(r, "color"))) for r in rows
    )
    if len({group.id for group in groups}) < len(groups):
        raise ClusterMapError("a metacluster is listed twice")
    return groups


def _written(edit: Edit) -> dict[str, Any]:
    match edit:
        case Merge(metaclusters):
            return {"do": "merge", "metaclusters": list(metaclusters)}
        case Split(nodes, name, color):
            return {"do": "split", "nodes": list(nodes), "name": name, "color": color}
        case Move(nodes, metacluster):
            return {"do": "move", "nodes": list(nodes), "metacluster": metacluster}
        case Rename(names):
            return {"do": "rename", "names": [list(pair) for pair in names]}
        case Recolor(colors):
            return {"do": "recolor", "colors": [list(pair) for pair in colors]}
        case Assign(metacluster, groups):
            return {"do": "assign", **_clusters(metacluster, groups)}


def _read(value: object) -> Edit:
    fields = _mapping(value, "an edit")
    what = fields.get("do")
    if not isinstance(what, str) or what not in _READERS:
        raise ClusterMapError(f"an edit does one of {', '.join(_READERS)}, not {what!r}")
    return _READERS[what](fields)


def _read_assign(fields: Mapping[str, Any]) -> Edit:
    read = _read_clusters(fields)
    return Assign(read.metacluster, read.groups)


_READERS: dict[str, Callable[[Mapping[str, Any]], Edit]] = {
    "merge": lambda f: Merge(_ints(_get(f, "metaclusters"), "metaclusters")),
    "split": lambda f: Split(
        _ints(_get(f, "nodes"), "nodes"), _str_or_none(f.get("name")), _str_or_none(f.get("color"))
    ),
    "move": lambda f: Move(_ints(_get(f, "nodes"), "nodes"), _int(_get(f, "metacluster"))),
    "rename": lambda f: Rename(_pairs(_get(f, "names"))),
    "recolor": lambda f: Recolor(_pairs(_get(f, "colors"))),
    "assign": _read_assign,
}


def _get(fields: Mapping[str, Any], name: str) -> object:
    if name not in fields:
        raise ClusterMapError(f"{name!r} is missing from the cluster map")
    return fields[name]


def _mapping(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise ClusterMapError(f"{what} is a JSON object, not {type(value).__name__}")
    return value


def _list(value: object, what: str) -> list[object]:
    if not isinstance(value, list):
        raise ClusterMapError(f"{what} is a JSON list, not {type(value).__name__}")
    return value


def _int(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise ClusterMapError(f"nodes and metaclusters are whole numbers, not {value!r}")
    return value


def _ints(value: object, what: str) -> tuple[int, ...]:
    return tuple(_int(one) for one in _list(value, what))


def _str(value: object) -> str:
    if not isinstance(value, str):
        raise ClusterMapError(f"names and colours are text, not {value!r}")
    return value


def _str_or_none(value: object) -> str | None:
    return None if value is None else _str(value)


def _pairs(value: object) -> Pairs:
    pairs = [_list(pair, "a change") for pair in _list(value, "changes")]
    if any(len(pair) != 2 for pair in pairs):
        raise ClusterMapError("a change is a metacluster and its name or colour")
    return tuple((_int(pair[0]), _str(pair[1])) for pair in pairs)
