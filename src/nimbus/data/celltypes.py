"""What cells are: tables of fov, instance_id, cell_type, and perhaps color."""

from __future__ import annotations

import numpy as np
import pandas as pd

from nimbus._check import listed

from .annotations import FOV, INSTANCE, require_frame, whole_ids

CELL_TYPE, COLOR = "cell_type", "color"

BETWEEN = " | "
"""Stands between the types of a cell that has several."""


def checked_types(frame: pd.DataFrame) -> pd.DataFrame:
    """A table of types with clean columns; rows without a type are left out.

    Raises
    ------
    ValueError
        Missing columns, or ids that are no whole numbers.

    Examples
    --------
    >>> frame = pd.DataFrame({"fov": ["a", "a"], "instance_id": [2, 7], "cell_type": ["T", None]})
    >>> checked_types(frame)
      fov  instance_id cell_type
    0   a            2         T
    """
    require_frame("a table of cell types", frame)
    wanted = [FOV, INSTANCE, CELL_TYPE]
    missing = [name for name in wanted if name not in frame]
    if missing:
        raise ValueError(
            f"a table of cell types has the columns {listed(wanted)}; {listed(missing)} is "
            f"missing, there is: {listed(frame.columns)}"
        )
    kept = frame[frame[CELL_TYPE].notna()].reset_index(drop=True)
    kept = kept[[*wanted, *([COLOR] if COLOR in kept else [])]]
    for name in (FOV, CELL_TYPE):
        kept[name] = kept[name].astype(str).astype(object)
    kept[INSTANCE] = whole_ids(kept[INSTANCE], what=INSTANCE)
    return kept


def one_type_each(frame: pd.DataFrame, *, join: bool) -> pd.DataFrame:
    """One row for each cell; its different types joined, or refused.

    Raises
    ------
    ValueError
        A cell has several types, and `join` is false.

    Examples
    --------
    >>> frame = pd.DataFrame({"fov": "a", "instance_id": [2, 2, 7], "cell_type": ["T", "CD8", "T"]})
    >>> one_type_each(frame, join=True)["cell_type"].tolist()
    ['T | CD8', 'T']
    """
    frame = frame.drop_duplicates([FOV, INSTANCE, CELL_TYPE])
    several = frame.duplicated([FOV, INSTANCE], keep=False)
    if not several.any():
        return frame
    if not join:
        first = frame[several].iloc[0]
        own = frame[(frame[FOV] == first[FOV]) & (frame[INSTANCE] == first[INSTANCE])]
        n = int(frame[several].drop_duplicates([FOV, INSTANCE]).shape[0])
        raise ValueError(
            f"{n} cells have several types, e.g. cell {first[INSTANCE]} of field {first[FOV]!r} is "
            f"{listed(own[CELL_TYPE])}; keep one of them, or pass join=True"
        )
    joined = frame.groupby([FOV, INSTANCE], sort=False)[CELL_TYPE].agg(BETWEEN.join)
    return joined.reset_index()


def color_of_types(frame: pd.DataFrame) -> dict[str, str]:
    """Colour of each type that has one, by its first row."""
    if COLOR not in frame:
        return {}
    first = frame.dropna(subset=[COLOR]).drop_duplicates(CELL_TYPE)
    return dict(zip(first[CELL_TYPE], first[COLOR].astype(str), strict=True))


def no_types() -> pd.DataFrame:
    """A table without rows."""
    empty = {FOV: [], INSTANCE: np.zeros(0, dtype=np.int64), CELL_TYPE: []}
    return pd.DataFrame(empty).astype({FOV: object, CELL_TYPE: object})
