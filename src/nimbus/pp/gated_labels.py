"""Verb: labels that a cell table already has, in a column for each marker."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from spatialdata import SpatialData

from nimbus._check import listed, require_known
from nimbus._keys import Layers, Obs
from nimbus.data.annotations import Likely, as_judgement, labels_of, require_frame, whole_ids
from nimbus.data.cellrows import cell_rows
from nimbus.data.names import table_for_key

from ._labels import marker_names, undefined_labels, write_labels


def gated_labels(
    adata: AnnData | SpatialData,
    cells: pd.DataFrame,
    *,
    suffix: str = "_gt",
    fov_key: str = "fov",
    instance_key: str = Obs.INSTANCE,
    likely: Likely = "undetermined",
    table_key: str = "table",
    key_added: str = Layers.SILVER,
) -> None:
    """Add the layer ``"silver"`` from a cell table that has a column of calls for each marker.

    Cohorts gated by hand, and the published gold standard, come as such tables.

    Parameters
    ----------
    adata
        Table to write to, or the SpatialData object that holds it.
    cells
        One row for each cell; columns ``f"{marker}{suffix}"`` hold 1 or True for positive, 0 or
        False for negative, 2 for likely positive, 3 for likely negative, or nothing.
    suffix
        What follows the marker in the names of the columns; ``""`` for columns called like markers.
    fov_key, instance_key
        Columns of `cells` that have the field and the cell id; also of ``obs`` where the table
        annotates no labels.
    likely
        ``"decided"`` counts likely positive as positive and likely negative as negative.
    table_key
        Table of a SpatialData object.
    key_added
        Name of the layer.

    Returns
    -------
    None. Sets ``layers[key_added]``, int8 ``(cells, markers)``: 1 positive, 0 negative, -1 where
    `cells` says nothing; and ``uns[key_added]``.

    Raises
    ------
    ValueError
        No column or no cell of the table, an entry that is none of the above, or a cell twice.

    Warns
    -----
    UserWarning
        Rows of `cells` whose cell the table does not have.

    Examples
    --------
    >>> table = AnnData(np.zeros((2, 1)), obs={"fov": ["a", "a"], "instance_id": [1, 2]})
    >>> table.var_names = ["CD3"]
    >>> gated_labels(table, pd.DataFrame({"fov": "a", "instance_id": [2, 1], "CD3_gt": [1, 0]}))
    >>> table.layers["silver"].ravel()
    array([0, 1], dtype=int8)
    """
    table = table_for_key(adata, table_key, key_added)
    markers = marker_names(table)
    require_frame("cells", cells)
    columns = [str(name) for name in cells.columns]
    require_known("column of cells", [fov_key, instance_key], columns)
    named = {name: f"{name}{suffix}" for name in markers if f"{name}{suffix}" in columns}
    if not named:
        raise ValueError(
            f"cells has no column that is called like a marker of the table and {suffix!r}; its "
            f"columns are {listed(columns)}, the markers {listed(markers)}: pass suffix="
        )
    there = cell_rows(adata, table, fov_key=fov_key, instance_key=instance_key)
    ids = whole_ids(cells[instance_key], what=f"column {instance_key!r} of cells")
    rows = there.rows(cells[fov_key].astype(str), ids)
    _check_rows(rows, ids)
    labels = undefined_labels(table)
    for name, column in named.items():
        calls = _calls(cells[column], column, likely)
        labels[rows[rows >= 0], markers.index(name)] = calls[rows >= 0]
    record = {"method": "columns", "suffix": suffix, "likely": likely, "markers": list(named)}
    write_labels(table, labels, key_added=key_added, record=record)


def _check_rows(rows: NDArray[np.intp], ids: NDArray[np.int64]) -> None:
    """Each cell once, and at least one that the table has."""
    found = rows[rows >= 0]
    if not found.size:
        raise ValueError("cells has none of the cells of the table")
    if np.unique(found).size < found.size:
        values, counts = np.unique(found, return_counts=True)
        twice = values[counts > 1]
        cell = ids[rows == twice[0]][0]
        raise ValueError(f"cells has {twice.size} cells in more than one row, e.g. cell {cell}")
    if found.size < rows.size:
        warnings.warn(
            f"{rows.size - found.size} of {rows.size} rows of cells are of cells that the table "
            "does not have; they are passed over",
            stacklevel=3,
        )


def _calls(column: pd.Series, name: str, likely: Likely) -> NDArray[np.int8]:
    given = column.astype(object).where(column.notna(), "undetermined").astype(str).str.strip()
    given = given.replace({"True": "1", "False": "0", "": "undetermined"})
    meaning = {text: as_judgement(text) for text in given.unique()}
    strange = [text for text, judgement in meaning.items() if judgement is None]
    if strange:
        raise ValueError(
            f"column {name!r} of cells holds {listed(strange)}; calls are 1 (positive), 0 "
            "(negative), 2 (likely positive), 3 (likely negative) or nothing"
        )
    return labels_of(given.map(meaning), likely)
