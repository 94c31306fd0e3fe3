"""Cells as QuPath exchanges them: GeoJSON features with a class and measurements."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from nimbus.data.outlines import Polygon

from ._whole import whole_file
from .errors import read_error

ObjectType = Literal["detection", "annotation"]
"""What QuPath makes of a cell; detections are the lighter ones."""

Color = tuple[int, int, int]
"""Red, green, blue, 0 to 255."""

CELL_ID = "instance_id"
"""Entry of the metadata that has the cell id; the name of the object has it too."""

_FAR = 2.0**40
"""No image has a pixel there."""

_SPACE = uuid.UUID("6f7a1c1e-6e55-5a0c-8d3e-9a1f1f0b7c52")
"""Names of objects are unique within this space; the number itself means nothing."""


@dataclass(frozen=True, slots=True)
class CellClass:
    """A class of QuPath: its name, and the colour that its cells are drawn in."""

    name: str
    color: Color


@dataclass(frozen=True, slots=True, eq=False)
class CellObject:
    """One cell.

    Parameters
    ----------
    cell_id
        Id in the labels; ``None`` for an object of a file that names none.
    polygons
        Its pieces, each a rim and its holes, corners (x, y) in pixels of the image.
    classification
        Its class; ``None`` for unclassified.
    measurements
        Numbers that QuPath lists; NaN and infinite ones are not written.
    metadata
        Texts that QuPath 0.5 and later keeps.
    """

    cell_id: int | None
    polygons: tuple[Polygon, ...]
    classification: CellClass | None = None
    measurements: Mapping[str, float] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)


def write_objects(
    path: Path, objects: Iterable[CellObject], *, object_type: ObjectType = "detection"
) -> None:
    """Write cells to a GeoJSON file that QuPath imports; an error leaves no half of a file.

    Examples
    --------
    >>> import tempfile
    >>> square = (np.array([[0, 0], [2, 0], [2, 2], [0, 2]]),)
    >>> cell = CellObject(70_000, (square,), CellClass("Positive", (250, 62, 62)), {"mean": 3.5})
    >>> path = Path(tempfile.mkdtemp()) / "CD3 äß.geojson"
    >>> write_objects(path, [cell])
    >>> [(one.cell_id, one.classification.name) for one in read_objects(path)]
    [(70000, 'Positive')]
    """
    with (
        whole_file(path) as spare,
        spare.open("w", encoding="utf-8", newline="\n") as file,
    ):
        file.write('{"type": "FeatureCollection", "features": [')
        for number, cell in enumerate(objects):
            feature = _feature(cell, object_type)
            file.write(",\n" if number else "\n")
            file.write(json.dumps(feature, ensure_ascii=False, allow_nan=False))
        file.write("\n]}\n")


def read_objects(path: Path) -> list[CellObject]:
    """Cells of a GeoJSON file as QuPath exports it, in the order of the file.

    Taken are a feature collection, a list of features, or one feature; classes as QuPath writes
    them since 0.2. The id is that of the metadata, else the name of the object.

    Raises
    ------
    ReadError
        The file is no such GeoJSON; the message names the file and the feature.
    """
    try:
        content = json.loads(path.read_bytes().decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise read_error(path, f"is no text in UTF-8 ({error.reason} at {error.start})") from error
    except (ValueError, RecursionError) as error:  # JSONDecodeError is a ValueError
        raise read_error(path, f"is no JSON ({error})") from error
    found = []
    for number, feature in enumerate(_features(content, path)):
        try:
            found.append(_cell(feature))
        except _BadFeatureError as error:
            raise read_error(path, f"feature {number}: {error}") from error
    return found


class _BadFeatureError(ValueError):
    """What is wrong with a feature."""


def _feature(cell: CellObject, object_type: ObjectType) -> dict[str, Any]:
    rings = [[_closed(ring) for ring in polygon] for polygon in cell.polygons]
    one = len(rings) == 1
    properties: dict[str, Any] = {"objectType": object_type}
    metadata = dict(cell.metadata)
    if cell.cell_id is not None:
        properties["name"] = str(cell.cell_id)
        metadata[CELL_ID] = str(cell.cell_id)
    if cell.classification is not None:  # QuPath takes a class only with its colour
        properties["classification"] = {
            "name": cell.classification.name,
            "color": list(cell.classification.color),
        }
    finite = {k: float(v) for k, v in cell.measurements.items() if math.isfinite(v)}
    if finite:
        properties["measurements"] = finite
    if metadata:
        properties["metadata"] = metadata
    return {
        "type": "Feature",
        "id": str(uuid.uuid5(_SPACE, json.dumps([metadata, properties.get("name")]))),
        "geometry": {
            "type": "Polygon" if one else "MultiPolygon",
            "coordinates": rings[0] if one else rings,
        },
        "properties": properties,
    }


def _closed(ring: Any) -> list[list[float]]:
    corners: list[list[float]] = ring.tolist()
    return [*corners, corners[0]]


def _features(content: object, path: Path) -> Sequence[object]:
    if isinstance(content, list):
        return content
    if isinstance(content, dict):
        kind, features = content.get("type"), content.get("features")
        if kind == "FeatureCollection" and isinstance(features, list):
            return features
        if kind == "Feature":
            return [content]
    raise read_error(
        path, "is JSON, but neither a feature collection nor a list of features, as QuPath exports"
    )


def _cell(feature: object) -> CellObject:
    if not isinstance(feature, dict) or feature.get("type") != "Feature":
        raise _BadFeatureError('is no object of "type": "Feature"')
    properties = feature.get("properties") or {}
    if not isinstance(properties, dict):
        raise _BadFeatureError(f'"properties" are {_kind(properties)}, not an object')
    metadata = properties.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise _BadFeatureError(f'"metadata" are {_kind(metadata)}, not an object')
    texts = {str(key): str(value) for key, value in metadata.items()}
    return CellObject(
        cell_id=_id(texts.get(CELL_ID, properties.get("name"))),
        polygons=_polygons(feature.get("geometry")),
        classification=_class(properties.get("classification")),
        measurements=_measurements(properties.get("measurements")),
        metadata=texts,
    )


def _id(text: object) -> int | None:
    """A cell id; ``None`` for another name."""
    plain = str(text).strip() if isinstance(text, (str, int)) else ""
    if not (plain.isascii() and plain.isdigit() and len(plain) < 16):
        return None
    return int(plain) or None


def _class(given: object) -> CellClass | None:
    """The class, written as a text, a name and a colour, or a list of names and a colour."""
    if given is None or given == {}:
        return None
    if isinstance(given, str):
        return CellClass(given, (128, 128, 128))
    if not isinstance(given, dict):
        raise _BadFeatureError(f'"classification" is {_kind(given)}, not a name and a colour')
    names = given.get("names", given.get("name"))
    if isinstance(names, list) and names and all(isinstance(name, str) for name in names):
        names = ": ".join(names)  # as QuPath shows derived classes
    if not isinstance(names, str):
        raise _BadFeatureError('"classification" has no "name"')
    return CellClass(names, _color(given))


def _color(given: Mapping[str, Any]) -> Color:
    color = given.get("color")
    if isinstance(color, list) and len(color) >= 3 and all(isinstance(v, int) for v in color[:3]):
        return color[0], color[1], color[2]
    packed = given.get("colorRGB")  # before QuPath 0.4
    if isinstance(packed, int):
        return packed >> 16 & 255, packed >> 8 & 255, packed & 255
    return 128, 128, 128


def _measurements(given: object) -> dict[str, float]:
    """Numbers by name; before QuPath 0.4 they came as a list."""
    if given is None:
        return {}
    if isinstance(given, list):
        given = {str(m.get("name")): m.get("value") for m in given if isinstance(m, dict)}
    if not isinstance(given, dict):
        raise _BadFeatureError(f'"measurements" are {_kind(given)}, not an object')
    numbers = {k: v for k, v in given.items() if isinstance(v, (int, float))}
    try:
        return {str(k): float(v) for k, v in numbers.items()}
    except OverflowError as error:
        raise _BadFeatureError('"measurements" hold a number too large') from error


def _polygons(geometry: object) -> tuple[Polygon, ...]:
    if not isinstance(geometry, dict):
        raise _BadFeatureError('has no "geometry"')
    kind, coordinates = geometry.get("type"), geometry.get("coordinates")
    if kind == "Polygon":
        coordinates = [coordinates]
    elif kind != "MultiPolygon":
        return ()  # points and lines of the annotator's own
    if not isinstance(coordinates, list) or not all(
        isinstance(polygon, list) and polygon for polygon in coordinates
    ):
        raise _BadFeatureError(f'"coordinates" are no list of rings, as a {kind} needs')
    return tuple(tuple(_ring(ring) for ring in polygon) for polygon in coordinates)


def _ring(ring: object) -> Any:
    try:
        corners = np.array(ring, dtype=np.float64)
    except (TypeError, ValueError, OverflowError) as error:
        raise _BadFeatureError("a ring holds something else than pairs of numbers") from error
    if corners.ndim != 2 or corners.shape[0] < 4 or corners.shape[1] not in (2, 3):
        raise _BadFeatureError(f"a ring has the shape {corners.shape}, not at least 4 pairs")
    if not (np.abs(corners) < _FAR).all():
        raise _BadFeatureError("a ring has a corner that is NaN or off any image")
    corners = corners[:-1, :2] if np.array_equal(corners[0], corners[-1]) else corners[:, :2]
    whole = np.round(corners)
    return whole.astype(np.int64) if np.array_equal(whole, corners) else corners


def _kind(value: object) -> str:
    return {list: "a list", str: "a text", bool: "a truth value"}.get(type(value), "a number")
