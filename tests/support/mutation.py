"""Damaged copies of good files: blind changes of bytes, and changes that know the format."""

from __future__ import annotations

import io
import json
import re
import struct
import zipfile
from collections.abc import Callable
from typing import Any

import numpy as np

Mutation = Callable[[bytes, np.random.Generator], bytes]
"""A changed copy of a file's content."""

_EDGES = (0, 1, 2, 3, 7, 8, 127, 128, 255, 256, 32767, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1)
_TEXTS = (
    "", "0", "-1", "1e400", "nan", "-inf", "1" * 30, "9" * 5000, "\0", "\ud7ff", "ä" * 70,
    '"', "'", "../x", "/etc/passwd", "C:\\x", "<", "&", "%s%n", "None", "True", " ", "\n",
    "a,b;c\t", "x" * 200_000,
)  # fmt: skip
_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1, 0.5, 1e308, float("nan"), float("inf"), 2**31, 2**63, 10**40, [], {},
    [[]], "", "x", "\ud800", "a" * 3000, {"a": 1}, [0, 1], [None], [-1, 2**70],
)  # fmt: skip


def _few(rng: np.random.Generator) -> int:
    """One, mostly: a file with many changes is refused by the first that is looked at."""
    return min(6, int(rng.geometric(0.6)))


def bytes_changed(data: bytes, rng: np.random.Generator) -> bytes:
    """Some blind changes; more of them near the start, where headers are."""
    out = bytearray(data)
    for _ in range(_few(rng)):
        _BLIND[rng.integers(len(_BLIND))](out, rng)
    return bytes(out)


def _place(out: bytearray, rng: np.random.Generator) -> int:
    size = max(1, len(out))
    return int(rng.integers(min(size, 600))) if rng.random() < 0.5 else int(rng.integers(size))


def _flip(out: bytearray, rng: np.random.Generator) -> None:
    if out:
        out[_place(out, rng)] ^= 1 << int(rng.integers(8))


def _set(out: bytearray, rng: np.random.Generator) -> None:
    if out:
        out[_place(out, rng)] = int(rng.integers(256))


def _number(out: bytearray, rng: np.random.Generator) -> None:
    width, order = (2, 4, 8)[rng.integers(3)], ("little", "big")[rng.integers(2)]
    at, value = _place(out, rng), _EDGES[rng.integers(len(_EDGES))]
    out[at : at + width] = (value % 256**width).to_bytes(width, order)


def _cut(out: bytearray, rng: np.random.Generator) -> None:
    del out[_place(out, rng) :]


def _drop(out: bytearray, rng: np.random.Generator) -> None:
    at = _place(out, rng)
    del out[at : at + int(rng.integers(1, 40))]


def _insert(out: bytearray, rng: np.random.Generator) -> None:
    at = _place(out, rng)
    out[at:at] = rng.bytes(int(rng.integers(1, 40)))


def _copy(out: bytearray, rng: np.random.Generator) -> None:
    a, b, n = _place(out, rng), _place(out, rng), int(rng.integers(1, 200))
    out[b : b + n] = out[a : a + n]


_BLIND = (_flip, _flip, _set, _set, _number, _number, _cut, _drop, _insert, _copy)


def tag_changed(data: bytes, rng: np.random.Generator) -> bytes:
    """Some entries of a TIFF's directories with another tag, type, count or value."""
    places, order, big = _tag_places(data)
    out = bytearray(data)
    for _ in range(_few(rng)):
        if not places:
            return bytes_changed(data, rng)
        at = places[rng.integers(len(places))]
        wide = "Q" if big else "I"
        part = int(rng.integers(4))
        value = _EDGES[rng.integers(len(_EDGES))]
        if part == 0:
            struct.pack_into(f"{order}H", out, at, int(rng.integers(254, 340)))
        elif part == 1:
            struct.pack_into(f"{order}H", out, at + 2, int(rng.integers(0, 20)))
        else:
            offset = 4 if part == 2 else 4 + struct.calcsize(wide)
            struct.pack_into(f"{order}{wide}", out, at + offset, value)
    return bytes(out)


def _tag_places(data: bytes) -> tuple[list[int], str, bool]:
    """Where the entries of the main chain of directories lie."""
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(f"{order}H", data, 2)[0] == 43
    number, entry, link = ("Q", 20, "Q") if big else ("H", 12, "I")
    (offset,) = struct.unpack_from(f"{order}{link}", data, 8 if big else 4)
    places: list[int] = []
    while offset:
        (n,) = struct.unpack_from(f"{order}{number}", data, offset)
        first = offset + struct.calcsize(number)
        places += [first + entry * k for k in range(n)]
        (offset,) = struct.unpack_from(f"{order}{link}", data, first + entry * n)
    return places, order, big


def xml_changed(data: bytes, rng: np.random.Generator) -> bytes:
    """Some attributes or elements changed, or something that XML parsers are attacked by."""
    text = data.decode("utf-8", "surrogateescape")
    for _ in range(_few(rng)):
        text = _XML[rng.integers(len(_XML))](text, rng)
    return text.encode("utf-8", "surrogateescape" if "\ud800" not in text else "replace")


def _one_of(pattern: str, text: str, rng: np.random.Generator) -> re.Match[str] | None:
    found = list(re.finditer(pattern, text))
    return found[rng.integers(len(found))] if found else None


def _attribute(text: str, rng: np.random.Generator) -> str:
    one = _one_of(r'"[^"]*"', text, rng)
    value = _TEXTS[rng.integers(len(_TEXTS))]
    return text if one is None else f'{text[: one.start()]}"{value}"{text[one.end() :]}'


def _without_attribute(text: str, rng: np.random.Generator) -> str:
    one = _one_of(r'\s[\w:]+="[^"]*"', text, rng)
    return text if one is None else text[: one.start()] + text[one.end() :]


def _twice(text: str, rng: np.random.Generator) -> str:
    one = _one_of(r"<[^>]*>", text, rng)
    times = int(rng.integers(0, 4))
    return text if one is None else text[: one.start()] + one[0] * times + text[one.end() :]


def _renamed(text: str, rng: np.random.Generator) -> str:
    one = _one_of(r"<\w+|\s\w+=", text, rng)
    return text if one is None else text[: one.end() - 1] + "x" + text[one.end() - 1 :]


def _entity(text: str, rng: np.random.Generator) -> str:
    bomb = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>'
    return bomb + text.replace('Name="', 'Name="&b;', 1)


def _nested(text: str, rng: np.random.Generator) -> str:
    depth = (10, 1000, 20_000)[rng.integers(3)]
    one = _one_of(r"<[^>]*>", text, rng)
    at = 0 if one is None else one.end()
    return text[:at] + "<a>" * depth + "</a>" * (depth if rng.random() < 0.8 else 1) + text[at:]


_XML = 4 * (_attribute,) + 2 * (_without_attribute, _twice, _renamed) + (_entity, _nested)


def json_changed(data: bytes, rng: np.random.Generator) -> bytes:
    """Some values of a JSON text replaced, removed, doubled or nested deeply."""
    try:
        content = json.loads(data)
    except ValueError:
        return bytes_changed(data, rng)
    for _ in range(_few(rng)):
        content = _node_changed(content, rng)
    text = json.dumps(content, ensure_ascii=bool(rng.integers(2)))
    if rng.random() < 0.05:
        depth = (10, 1000, 100_000)[rng.integers(3)]
        text = text.replace("null", "[" * depth + "]" * depth, 1)
    if rng.random() < 0.05:
        text = re.sub(r"\d+", "9" * 5000, text, count=1)
    return text.encode("utf-8", "surrogatepass")


def _node_changed(content: Any, rng: np.random.Generator) -> Any:
    """A copy in which a random node is another value, is gone or is there twice."""
    if not isinstance(content, (dict, list)) or not content or rng.random() < 0.05:
        return _VALUES[rng.integers(len(_VALUES))]
    inside = [k for k, v in _items(content) if isinstance(v, (dict, list)) and v]
    if inside and rng.random() < 0.75:
        key = inside[rng.integers(len(inside))]
        return _with(content, key, _node_changed(content[key], rng))
    key = [k for k, _ in _items(content)][rng.integers(len(content))]
    kind = int(rng.integers(5))
    if kind == 0:
        return _without(content, key)
    if kind == 1 and isinstance(content, list):
        return [*content, content[key]]
    if kind == 1:
        return {**content, str(_TEXTS[rng.integers(len(_TEXTS))]): content[key]}
    if kind == 2 and isinstance(content[key], (int, float)):
        return _with(content, key, _EDGES[rng.integers(len(_EDGES))] * (-1) ** int(rng.integers(2)))
    return _with(content, key, _VALUES[rng.integers(len(_VALUES))])


def _items(content: Any) -> list[tuple[Any, Any]]:
    return list(content.items() if isinstance(content, dict) else enumerate(content))


def _with(content: Any, key: Any, value: Any) -> Any:
    out = content.copy()
    out[key] = value
    return out


def _without(content: Any, key: Any) -> Any:
    out = content.copy()
    del out[key]
    return out


def csv_changed(data: bytes, rng: np.random.Generator) -> bytes:
    """Some cells or lines of a CSV changed."""
    rows = [line.split(",") for line in data.decode("utf-8").splitlines()]
    for _ in range(_few(rng)):
        if not rows:
            break
        row = int(rng.integers(len(rows))) if rng.random() < 0.7 else 0
        column, kind = int(rng.integers(max(1, len(rows[row])))), int(rng.integers(6))
        if kind <= 2 and rows[row]:
            rows[row][column] = str(_TEXTS[rng.integers(len(_TEXTS))])
        elif kind == 3:
            rows[row].insert(column, "1")
        elif kind == 4 and rows[row]:
            del rows[row][column]
        elif rng.random() < 0.5:
            rows.insert(row, list(rows[row]))
        else:
            del rows[row]
    return "\n".join(",".join(row) for row in rows).encode("utf-8", "surrogatepass")


def header_changed(data: bytes, rng: np.random.Generator) -> bytes:
    """A safetensors file whose header is changed as JSON; its length fits again, mostly."""
    size = int.from_bytes(data[:8], "little")
    header = json_changed(data[8 : 8 + size], rng)
    stated = len(header) if rng.random() < 0.9 else int(rng.integers(2**40))
    return stated.to_bytes(8, "little") + header + data[8 + size :]


def member_changed(data: bytes, rng: np.random.Generator) -> bytes:
    """A zip file with one member changed, renamed or gone; its checksums fit again."""
    with zipfile.ZipFile(io.BytesIO(data)) as old:
        members = [(info.filename, old.read(info)) for info in old.infolist()]
    pickles = [k for k, (name, _) in enumerate(members) if name.endswith(".pkl")]
    chosen = pickles[0] if pickles and rng.random() < 0.7 else int(rng.integers(len(members)))
    kind = int(rng.integers(8))
    name, content = members[chosen]
    if kind == 0:
        del members[chosen]
    elif kind == 1:
        members[chosen] = ("../" + name, content)
    else:
        members[chosen] = (name, _pickle_changed(content, rng))
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as new:
        for name, content in members:
            new.writestr(name, content)
    return out.getvalue()


def _pickle_changed(content: bytes, rng: np.random.Generator) -> bytes:
    """Blind changes, among them opcodes of the pickle machine."""
    out = bytearray(content)
    for _ in range(_few(rng)):
        if out and rng.random() < 0.6:
            opcodes = b"cR.)(t}]ebRsuqhjJKMX\x85\x86\x87\x8a\x93NQ0"
            out[rng.integers(len(out))] = opcodes[rng.integers(len(opcodes))]
        else:
            out = bytearray(bytes_changed(bytes(out), rng))
    if rng.random() < 0.05:
        return b"cos\nsystem\n(S'echo fuzz'\ntR."
    return bytes(out)
