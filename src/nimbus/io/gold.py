"""Labels of pairs of cell and marker as a plain CSV file."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData
from spatialdata import SpatialData

from nimbus._check import require_known
from nimbus._keys import Layers, Obs
from nimbus.data.annotations import (
    FOV,
    INSTANCE,
    LABEL,
    MARKER,
    Classes,
    check_classes,
    checked_annotations,
)
from nimbus.data.cellrows import cell_rows
from nimbus.data.layers import layer_names, layer_values
from nimbus.data.tables import table_of

from ._whole import whole_file
from .errors import read_error


def read_gold(path: str | Path, *, classes: Classes = None) -> pd.DataFrame:
    r"""Labels of a CSV file with the columns ``fov``, ``instance_id``, ``marker`` and ``label``.

    Parameters
    ----------
    path
        The file; columns are parted by commas, semicolons or tabs. Labels are the five names, or 1
        positive, 0 negative, -1 undetermined, 2 likely positive, 3 likely negative.
    classes
        Other names of labels and what they stand for, e.g. ``{"yes": "positive"}``.

    Returns
    -------
    These columns, with labels by name, and any others as text.

    Raises
    ------
    FileNotFoundError
        There is no such file.
    ReadError
        The file is no such table, a label or an id is none, or a pair comes twice; the message
        names the file.
    ValueError
        A class of `classes` stands for none of the five labels.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "gold.csv"
    >>> rows = ["fov,instance_id,marker,label", "a,70000,CD3,1", "a,2,CD3,likely negative"]
    >>> _ = path.write_text("\n".join(rows))
    >>> read_gold(path)
      fov  instance_id marker            label
    0   a        70000    CD3         positive
    1   a            2    CD3  likely negative
    """
    check_classes(classes)
    try:
        with Path(path).open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
        # Everything as text: a field may be called "NA", an id may be large.
        frame = pd.read_csv(
            path,
            sep=max(",;\t", key=first.count),
            dtype=str,
            keep_default_na=False,
            encoding="utf-8-sig",
            index_col=False,
        )
        return checked_annotations(frame.rename(columns=str.strip), classes=classes)
    except (ValueError, csv.Error) as error:  # UnicodeDecodeError, ParserError, EmptyDataError
        raise read_error(path, f"is no table of labels ({error})") from error


def write_gold(
    adata: AnnData | SpatialData,
    path: str | Path,
    *,
    layer: str = Layers.GOLD,
    fov_key: str = "fov",
    instance_key: str = Obs.INSTANCE,
    table_key: str = "table",
) -> None:
    """Write labels as a CSV file: one row for each pair of cell and marker that has one.

    Parameters
    ----------
    adata
        Table with labels, or the SpatialData object that holds it.
    path
        The file; one that exists is replaced.
    layer
        Labels: 1 positive, 0 negative; all others are not written.
    fov_key, instance_key
        Columns of ``obs`` that name the cell where the table annotates no labels.
    table_key
        Table of a SpatialData object.

    Raises
    ------
    ValueError
        An unknown layer, or rows that name no cell.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "gold.csv"
    >>> table = AnnData(np.zeros((2, 1)), obs={"fov": ["a", "a"], "instance_id": [1, 70_000]})
    >>> table.layers["gold"] = np.array([[-1], [1]], dtype=np.int8)
    >>> write_gold(table, path)
    >>> print(path.read_text())
    fov,instance_id,marker,label
    a,70000,0,1
    """
    table = table_of(adata, table_key)
    require_known("layer", [layer], layer_names(table))
    cells = cell_rows(adata, table, fov_key=fov_key, instance_key=instance_key)
    labels = layer_values(table, layer, list(range(table.n_vars)))
    row, column = np.nonzero((labels == 0) | (labels == 1))
    frame = pd.DataFrame(
        {
            FOV: np.array(cells.names(), dtype=object)[row],
            INSTANCE: cells.ids[row],
            MARKER: np.array(table.var_names, dtype=object)[column],
            LABEL: labels[row, column].astype(np.int8),
        }
    )
    with whole_file(Path(path)) as spare:
        frame.to_csv(spare, index=False, encoding="utf-8")
