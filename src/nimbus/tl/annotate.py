"""Verb: name cells, or groups of cells, by what each cell type expresses."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from anndata import AnnData
from spatialdata import SpatialData

from nimbus._check import one_or_more
from nimbus._keys import Layers
from nimbus._types import IntArray
from nimbus.cluster.annotating import NO_SCORE, Name, Named, all_named
from nimbus.cluster.typemodel import CONFIDENCE, UNASSIGNED, TypeModel
from nimbus.core.assignment import Assignment
from nimbus.data.names import table_for_key

from ._thresholds import DEFAULT, Threshold
from ._typeinput import (
    Noise,
    Priors,
    TypeInput,
    group_codes,
    model_of,
    read_scores,
    require_settings,
    rules_for,
)
from ._typerecord import Annotated, write_types


def annotate(  # noqa: PLR0913 - the public signature
    adata: AnnData | SpatialData,
    assignment: Assignment,
    *,
    layer: str | None = Layers.SCORE,
    groupby: str | None = None,
    priors: Priors = "uniform",
    confidence: float = CONFIDENCE,
    threshold: Threshold = DEFAULT,
    noise: Noise = "estimated",
    exclude_markers: str | Sequence[str] = (),
    exclude_types: str | Sequence[str] = (),
    posterior: bool = False,
    n_jobs: int | None = None,
    table_key: str = "table",
    key_added: str = Layers.SCORE,
) -> None:
    """Name each cell, or each metacluster, by which markers its type has and has not.

    Each score is read as a probability: what it says of each type is weighed against what it would
    say of any cell. One hypothesis more is that a cell is none of the types. A blank of the
    assignment says nothing, nor does a missing score; a rare marker says much where it is there and
    little where it is not.

    Parameters
    ----------
    adata
        Table, or the SpatialData object that holds it. The layer may be dense, sparse, a Dask array
        or on disk; it is read three times, in spans of cells.
    assignment
        Cell types x markers: 1 positive, 0 negative, blank nothing known: an
        :class:`~nimbus.pp.AssignmentMatrix`, a data frame, or a CSV file. Or a phenotype workflow
        of scimap (``pos``, ``neg``, ``allpos``, ``allneg``, ``anypos``, ``anyneg``), a CSV file or
        a data frame: then a cell gets the finest name that is likely enough.
    layer
        Scores from 0 to 1; ``None`` takes ``X``. NaN, and -1 among whole numbers, are no scores.
    groupby
        Column of ``obs``, such as ``"nimbus_metacluster"``: its groups are named instead of cells.
        Their evidence is the mean of their cells', counted as that of four cells at most, because
        cells of one group share their errors.
    priors
        How common types are: ``"uniform"``, ``"estimated"`` from the scores, or
        ``{cell type: share}`` with all of them, and ``"unassigned"`` if wanted.
    confidence
        Probability from which a type is named; below it is ``"unassigned"``.
    threshold
        Score that speaks neither for nor against a marker: a number, ``{marker: number}``, or the
        key of :func:`nimbus.tl.calibrate`.
    noise
        Share of the cells of a type that do not follow what the assignment says of a marker; then
        the marker is as in any cell. ``"estimated"`` finds it for each marker with 1 and with 0, so
        that a marker that failed loses its say; it begins at 0.05.
    exclude_markers, exclude_types
        Markers and types to pass over.
    posterior
        Also keep the probability of each type for each cell.
    n_jobs
        Threads; ``None`` takes one for each processor.
    table_key
        Table of a SpatialData object.
    key_added
        Prefix of what is stored.

    Returns
    -------
    None. Sets

    - ``obs["nimbus_cell_type"]``: categorical of the types there are, in the order of the
      assignment, and ``"unassigned"``. NaN for cells without any score, or without a group.
      Types whose signatures are equal for the markers there are go under both names,
      ``"A / B"``.
    - ``obs["nimbus_cell_type_confidence"]``: float32, probability of the type (of its group); of
      unassigned cells, that of the likeliest.
    - ``uns["nimbus_cell_type_colors"]``: as scanpy has them.
    - ``obsm["nimbus_cell_type"]``: float32 ``(cells, types)`` of each cell by itself, with
      `posterior`; ``uns["nimbus_cell_type"]["types"]`` has the names. A broad type of a workflow
      holds what is below it.
    - ``uns["nimbus_cell_type"]``: ``summary``, a row for each type or group (``n_cells``,
      ``cell_type``, ``confidence``, ``agreement``: share of its cells that alone would be named
      so, the next likely type, markers ``for`` and ``against`` with their bits); ``evidence``, a
      row for each of them and each rule (``mean_score``, ``bits``); ``overlaps``; ``model`` and
      ``settings``. One bit is twice as likely as in any cell.
      :func:`nimbus.tl.annotation_evidence` has the same of single cells.

    Raises
    ------
    ValueError
        An assignment that cannot be read, with a marker that the table does not have, or with names
        that come twice; an unknown layer or column; values outside [0, 1]; settings that cannot be.

    Warns
    -----
    UserWarning
        Types that the panel cannot tell apart, and markers that no cell has a score of.

    Examples
    --------
    >>> import pandas as pd
    >>> scores = np.array([[0.9, 0.1], [0.1, 0.9], [0.1, 0.1], [0.9, 0.9]])
    >>> table = AnnData(np.zeros((4, 2)), layers={"nimbus": scores})
    >>> table.var_names = ["CD3", "CD20"]
    >>> matrix = pd.DataFrame({"CD3": [0, 1], "CD20": [1, 0]}, index=["B cell", "T cell"])
    >>> annotate(table, matrix)
    >>> table.obs["nimbus_cell_type"].tolist()
    ['T cell', 'B cell', 'unassigned', 'unassigned']
    >>> table.uns["nimbus_cell_type"]["summary"]["n_cells"].tolist()
    [1, 1, 2]
    """
    table = table_for_key(adata, table_key, key_added)
    require_settings(confidence, noise, priors)
    group, groups = group_codes(table.obs, groupby)
    rules = rules_for(
        table, assignment, exclude_markers=exclude_markers, exclude_types=exclude_types
    )
    found = read_scores(table, rules, layer=layer, threshold=threshold, n_jobs=n_jobs)
    model = model_of(found, priors=priors, noise=noise)
    work = Name(model, found.look, confidence, posterior, None if group is None else len(groups))
    named = all_named(found.given.rows().map(work, beside=group))
    if group is None:
        done = _of_cells(model, found, named)
    else:
        done = _of_groups(model, found, named, group, groups, confidence)
    settings = {
        "source": found.given.source,
        "groupby": groupby,
        "priors": priors if isinstance(priors, str) else "given",
        "confidence": confidence,
        "noise": noise,
        "exclude_markers": one_or_more(exclude_markers),
        "exclude_types": one_or_more(exclude_types),
    }
    write_types(table, done, settings, key_added=key_added)


def _of_cells(model: TypeModel, found: TypeInput, named: Named) -> Annotated:
    """Cells by themselves; the groups of the summary are the types that there are."""
    n_types = len(model.names)
    rows = np.flatnonzero(named.tally.n_cells)
    mean = named.tally.posterior[rows] / named.tally.n_cells[rows, None]
    every = [*model.names, UNASSIGNED]
    return Annotated(
        model=model,
        rules=found.rules,
        code=named.code,
        confidence=named.confidence,
        of_types=named.of_types,
        groups=[every[k] for k in rows],
        group_code=np.where(rows == n_types, -1, rows),
        group_types=model.of_types(mean),
        agreement=np.ones(rows.size),
        tally=named.tally[rows],
        overlaps=found.overlaps,
    )


def _of_groups(
    model: TypeModel,
    found: TypeInput,
    named: Named,
    group: IntArray,
    groups: Sequence[str],
    confidence: float,
) -> Annotated:
    """Each cell that has a score named as its group."""
    n_cells = named.tally.n_cells
    of_types = model.of_types(model.of_groups(named.tally.evidence, n_cells))
    of_types = np.where(n_cells[:, None] > 0, of_types, np.nan)  # priors alone name no group
    decided = model.decide(of_types, confidence)
    unknown = (group < 0) | (named.code == NO_SCORE)
    code = np.where(unknown, NO_SCORE, decided.code[group])
    same = (named.code == code) & ~unknown
    agreeing = np.bincount(group[same], minlength=len(groups))
    return Annotated(
        model=model,
        rules=found.rules,
        code=code,
        confidence=np.where(unknown, np.nan, decided.confidence[group]).astype(np.float32),
        of_types=named.of_types,
        groups=groups,
        group_code=decided.code,
        group_types=of_types,
        agreement=agreeing / np.maximum(n_cells, 1),
        tally=named.tally,
        overlaps=found.overlaps,
    )
