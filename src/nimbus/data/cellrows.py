"""Rows of a table by field and cell id, however the field is called."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from spatialdata import SpatialData
from spatialdata.models import get_table_keys

from nimbus._check import listed, unknown_name
from nimbus._keys import Attrs

from .annotations import whole_ids
from .fields import LABELS_SUFFIX
from .tables import column_of

_ANNOTATED = "spatialdata_attrs"


@dataclass(frozen=True, slots=True, eq=False)
class CellRows:
    """Cells of a table.

    Parameters
    ----------
    fovs
        Name of each field, as people know it: that of its files.
    called
        Number of the field by each name that it may be called by.
    field
        Number of the field of each row.
    ids
        Cell id of each row.
    """

    fovs: tuple[str, ...]
    called: dict[str, int]
    field: NDArray[np.int64]
    ids: NDArray[np.int64]

    def names(self) -> list[str]:
        """Name of the field of each row."""
        return [self.fovs[k] for k in self.field]

    def numbers(self, fovs: pd.Series) -> NDArray[np.int64]:
        """Number of each named field.

        Raises
        ------
        ValueError
            One that the table does not have.
        """
        for name in fovs.unique():
            if name not in self.called:
                raise ValueError(unknown_name("field", str(name), self.fovs))
        return np.asarray(fovs.map(self.called), dtype=np.int64)

    def rows(self, fovs: pd.Series, ids: NDArray[np.int64]) -> NDArray[np.intp]:
        """Row of each named cell; -1 where the table has none.

        Raises
        ------
        ValueError
            A field that the table does not have.
        """
        there = pd.MultiIndex.from_arrays([self.field, self.ids])
        wanted = pd.MultiIndex.from_arrays([self.numbers(fovs), ids])
        rows: NDArray[np.intp] = there.get_indexer(wanted)
        return rows


def cell_rows(
    data: AnnData | SpatialData, table: AnnData, *, fov_key: str = "fov", instance_key: str
) -> CellRows:
    """Field and id of each row of a table.

    Those of the labels that the table annotates; a table that annotates none has them in
    ``obs[fov_key]`` and ``obs[instance_key]``. A field may be called by its labels element, by
    that without ``_labels``, or as its files were before SpatialData asked for another name. One
    of a table without labels has the name that stands in the column.

    Parameters
    ----------
    data
        What the table is of: ``attrs["nimbus_fovs"]`` of a SpatialData object knows older names.
    table
        The table.
    fov_key, instance_key
        Columns of ``obs`` where the table annotates no labels.

    Raises
    ------
    ValueError
        There are no such columns, ids that are no whole numbers, or two rows of one cell.
    """
    annotated = _ANNOTATED in table.uns
    if annotated:
        _, fov_key, instance_key = get_table_keys(table)
    for key in (fov_key, instance_key):
        if key not in table.obs:
            raise ValueError(
                f"which cells are the rows? The table annotates no labels and has no "
                f"obs[{key!r}]; there is {listed(table.obs.columns)}: pass fov_key= and "
                "instance_key="
            )
    codes, regions = pd.factorize(column_of(table.obs, fov_key).astype(str))
    ids = whole_ids(column_of(table.obs, instance_key), what=f"obs[{instance_key!r}]")
    twice = pd.MultiIndex.from_arrays([codes, ids]).duplicated()
    if twice.any():
        row = int(np.flatnonzero(twice)[0])
        raise ValueError(
            f"the table has cell {ids[row]} of field {regions[codes[row]]!r} in more than one row"
        )
    names = [field_name(data, region) for region in regions] if annotated else list(regions)
    fovs, called = _names(list(regions), names)
    return CellRows(tuple(fovs), called, codes.astype(np.int64), ids)


def field_name(data: AnnData | SpatialData, labels_key: str) -> str:
    """Name of the field of a labels element, as its files have it.

    Examples
    --------
    >>> field_name(SpatialData(attrs={"nimbus_fovs": {"a_b": "a b"}}), "a_b_labels")
    'a b'
    """
    stem = labels_key.removesuffix(LABELS_SUFFIX)
    renamed = data.attrs.get(Attrs.FOVS, {}) if isinstance(data, SpatialData) else {}
    return str(renamed.get(stem, stem))


def _names(regions: Sequence[str], names: Sequence[str]) -> tuple[list[str], dict[str, int]]:
    """Name of each field, and all that they may be called by."""
    fovs = list(regions if len(set(names)) < len(names) else names)
    called: dict[str, int] = {}
    stems = [region.removesuffix(LABELS_SUFFIX) for region in regions]
    for names in (regions, fovs, stems):  # the exact name wins
        for number, name in enumerate(names):
            called.setdefault(name, number)
    return fovs, called
