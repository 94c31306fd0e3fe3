"""Verbs: labels from cell types, by what each type expresses."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from spatialdata import SpatialData

from nimbus._check import listed, one_or_more, require_known, unknown_name
from nimbus._keys import Layers, Obs
from nimbus.core.assignment import Assignment, AssignmentMatrix, read_assignment
from nimbus.data.annotations import INSTANCE, LABEL, MARKER, require_frame, whole_ids
from nimbus.data.cellrows import cell_rows
from nimbus.data.names import table_for_key
from nimbus.data.tables import column_of

from ._labels import marker_names, write_labels


def silver_labels(  # noqa: PLR0913 - the public signature
    adata: AnnData | SpatialData,
    assignment: Assignment,
    *,
    cell_type_key: str = "cell_type",
    cells: pd.DataFrame | None = None,
    fov_key: str = "fov",
    instance_key: str = Obs.INSTANCE,
    exclude_markers: str | Sequence[str] = (),
    exclude_types: str | Sequence[str] = (),
    table_key: str = "table",
    key_added: str = Layers.SILVER,
) -> None:
    """Add the layer ``"silver"``: positive or negative by the cell's type.

    Parameters
    ----------
    adata
        Table whose cells have types, or the SpatialData object that holds it.
    assignment
        Cell types x markers: 1 positive, 0 negative, blank undefined. An :class:`AssignmentMatrix`,
        a data frame with the cell types in its index or first column, or a CSV file of that.
    cell_type_key
        Column of ``obs``, or of `cells`, that has the type. Cells without one are undefined.
    cells
        Take the types from this cell table, by field and cell id, never by position; ``None`` takes
        them from ``obs``. Leave out cells here whose type is not sure.
    fov_key, instance_key
        Columns of `cells` that have the field and the cell id; also of ``obs`` where the table
        annotates no labels.
    exclude_markers
        Markers that get no label.
    exclude_types
        Cell types that get no label.
    table_key
        Table of a SpatialData object.
    key_added
        Name of the layer.

    Returns
    -------
    None. Sets ``layers[key_added]``, int8 ``(cells, markers)``: 1 positive, 0 negative, -1
    undefined, also for markers that are not in the matrix; and ``uns[key_added]``.

    Raises
    ------
    ValueError
        A cell type without a row, a marker that the table does not have, names that come twice, no
        such column, or a cell table that has none of the cells.

    Warns
    -----
    UserWarning
        Cells of `cells` that the table does not have.

    Examples
    --------
    >>> table = AnnData(np.zeros((3, 2)), obs={"cell_type": ["B", "T", "T"]})
    >>> table.var_names = ["CD3", "CD20"]
    >>> matrix = pd.DataFrame({"CD3": [0, 1], "CD20": [1, None]}, index=["B", "T"])
    >>> silver_labels(table, matrix)
    >>> table.layers["silver"]
    array([[ 0,  1],
           [ 1, -1],
           [ 1, -1]], dtype=int8)
    """
    table = table_for_key(adata, table_key, key_added)
    markers = marker_names(table)
    matrix = read_assignment(assignment)
    _require_markers(matrix, markers, exclude_markers)
    if cells is None:
        require_known("obs column", [cell_type_key], [str(name) for name in table.obs])
        types = column_of(table.obs, cell_type_key).astype(object)
    else:
        types = _types_by_cell(adata, table, cells, (fov_key, instance_key, cell_type_key))
    labels = _labels(matrix, types, markers, exclude_markers, exclude_types)
    record = {"method": "assignment", "cell_type_key": cell_type_key, "assignment": _long(matrix)}
    excluded = {
        "exclude_markers": one_or_more(exclude_markers),
        "exclude_types": one_or_more(exclude_types),
    }
    write_labels(table, labels, key_added=key_added, record=record | excluded)


def silver_table(
    cells: pd.DataFrame,
    assignment: Assignment,
    *,
    cell_type_key: str = "cell_type",
    fov_key: str = "fov",
    instance_key: str = Obs.INSTANCE,
    exclude_markers: str | Sequence[str] = (),
    exclude_types: str | Sequence[str] = (),
) -> pd.DataFrame:
    """Labels of the cells of a cell table, one row for each defined pair of cell and marker.

    Parameters
    ----------
    cells
        One row for each cell.
    assignment
        As for :func:`silver_labels`.
    cell_type_key, fov_key, instance_key
        Columns of `cells` that have the type, the field and the cell id.
    exclude_markers, exclude_types
        Markers and cell types that get no label.

    Returns
    -------
    Columns ``fov``, ``instance_id``, ``marker`` and ``label`` (1 or 0), as
    :func:`nimbus.io.read_gold` and :func:`gold_labels` take them.

    Raises
    ------
    ValueError
        A cell type without a row, names that come twice, or a column that is missing.

    Examples
    --------
    >>> cells = pd.DataFrame({"fov": "a", "instance_id": [3, 70_000], "cell_type": ["B", "T"]})
    >>> silver_table(cells, pd.DataFrame({"CD3": [0, 1], "CD20": [1, None]}, index=["B", "T"]))
      fov  instance_id marker  label
    0   a            3    CD3      0
    1   a            3   CD20      1
    2   a        70000    CD3      1
    """
    require_frame("cells", cells)
    columns = [str(name) for name in cells.columns]
    require_known("column of the cell table", [fov_key, instance_key, cell_type_key], columns)
    matrix = read_assignment(assignment)
    markers = list(matrix.markers)
    labels = _labels(matrix, cells[cell_type_key], markers, exclude_markers, exclude_types)
    row, column = np.nonzero(labels >= 0)
    ids = whole_ids(cells[instance_key], what=f"column {instance_key!r} of the cell table")
    return pd.DataFrame(
        {
            "fov": cells[fov_key].astype(str).to_numpy()[row],
            INSTANCE: ids[row],
            MARKER: np.array(markers, dtype=object)[column],
            LABEL: labels[row, column],
        }
    )


def _labels(
    matrix: AssignmentMatrix,
    types: pd.Series,
    markers: Sequence[str],
    exclude_markers: str | Sequence[str],
    exclude_types: str | Sequence[str],
) -> NDArray[np.int8]:
    names = types.astype(object).map(str, na_action="ignore")
    gone = one_or_more(exclude_types)
    found = names.dropna().unique()
    require_known("cell type", gone, list(dict.fromkeys([*matrix.cell_types, *found])))
    names = names.where(~names.isin(gone), None)
    shown = set(one_or_more(exclude_markers)) & set(matrix.markers)
    try:
        return matrix.without(markers=shown).labels_of(names, markers)
    except ValueError as error:
        raise ValueError(f"{error}; add a row for it, or pass exclude_types=") from error


def _require_markers(
    matrix: AssignmentMatrix, markers: Sequence[str], exclude_markers: str | Iterable[str]
) -> None:
    """Each marker of the matrix is in the table, or was excluded."""
    excluded = one_or_more(exclude_markers)
    require_known("marker", excluded, list(dict.fromkeys([*matrix.markers, *markers])))
    strange = [name for name in matrix.markers if name not in {*markers, *excluded}]
    if strange:
        others = f" Not there either: {listed(strange[1:])}." if strange[1:] else ""
        raise ValueError(
            f"{unknown_name('marker', strange[0], markers)}{others} The assignment matrix has it "
            "and the table does not; rename it, or pass exclude_markers="
        )


def _types_by_cell(
    data: AnnData | SpatialData, table: AnnData, cells: pd.DataFrame, keys: tuple[str, str, str]
) -> pd.Series:
    """Type of each row of the table, from a cell table."""
    fov_key, instance_key, cell_type_key = keys
    require_frame("cells", cells)
    require_known("column of cells", keys, [str(name) for name in cells.columns])
    there = cell_rows(data, table, fov_key=fov_key, instance_key=instance_key)
    ids = whole_ids(cells[instance_key], what=f"column {instance_key!r} of cells")
    twice = pd.MultiIndex.from_arrays([cells[fov_key].astype(str), ids]).duplicated()
    if twice.any():
        row = int(np.flatnonzero(twice)[0])
        raise ValueError(
            f"cells has {int(twice.sum())} rows of cells that came before, e.g. cell {ids[row]} of "
            f"field {cells[fov_key].iloc[row]!r}; keep one row of each cell"
        )
    known = cells[fov_key].astype(str).isin(list(there.called)).to_numpy()
    rows = np.full(len(cells), -1)
    rows[known] = there.rows(cells[fov_key].astype(str)[known], ids[known])
    found = rows >= 0
    if not found.any():
        raise ValueError(
            f"cells has none of the cells of the table: its fields are "
            f"{listed(cells[fov_key].unique())}, those of the table {listed(there.fovs)}"
        )
    if not found.all():
        warnings.warn(
            f"{int((~found).sum())} of {len(cells)} rows of cells are of cells that the table does "
            "not have; they are passed over",
            stacklevel=3,
        )
    types = np.full(table.n_obs, None, dtype=object)
    types[rows[found]] = cells[cell_type_key].to_numpy(dtype=object)[found]
    return pd.Series(types, dtype=object)


def _long(matrix: AssignmentMatrix) -> pd.DataFrame:
    """The matrix with a row for each entry: names of markers may not be columns of a store."""
    n_types, n_markers = matrix.values.shape
    return pd.DataFrame(
        {
            "cell_type": np.repeat(np.array(matrix.cell_types, dtype=object), n_markers),
            "marker": np.tile(np.array(matrix.markers, dtype=object), n_types),
            "label": matrix.values.ravel(),
        }
    )
