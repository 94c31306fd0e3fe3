"""``nimbus cluster``: nodes and metaclusters of the cells of a store."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import typer

from . import _late
from ._flags import OUTPUT, CellStore, CellTable, ReplaceTable, option
from ._options import layer_or_x, names, numbers

Solver = Literal["batch", "minisom"]

_DATA, _MAP, _RUN = "What is clustered", "Map and metaclusters", "Running"


def cluster(
    store: CellStore,
    layer: Annotated[str, option(_DATA, "Layer of scores; X takes X.")] = "nimbus",
    obsm: Annotated[str | None, option(_DATA, "Key of obsm to cluster instead.")] = None,
    markers: Annotated[
        list[str] | None,
        option(_DATA, "Markers; all that have a value by default. Several: CD3,CD8"),
    ] = None,
    weights: Annotated[
        str | None,
        option(_DATA, "What markers are multiplied by: CD3=2,Ki67=0 or a .json; others by 1."),
    ] = None,
    restrict_to: Annotated[
        str | None,
        option(_DATA, "Cluster these groups alone: COLUMN=GROUP,GROUP. Needs --key-added."),
    ] = None,
    table_key: Annotated[str, option(_DATA, "Table of the store.")] = "table",
    grid: Annotated[tuple[int, int], option(_MAP, "Rows and columns of nodes.")] = (16, 16),
    solver: Annotated[
        Solver, option(_MAP, "batch is the same on any machine size; minisom runs MiniSom.")
    ] = "batch",
    solver_options: Annotated[
        str | None, option(_MAP, "Of the solver: n_epochs=10,sigma_end=0.3 or a .json.")
    ] = None,
    n_metaclusters: Annotated[
        int, option(_MAP, "Number of metaclusters; 0: none, nodes alone.", min=0)
    ] = 40,
    max_train_cells: Annotated[
        int, option(_MAP, "Train on a sample of so many cells; 0: on all.", min=0)
    ] = 1_000_000,
    region_key: Annotated[
        str | None,
        option(_MAP, "Column of obs whose regions share the sample; by default theirs."),
    ] = None,
    seed: Annotated[int, option(_MAP, "Seed of the sample and of the metaclusters.")] = 0,
    device: Annotated[
        str | None, option(_RUN, "cuda and the like run in PyTorch; NumPy by default.")
    ] = None,
    n_jobs: Annotated[int | None, option(_RUN, "Threads; all processors by default.")] = None,
    key_added: Annotated[
        str, option(OUTPUT, "Prefix of what is stored: nimbus_som, nimbus_metacluster.")
    ] = "nimbus",
    table: CellTable = None,
    overwrite: ReplaceTable = False,
) -> None:
    """Group cells by their scores: a self-organising map, then metaclusters of its nodes.

    Examples
    --------
        nimbus cluster cohort.zarr

        nimbus cluster cohort.zarr --markers CD3,CD8,CD20 --grid 10 10 --n-metaclusters 20

        nimbus cluster cohort.zarr --restrict-to nimbus_metacluster=3,7 --key-added t_cells

    The node of each cell is obs **nimbus_som**, its metacluster obs **nimbus_metacluster**. Take
    more metaclusters than there are cell types: they are merged and named afterwards, by
    **nimbus annotate** or on the page (nimbus gui).

    Other keys of the store are not touched. A row of what is printed is a metacluster, with the
    markers whose mean score is at least 0.5.
    """
    wanted = {
        "layer": layer_or_x(layer),
        "obsm": obsm,
        "markers": names(markers),
        "weights": numbers("--weights", weights),
        "grid": grid,
        "solver": solver,
        "solver_options": _whole_numbers(numbers("--solver-options", solver_options)),
        "n_metaclusters": n_metaclusters or None,
        "restrict_to": _groups(restrict_to),
        "max_train_cells": max_train_cells or None,
        "region_key": region_key,
        "device": device,
        "n_jobs": n_jobs,
        "table_key": table_key,
        "key_added": key_added,
        "random_state": seed,
    }
    run = _late.grouping.Grouping(store, wanted, table=table, overwrite=overwrite)
    typer.echo(_late.grouping.cluster_all(run))


def _groups(given: str | None) -> tuple[str, list[str]] | None:
    """``COLUMN=GROUP,GROUP`` as the verb takes it."""
    if given is None:
        return None
    column, equals, groups = given.partition("=")
    found = names([groups])
    if not equals or not column.strip() or not found:
        raise ValueError(f"--restrict-to {given!r} is not understood; write nimbus_metacluster=3,7")
    return column.strip(), found


def _whole_numbers(given: dict[str, Any] | None) -> dict[str, Any] | None:
    """Numbers without a fraction as whole ones, as numbers of passes are."""
    if given is None:
        return None
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value
        for name, value in given.items()
    }
