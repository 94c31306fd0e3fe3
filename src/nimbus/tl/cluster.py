"""Verb: over-clustering by a self-organising map, then metaclusters."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from anndata import AnnData
from spatialdata import SpatialData

from nimbus._check import require_whole, told
from nimbus._keys import Layers, Suffix
from nimbus._types import BoolArray, IntArray
from nimbus.cluster.assign import NO_NODE, Assignment, assign_nodes
from nimbus.cluster.grid import Grid, grid_of
from nimbus.cluster.rows import Rows, gather
from nimbus.cluster.sample import stratified_sample
from nimbus.cluster.survey import survey, surveyed
from nimbus.data.clusters import nodes_of
from nimbus.data.names import table_for_key

from ._clusterinput import ClusterInput, read_input, strata, warn_without_positives
from ._clusterrecord import Clustered, record_of_nodes, recorded_groups, write_nodes
from ._metaclusters import (
    ConsensusSettings,
    find_metaclusters,
    write_consensus,
)
from ._solvers import Solver, SolverChoice, choose_solver

MAX_TRAIN_CELLS = 1_000_000
"""More change the map little (500,000 sufficed in tests); 50 markers of so many are 200 MB."""

FEWEST_CELLS_OF_A_NODE = 3
"""On average; with fewer a map groups nothing, and a warning says so."""

CELLS_OF_A_NODE = 20
"""On average, on the map that the warning advises."""


def cluster(  # noqa: PLR0913 - the public signature
    adata: AnnData | SpatialData,
    *,
    layer: str | None = Layers.SCORE,
    obsm: str | None = None,
    markers: str | Sequence[str] | None = None,
    weights: Mapping[str, float] | None = None,
    grid: tuple[int, int] = (16, 16),
    solver: Solver = "batch",
    solver_options: Mapping[str, Any] | None = None,
    n_metaclusters: int | None = 40,
    restrict_to: tuple[str, str | Sequence[str]] | None = None,
    max_train_cells: int | None = MAX_TRAIN_CELLS,
    region_key: str | None = None,
    device: str | None = None,
    n_jobs: int | None = None,
    table_key: str = "table",
    key_added: str = Layers.SCORE,
    random_state: int = 0,
) -> None:
    """Group cells by their scores: a self-organising map of many nodes, then metaclusters of nodes.

    More nodes and metaclusters than cell types are wanted: rare types keep nodes of their own, and
    are merged and named afterwards. The default map is for thousands of cells: with fewer than 3 a
    node, on average, a warning names a smaller grid.

    Parameters
    ----------
    adata
        Table, or the SpatialData object that holds it. The layer may be in memory (dense or
        sparse), a Dask array, or on disk (backed AnnData); it is read in spans of cells, of which
        sums alone are kept.
    layer
        Values to cluster, ``(cells, markers)``; ``None`` takes ``X``.
    obsm
        Key of ``obsm`` to take instead; its columns are named ``f"{obsm}_{number}"``, or as those
        of a data frame.
    markers
        Those to use; ``None`` takes all that have a value.
    weights
        ``{marker: weight}``: by what a marker is multiplied before distances are taken. Markers
        that are not named have 1; with 0 a marker plays no part.
    grid
        Rows and columns of nodes.
    solver
        ``"batch"`` is deterministic: the same cells give the same bits on any number of threads
        and in any chunks. ``"minisom"`` runs MiniSom, which has to be installed.
    solver_options
        For ``"batch"`` the fields of :class:`nimbus.cluster.som.SomSettings` (``n_epochs``,
        ``n_kmeans_steps``, ``sigma_start``, ``sigma_end``, ``n_ordering_cells``, ``relocate``); for
        ``"minisom"`` the arguments of its constructor, and ``training``, ``num_iteration``,
        ``start``.
    n_metaclusters
        Number of metaclusters; ``None`` makes none.
    restrict_to
        ``(column of obs, [groups])``: cluster the cells of these groups alone; all others get NaN.
        :func:`nimbus.tl.combine_clusters` puts them back among the groups of all cells.
    max_train_cells
        The map is trained on a sample of so many cells, drawn from every region by its size, and
        held in memory; assigned are all cells. ``None`` trains on all, reading them in each pass.
    region_key
        Column of ``obs`` that tells regions apart; ``None`` takes that of the table, ``"region"``
        or ``"fov"``, if any.
    device
        ``"cuda"`` and the like run ``"batch"`` in PyTorch; equal but for rounding. ``None`` is
        NumPy.
    n_jobs
        Threads; ``None`` takes one for each processor. A Dask array goes to an active
        :class:`distributed.Client` instead.
    table_key
        Table of a SpatialData object.
    key_added
        Prefix of what is stored.
    random_state
        Seed of the sample, of the metaclusters and of MiniSom.

    Returns
    -------
    None. Sets

    - ``obs["nimbus_som"]``: node of each cell, categorical; the category ``"17"`` is row 17 of
      the codebook. NaN where a cell misses a value.
    - ``obs["nimbus_som_distance"]``: float32, from its node.
    - ``obs["nimbus_metacluster"]``: categorical, ``"0"`` has most cells; with colours, dendrogram
      and stabilities as in :func:`nimbus.tl.metacluster`.
    - ``uns["nimbus_cluster"]``: ``codebook`` and ``layout_codebook`` (before nodes were
      relocated, for pictures of the grid), ``node_means``, ``node_counts``, ``metacluster`` of each
      node, ``markers``, ``grid``, ``quantisation_error`` (mean distance), ``topographic_error``
      (share of the cells whose two nearest nodes do not touch), ``settings``.

    Raises
    ------
    TypeError
        A grid of other than two sides.
    ValueError
        An unknown layer, key, marker, column or group, a grid without nodes, options that do not
        fit the solver, markers without any value, or more metaclusters than nodes.

    Examples
    --------
    >>> scores = np.repeat([[0.9, 0.1], [0.1, 0.9], [0.1, 0.1]], 20, axis=0)
    >>> table = AnnData(np.zeros((60, 2)), layers={"nimbus": scores})
    >>> cluster(table, grid=(2, 2), n_metaclusters=3)
    >>> table.obs["nimbus_metacluster"].value_counts().tolist()
    [20, 20, 20]
    """
    table = table_for_key(adata, table_key, key_added)
    nodes = grid_of(grid)
    chosen = choose_solver(solver, solver_options, device, random_state)
    _require_possible(nodes, n_metaclusters, max_train_cells, restrict_to, key_added)
    given = read_input(
        table, layer=layer, obsm=obsm, markers=markers, restrict_to=restrict_to, n_jobs=n_jobs
    )
    sample = _sample(strata(table, region_key), given.kept, max_train_cells, random_state)
    done = _run(given, sample, nodes, weights, chosen)
    settings = {
        **chosen.record(),
        "source": given.source,
        "restrict_to": None if restrict_to is None else recorded_groups(restrict_to),
        "max_train_cells": max_train_cells,
        "n_metaclusters": n_metaclusters,
        "random_state": random_state,
    }
    record = record_of_nodes(done, settings)
    if n_metaclusters is None:
        write_nodes(table, done, record, key_added=key_added)
        return
    wanted = ConsensusSettings(n_metaclusters, random_state=random_state)
    metaclusters = find_metaclusters(nodes_of(record), wanted)  # before the table is touched
    write_nodes(table, done, record, key_added=key_added)
    write_consensus(table, metaclusters, wanted, key_added=key_added)


def _run(
    given: ClusterInput,
    sample: BoolArray | None,
    grid: Grid,
    weights: Mapping[str, float] | None,
    chosen: SolverChoice,
) -> Clustered:
    """Train on the sample and assign all cells."""
    used, rows = _training_rows(given, sample)
    importance = used.importance(weights)
    som = chosen.train(rows, grid, importance, used.kept if sample is None else None)
    found = assign_nodes(
        used.rows(), som.codebook, grid, kept=used.kept, make_assign=chosen.make_assign()
    )
    _warn_of_missing(found, used)
    _warn_of_few_cells(found, grid)
    return Clustered(som, found, used.markers)


def _training_rows(given: ClusterInput, sample: BoolArray | None) -> tuple[ClusterInput, Rows]:
    """Markers that have values, and the cells to train on: the sample in memory, or all of them."""
    rows = given.rows() if sample is None else gather(given.rows(), sample, n_jobs=given.n_jobs)
    looked = surveyed(rows.map(survey, given.kept if sample is None else None))
    used = given.without(looked.missing)
    warn_without_positives(looked, given.markers, given.source)
    if used is given:
        return given, rows
    left = [k for k, gone in enumerate(looked.missing) if not gone]
    return used, used.rows() if sample is None else rows.taking(left)


def _sample(
    stratum: IntArray, kept: BoolArray | None, max_train_cells: int | None, random_state: int
) -> BoolArray | None:
    """Cells to train on, shape ``(cell,)``; ``None`` is all, unsampled."""
    if max_train_cells is None:
        return None
    rng = np.random.default_rng(random_state)
    return stratified_sample(stratum, kept, n_cells=max_train_cells, rng=rng)


def _warn_of_missing(found: Assignment, used: ClusterInput) -> None:
    without = found.node == NO_NODE
    n_missing = int((without if used.kept is None else without & used.kept).sum())
    if n_missing:
        warnings.warn(
            f"{n_missing} of {without.size} cells miss a value in {used.source} for at least one "
            "of the markers; they get no node",
            stacklevel=4,
        )


def _warn_of_few_cells(found: Assignment, grid: Grid) -> None:
    n_cells = int((found.node != NO_NODE).sum())
    if n_cells >= FEWEST_CELLS_OF_A_NODE * grid.n_nodes:
        return
    side = max(2, math.isqrt(n_cells // CELLS_OF_A_NODE))
    advice = (
        f"give a smaller map, such as grid=({side}, {side}) (--grid {side} {side}), and fewer "
        "metaclusters with n_metaclusters= (--n-metaclusters)"
        if side * side < grid.n_nodes
        else "so few cells cannot be grouped"
    )
    warnings.warn(
        f"{n_cells} cells on a map of {grid.n_nodes} nodes: nodes are single cells, and the "
        f"smallest metaclusters are, too; {advice}",
        stacklevel=4,
    )


def _require_possible(
    grid: Grid,
    n_metaclusters: int | None,
    max_train_cells: int | None,
    restrict_to: tuple[str, str | Sequence[str]] | None,
    key_added: str,
) -> None:
    for what, count in (("n_metaclusters", n_metaclusters), ("max_train_cells", max_train_cells)):
        if count is not None:
            require_whole(what, count)
    if restrict_to is not None and not (isinstance(restrict_to, tuple | list) and restrict_to[1:]):
        raise TypeError(
            "restrict_to must be a column of obs and its groups, as in ('nimbus_metacluster', "
            f"['3', '7']), not {told(restrict_to)}"
        )
    if n_metaclusters is not None and not 1 <= n_metaclusters <= grid.n_nodes:
        raise ValueError(
            f"n_metaclusters={n_metaclusters} must be from 1 to the {grid.n_nodes} nodes of "
            f"grid=({grid.rows}, {grid.columns}), or None"
        )
    if max_train_cells is not None and max_train_cells < 1:
        raise ValueError(f"max_train_cells must be at least 1 or None, not {max_train_cells}")
    own = (key_added + Suffix.SOM, key_added + Suffix.METACLUSTER)
    if restrict_to is not None and restrict_to[0] in own:
        raise ValueError(
            f"clustering a part of obs[{restrict_to[0]!r}] would overwrite it; give another "
            f"key_added=, as in key_added='{key_added}_sub'"
        )
