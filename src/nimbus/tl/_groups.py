"""Groups of cells and markers that are measured together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from nimbus._check import require_known
from nimbus._types import IntArray

MARKER = "marker"
"""Stands for the columns of the table among the names of columns of ``obs``."""


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Some cells and some markers.

    Parameters
    ----------
    key
        What they have in common, one value for each name of `by`.
    rows, columns
        Positions of the cells and of the markers.
    """

    key: tuple[object, ...]
    rows: IntArray
    columns: IntArray


def groups_of(obs: pd.DataFrame, markers: Sequence[str], by: Sequence[str]) -> Iterator[Group]:
    """Groups in the order of the markers and of the categories, the first of `by` slowest.

    Cells without a value in one of the columns belong to no group.

    Examples
    --------
    >>> obs = pd.DataFrame({"tissue": ["skin", "gut", "skin"]})
    >>> for group in groups_of(obs, ["CD3", "CD8"], ["tissue", "marker"]):
    ...     print(*group.key, group.rows, group.columns)
    gut CD3 [1] [0]
    gut CD8 [1] [1]
    skin CD3 [0 2] [0]
    skin CD8 [0 2] [1]
    """
    columns = {name: _values(obs[name]) for name in by if name != MARKER}
    codes = {name: column.cat.codes.to_numpy() for name, column in columns.items()}
    rows_of = _rows(codes, len(obs))
    each = np.arange(len(markers))
    choices = [
        range(len(markers)) if name == MARKER else range(len(columns[name].cat.categories))
        for name in by
    ]
    for choice in product(*choices):
        chosen = dict(zip(by, choice, strict=True))
        rows = rows_of.get(tuple(chosen[name] for name in columns))
        if rows is None:
            continue
        key = tuple(
            markers[at] if name == MARKER else columns[name].cat.categories[at]
            for name, at in chosen.items()
        )
        own = each[[chosen[MARKER]]] if MARKER in chosen else each
        yield Group(key, rows, own)


def require_columns(obs: pd.DataFrame, by: Sequence[str]) -> None:
    """Refuse names that are no columns, and names that come twice.

    Raises
    ------
    ValueError
        As said.
    """
    require_known("by", by, [MARKER, *(str(name) for name in obs.columns)])
    if len(set(by)) < len(by):
        raise ValueError(f"by={list(by)} names a column twice")


def _values(column: pd.Series) -> pd.Series:
    return column if isinstance(column.dtype, pd.CategoricalDtype) else column.astype("category")


def _rows(codes: dict[str, IntArray], n_cells: int) -> dict[tuple[int, ...], IntArray]:
    """Positions of the cells by their codes; those with a missing value are left out."""
    if not codes:
        return {(): np.arange(n_cells)}
    stacked = np.stack(list(codes.values()), axis=1)
    whole = np.flatnonzero((stacked >= 0).all(axis=1))
    unique, own = np.unique(stacked[whole], axis=0, return_inverse=True)
    order = np.argsort(own, kind="stable")
    parts = np.split(whole[order], np.cumsum(np.bincount(own, minlength=len(unique)))[:-1])
    return {tuple(int(c) for c in key): part for key, part in zip(unique, parts, strict=True)}
