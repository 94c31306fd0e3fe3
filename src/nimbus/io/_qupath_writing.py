"""What writers for QuPath have in common: checks before the work, and outlines of a field."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray
from spatialdata import SpatialData

from nimbus._check import listed
from nimbus.data.outlines import Polygon, cell_outlines

from .geojson import ObjectType


def require_object_type(given: str) -> None:
    """Raise ``ValueError`` for a kind of object that QuPath does not have."""
    if given not in get_args(ObjectType):
        raise ValueError(f"object_type={given!r} is none of {listed(get_args(ObjectType))}")


def refuse_existing(paths: Sequence[Path], overwrite: bool) -> None:
    """Refuse files that are there, unless they may be replaced."""
    there = [path for path in paths if path.exists()]
    if there and not overwrite:
        raise FileExistsError(
            f"{len(there)} files are there already, e.g. {str(there[0])!r}; they may hold "
            "somebody's corrections: choose another folder, or pass overwrite=True"
        )


def outlines_of(
    sdata: SpatialData,
    labels_key: str,
    ids: NDArray[np.int64],
    *,
    image_key: str | Mapping[str, str] | None,
) -> dict[int, tuple[Polygon, ...]]:
    """Outlines of the cells of a field; warns of `ids` of the table that have none."""
    image = image_key.get(labels_key) if isinstance(image_key, Mapping) else image_key
    outlines = cell_outlines(sdata, labels_key, image_key=image)
    missing = int((~np.isin(ids, list(outlines))).sum())
    if missing:
        warnings.warn(
            f"{missing} rows of the table have no cell in the labels {labels_key!r}; they are not "
            "written",
            stacklevel=3,
        )
    return outlines
