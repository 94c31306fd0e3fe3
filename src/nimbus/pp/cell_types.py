"""Verb: types of cells from a table, matched by field and cell id."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from anndata import AnnData
from spatialdata import SpatialData

from nimbus._keys import Obs, Suffix
from nimbus.cluster.palette import distinct_colors
from nimbus.data.annotations import FOV, INSTANCE
from nimbus.data.cellrows import cell_rows
from nimbus.data.celltypes import CELL_TYPE, checked_types, color_of_types, one_type_each
from nimbus.data.names import table_for_key
from nimbus.data.tables import column_of


def cell_types(
    adata: AnnData | SpatialData,
    types: pd.DataFrame,
    *,
    join: bool = False,
    fov_key: str = "fov",
    instance_key: str = Obs.INSTANCE,
    table_key: str = "table",
    key_added: str = CELL_TYPE,
) -> None:
    """Add a column of cell types that were made or changed elsewhere: in QuPath, Mantis, a CSV.

    Parameters
    ----------
    adata
        Table to write to, or the SpatialData object that holds it.
    types
        Columns ``fov``, ``instance_id``, ``cell_type`` and perhaps ``color``, as
        :func:`nimbus.io.read_qupath_types` and :func:`nimbus.io.read_mantis_types` give them. Rows
        without a type are passed over.
    join
        Give a cell of several types all their names, joined by ``" | "``, instead of refusing it.
    fov_key, instance_key
        Columns of ``obs`` that name the cell where the table annotates no labels.
    table_key
        Table of a SpatialData object.
    key_added
        Name of the column; one of that name is replaced, and its order of types kept.

    Returns
    -------
    None. Sets ``obs[key_added]``, categorical, NaN for cells that `types` does not name, and
    ``uns[f"{key_added}_colors"]``.

    Raises
    ------
    ValueError
        Missing columns, an unknown field, a cell of several types, or no cell of the table.

    Warns
    -----
    UserWarning
        Cells that the table does not have.

    Examples
    --------
    >>> table = AnnData(np.zeros((3, 1)), obs={"fov": ["a"] * 3, "instance_id": [1, 2, 70_000]})
    >>> rows = {"fov": "a", "instance_id": [70_000, 2], "cell_type": ["T cell", "B cell"]}
    >>> cell_types(table, pd.DataFrame(rows))
    >>> table.obs["cell_type"].tolist()
    [nan, 'B cell', 'T cell']
    """
    table = table_for_key(adata, table_key, key_added)
    frame = checked_types(types)
    colors = color_of_types(frame)
    there = cell_rows(adata, table, fov_key=fov_key, instance_key=instance_key)
    fovs = np.array(there.fovs, dtype=object)[there.numbers(frame[FOV])]  # one name for each
    frame = one_type_each(frame.assign(**{FOV: fovs}), join=join)
    rows = there.rows(frame[FOV], frame[INSTANCE].to_numpy())
    _check_found(rows)
    own = np.full(table.n_obs, None, dtype=object)
    own[rows[rows >= 0]] = frame[CELL_TYPE].to_numpy()[rows >= 0]
    before = _before(table, key_added)
    there_now = {name for name in own if name is not None}
    names = [name for name in before if name in there_now] + sorted(there_now - set(before))
    table.obs[key_added] = pd.Categorical(own, categories=names)
    known = {**before, **colors}
    fresh = iter(distinct_colors(len(names), taken=list(known.values())))
    table.uns[key_added + Suffix.COLORS] = np.array(
        [known.get(name) or next(fresh) for name in names], dtype=object
    )


def _before(table: AnnData, key: str) -> dict[str, str]:
    """Types that the column had, in their order, with their colours."""
    if key not in table.obs or not isinstance(table.obs[key].dtype, pd.CategoricalDtype):
        return {}
    names = [str(name) for name in column_of(table.obs, key).cat.categories]
    colors = [str(color) for color in table.uns.get(key + Suffix.COLORS, [])]
    return dict(zip(names, colors if len(colors) == len(names) else [""] * len(names), strict=True))


def _check_found(rows: np.ndarray) -> None:
    missing = int((rows < 0).sum())
    if rows.size and missing == rows.size:
        raise ValueError("the table has none of these cells; are the ids of other labels?")
    if missing:
        warnings.warn(
            f"{missing} of {rows.size} cells are not in the table; they are passed over",
            stacklevel=3,
        )
