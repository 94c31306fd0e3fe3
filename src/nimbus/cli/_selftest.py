"""A field that is the same on every machine, its scores, and what they must be."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from spatialdata import SpatialData

import nimbus
from nimbus._types import FloatArray
from nimbus.data.fields import Field, build_sdata

FORMAT_VERSION = 1

MARKERS = ("membrane", "nucleus")

SCALES = {"membrane": 800.0, "nucleus": 600.0}
"""Given, so that the numbers test the scores and not the rule of the scales."""

TOLERANCE = {"float32": 2e-4, "bfloat16": 0.03, "float16": 0.01}
"""Largest difference of a score that passes as rounding, by number format."""

_SHAPE = (108, 132)
_CELL = (12, 11)  # rows and columns of a cell; neighbours touch


@dataclass(frozen=True, slots=True)
class SelfTest:
    """What came of it.

    Parameters
    ----------
    model, sha256
        The weights.
    precision
        Number format that was asked for.
    verdict
        ``"passed"``, ``"failed"``, or ``"no numbers"`` where none are kept for these weights.
    difference
        Largest difference from the kept scores; ``None`` without numbers.
    told
        One sentence.
    """

    model: str
    sha256: str
    precision: str
    verdict: str
    difference: float | None
    told: str


def numbers_path(weights: Path) -> Path:
    """Where the numbers of a weights file are kept: beside it."""
    return weights.with_name(weights.stem + ".selftest.json")


def field_arrays() -> tuple[NDArray[np.uint16], NDArray[np.int32]]:
    """Image ``(c, y, x)`` and labels of the field, by integer arithmetic alone.

    Cells are touching rectangles, every seventh is missing, ids have gaps and exceed 65,535. Two
    of five cells have a bright rim in the first channel, one of three a bright middle in the
    second; over all lies a pattern that looks like noise.

    Examples
    --------
    >>> image, labels = field_arrays()
    >>> image.shape, int(image.sum()), int(np.unique(labels).size), int(labels.max())
    ((2, 108, 132), 3693338, 94, 70749)
    """
    y, x = np.mgrid[: _SHAPE[0], : _SHAPE[1]].astype(np.int64)
    (height, width), columns = _CELL, _SHAPE[1] // _CELL[1]
    number = (y // height) * columns + x // width
    labels = np.where(number % 7 == 3, 0, 70_000 + 7 * number)
    rows, across = y % height, x % width
    edge = np.minimum(np.minimum(rows, height - 1 - rows), np.minimum(across, width - 1 - across))
    cell = labels > 0
    rim = np.where(cell & (number * 37 % 5 < 2) & (edge < 2), 420 + 15 * (number % 9), 0)
    middle = np.where(cell & (number * 11 % 3 == 1) & (edge >= 2), 350 + 20 * (number % 7), 0)
    noise = ((y * 73_856_093) ^ (x * 19_349_663)) // 8 % 61
    image = np.stack([rim + noise, middle + noise[::-1, ::-1] + y])
    return image.astype(np.uint16), labels.astype(np.int32)


def field_sdata(pixel_size_um: float) -> SpatialData:
    """The field with pixels of half the model's size, as most images have."""
    image, labels = field_arrays()
    return build_sdata([Field("selftest", image, labels, MARKERS, pixel_size_um / 2)])


def scored(model: str, *, pixel_size_um: float, device: str | None, precision: str) -> FloatArray:
    """Scores ``(cells, markers)`` by the whole way that a user's go."""
    sdata = field_sdata(pixel_size_um)
    nimbus.tl.score(
        sdata,
        model=model,
        scales=SCALES,
        device=device,
        precision=precision,
        show_progress_bar=False,
    )
    return np.asarray(sdata.tables["table"].layers["nimbus"], dtype=np.float64)


def kept_numbers(weights: Path, sha256: str) -> FloatArray | None:
    """Scores that were kept for these weights; ``None`` where there are none.

    Raises
    ------
    ValueError
        The file beside the weights is damaged or of another version.
    """
    path = numbers_path(weights)
    if not path.is_file():
        return None
    try:
        kept: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if kept["format_version"] != FORMAT_VERSION:
            raise ValueError(f"format version {kept['format_version']!r}")
        if kept["sha256"] != sha256:
            return None
        return np.array([kept["scores"][marker] for marker in MARKERS], dtype=np.float64).T
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path}: no numbers of a self-test ({error})") from error


def write_numbers(weights: Path, *, model: str, sha256: str, scores: FloatArray, by: str) -> Path:
    """Keep the scores of these weights beside them; gives the file."""
    columns = {m: [round(float(s), 6) for s in scores[:, k]] for k, m in enumerate(MARKERS)}
    content = {
        "format_version": FORMAT_VERSION,
        "model": model,
        "sha256": sha256,
        "made_by": by,
        "scores": columns,
    }
    path = numbers_path(weights)
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    return path


def judged(scores: FloatArray, kept: FloatArray | None, *, name: str, tolerance: float) -> Any:
    """Verdict, difference and sentence of scores beside those that were kept."""
    if not np.isfinite(scores).all() or scores.min() < 0 or scores.max() > 1:
        return "failed", None, "scores are not numbers from 0 to 1"
    if kept is None:
        told = f"scores are from 0 to 1, but no numbers are kept for these weights of {name}"
        return "no numbers", None, told
    if kept.shape != scores.shape:
        return "failed", None, f"{scores.shape} scores, {kept.shape} kept"
    difference = float(np.abs(scores - kept).max())
    told = f"largest difference of {scores.size} scores {difference:.1e}, allowed {tolerance:g}"
    return ("passed" if difference <= tolerance else "failed"), difference, told
