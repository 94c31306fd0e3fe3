"""The work of ``nimbus evaluate``."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.backend_bases import FigureCanvasBase

import nimbus

from ._columns import columns, number
from ._newfile import require_file
from ._opened import opened
from ._whole import written_whole

TABLE_KINDS = (".csv", ".parquet")

_SCORE = {
    "F1": "f1",
    "precision": "precision",
    "recall": "recall",
    "AUROC": "auroc",
    "avg. prec.": "average_precision",
}
_BASELINE = {
    "best F1": "baseline_best_f1",
    "AUROC": "baseline_auroc",
    "avg. prec.": "baseline_average_precision",
}
_WITH_ENDS = ("f1", "auroc")
"""Measures that are printed with their interval."""


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """All that ``nimbus evaluate`` was asked for.

    Parameters
    ----------
    store
        SpatialData store or ``.h5ad``.
    wanted
        Arguments of :func:`nimbus.tl.evaluate`.
    out, figure
        Files to write.
    overwrite
        Replace them.
    """

    store: Path
    wanted: Mapping[str, Any]
    out: Path | None
    figure: Path | None
    overwrite: bool


def evaluate_all(run: Evaluation) -> str:
    """Evaluate, write what was asked for, and show the measures as text."""
    _check_outputs(run)
    data = opened(run.store)
    table = nimbus.tl.evaluate(data, **run.wanted)
    text = [as_text(table, n_keys=len(run.wanted["by"]), layer=run.wanted["layer"])]
    written = [f"wrote {path}" for path in (run.out, run.figure) if path is not None]
    if run.out is not None:
        _write_table(table, run.out)
    if run.figure is not None:
        _draw(table, run.figure, run.wanted)
    return "\n".join([*text, *([""] if written else []), *written])


def as_text(table: pd.DataFrame, *, n_keys: int, layer: str) -> str:
    """The measures people look at first, in columns; intervals in brackets."""
    keys = [str(name) for name in table.columns[:n_keys]]
    other = {name: column for name, column in _BASELINE.items() if column in table}
    above = [*keys, "cells", "positive", *[layer] * len(_SCORE), *["baseline"] * len(other)]
    below = [*[""] * (n_keys + 2), *_SCORE, *other]
    body = [
        [
            *(str(row[name]) for name in keys),
            str(row["n_cells"]),
            str(row["n_positive"]),
            *(_with_ends(row, column) for column in _SCORE.values()),
            *(number(row[column]) for column in other.values()),
        ]
        for row in table.to_dict("records")
    ]
    return columns(above, [below, *body]) + _remarks(table)


def _with_ends(row: Mapping[Any, Any], column: str) -> str:
    low, high = (row.get(f"{column}_{end}", math.nan) for end in ("low", "high"))
    if column not in _WITH_ENDS or math.isnan(low):
        return number(row[column])
    return f"{number(row[column])} [{number(low, 2)}, {number(high, 2)}]"


def _remarks(table: pd.DataFrame) -> str:
    """What the table alone does not tell."""
    n_missing = int(table["n_missing"].max())
    remarks = []
    if n_missing:
        remarks.append("Cells without a score are left out; n_missing in --out counts them.")
    if "f1_low" in table and table["f1_low"].isna().all():
        remarks.append("No intervals: they need at least two fields with known truth.")
    return "".join(f"\n\n{remark}" for remark in remarks)


def _check_outputs(run: Evaluation) -> None:
    figures = tuple(f".{kind}" for kind in FigureCanvasBase.get_supported_filetypes())
    for option, path, kinds in (
        ("--out", run.out, TABLE_KINDS),
        ("--figure", run.figure, figures),
    ):
        if path is not None:
            require_file(option, path, kinds, overwrite=run.overwrite)


def _write_table(table: pd.DataFrame, path: Path) -> None:
    with written_whole(path) as part:
        if path.suffix.lower() == ".csv":
            table.to_csv(part, index=False)
        else:
            table.to_parquet(part, index=False)


def _draw(table: pd.DataFrame, path: Path, wanted: Mapping[str, Any]) -> None:
    matplotlib.use("Agg")
    names = (wanted["layer"], wanted["baseline_layer"] or "baseline")
    with written_whole(path) as part:
        nimbus.pl.metrics(table, names=names, save=part)
    plt.close("all")
