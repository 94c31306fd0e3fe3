"""``nimbus annotate``: names for the cells of a store, by an assignment matrix."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from . import _late
from ._flags import OUTPUT, CellStore, CellTable, ReplaceTable, option
from ._options import layer_or_x, names, numbers

_DATA, _MODEL = "What is named", "How"


def annotate(
    store: CellStore,
    assignment: Annotated[
        Path, typer.Argument(help="CSV: cell types x markers, or a phenotype workflow of scimap.")
    ],
    layer: Annotated[str, option(_DATA, "Layer of scores; X takes X.")] = "nimbus",
    groupby: Annotated[
        str | None, option(_DATA, "Name groups of cells: nimbus_metacluster, nimbus_som, ...")
    ] = None,
    exclude_markers: Annotated[
        list[str] | None, option(_DATA, "Markers of the CSV to pass over. Several: CD3,CD8")
    ] = None,
    exclude_types: Annotated[
        list[str] | None, option(_DATA, "Cell types of the CSV to pass over.")
    ] = None,
    table_key: Annotated[str, option(_DATA, "Table of the store.")] = "table",
    priors: Annotated[
        str, option(_MODEL, "How common types are: uniform, estimated, B=0.2,T=0.8 or a .json.")
    ] = "uniform",
    confidence: Annotated[
        float, option(_MODEL, "Probability from which a type is named; below: unassigned.")
    ] = 0.5,
    threshold: Annotated[
        str,
        option(_MODEL, "Score that says nothing: 0.5, CD3=0.4, a .json, or nimbus_calibrated."),
    ] = "0.5",
    noise: Annotated[
        str,
        option(
            _MODEL, "Share of the cells of a type that differ from its row: 0.05, or estimated."
        ),
    ] = "estimated",
    n_jobs: Annotated[int | None, option(_MODEL, "Threads; all processors by default.")] = None,
    posterior: Annotated[
        bool, option(OUTPUT, "Also store the probability of every type.", "--posterior")
    ] = False,
    key_added: Annotated[
        str, option(OUTPUT, "Prefix of what is stored: nimbus_cell_type, ...")
    ] = "nimbus",
    table: CellTable = None,
    overwrite: ReplaceTable = False,
) -> None:
    """Name cells, or metaclusters, by what each cell type expresses.

    Examples
    --------
        nimbus annotate cohort.zarr assignment.csv

        nimbus annotate cohort.zarr assignment.csv --groupby nimbus_metacluster --table cells.csv

        nimbus annotate cells.h5ad phenotype_workflow.csv --confidence 0.8

    The CSV has **a row for each cell type and a column for each marker**: 1 positive, 0 negative,
    blank where nothing is known. Or it is a phenotype workflow of scimap, with pos, neg, allpos,
    allneg, anypos and anyneg.

    The name of each cell is obs **nimbus_cell_type**, its probability obs
    **nimbus_cell_type_confidence**. Other keys of the store are not touched. What is printed shows
    which markers spoke for and against, in bits: +1 is twice as likely as in any cell. Types that
    the markers cannot tell apart are warned of.
    """
    wanted = {
        "layer": layer_or_x(layer),
        "groupby": groupby,
        "priors": priors if priors in ("uniform", "estimated") else numbers("--priors", priors),
        "confidence": confidence,
        "threshold": _threshold(threshold),
        "noise": _noise(noise),
        "exclude_markers": names(exclude_markers) or [],
        "exclude_types": names(exclude_types) or [],
        "posterior": posterior,
        "n_jobs": n_jobs,
        "table_key": table_key,
        "key_added": key_added,
    }
    run = _late.grouping.Grouping(store, wanted, table=table, overwrite=overwrite)
    typer.echo(_late.grouping.annotate_all(run, assignment))


def _threshold(given: str) -> float | str | dict[str, Any] | None:
    """A number, numbers by marker, or the key of a calibration."""
    try:
        return float(given)
    except ValueError:
        by_marker = "=" in given or given.endswith(".json")
        return numbers("--threshold", given) if by_marker else given


def _noise(given: str) -> float | str:
    try:
        return float(given)
    except ValueError:
        return given
