"""Verbs: labels that annotators agree on, and how far they agree."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from spatialdata import SpatialData

from nimbus._check import require_known, require_whole, told
from nimbus._keys import Layers, Obs
from nimbus.data.annotations import (
    ANNOTATIONS,
    ANNOTATOR,
    FOV,
    INSTANCE,
    LABEL,
    MARKER,
    PAIR,
    Likely,
    checked_annotations,
    labels_of,
)
from nimbus.data.cellrows import CellRows, cell_rows
from nimbus.data.names import table_for_key
from nimbus.metrics.agreement import NOT_JUDGED, Agreement, cohen_kappa, consensus

from ._labels import marker_names, undefined_labels, write_labels

Annotations: TypeAlias = pd.DataFrame | Sequence[pd.DataFrame] | Mapping[str, pd.DataFrame]
"""What one annotator says, or several, perhaps by name."""

ALL_MARKERS = "all"
"""Row of the agreement over the pairs of all markers."""

UNNAMED = "annotator "
"""What those are called whose tables came in a list, before their number."""


def gold_labels(
    adata: AnnData | SpatialData,
    annotations: Annotations,
    *,
    likely: Likely = "undetermined",
    min_annotators: int | None = None,
    fov_key: str = "fov",
    instance_key: str = Obs.INSTANCE,
    table_key: str = "table",
    key_added: str = Layers.GOLD,
) -> None:
    """Add the layer ``"gold"``: what the annotators of each cell and marker agree on.

    Parameters
    ----------
    adata
        Table to write to, or the SpatialData object that holds it.
    annotations
        Columns ``fov``, ``instance_id``, ``marker`` and ``label``, as :func:`nimbus.io.read_qupath`
        and :func:`nimbus.io.read_gold` give them: a table for each annotator, in a list or by name,
        or a single one.
    likely
        ``"undetermined"`` leaves out what is likely positive or likely negative; ``"decided"``
        counts it as positive or negative.
    min_annotators
        How many must have judged a pair; ``None`` asks all of them.
    fov_key, instance_key
        Columns of ``obs`` that name the cell where the table annotates no labels.
    table_key
        Table of a SpatialData object.
    key_added
        Name of the layer.

    Returns
    -------
    None. Sets ``layers[key_added]``, int8 ``(cells, markers)``: 1 positive, 0 negative, -1 where
    nobody judged, the annotators differ, or one of them could not tell. What each of them said is
    in ``uns[key_added]["annotations"]``, with which :func:`nimbus.gui.review` goes on. With several
    annotators ``uns[key_added]["agreement"]`` is what :func:`gold_agreement` returns.

    Raises
    ------
    ValueError
        An unknown field or marker, a pair that one annotator judged twice, a label that is none of
        the five, or no cell of the table.

    Warns
    -----
    UserWarning
        Cells that the table does not have.

    Examples
    --------
    >>> table = AnnData(np.zeros((3, 1)), obs={"fov": ["a"] * 3, "instance_id": [1, 2, 70_000]})
    >>> table.var_names = ["CD3"]
    >>> rows = {"fov": "a", "instance_id": [70_000, 2], "marker": "CD3"}
    >>> first = pd.DataFrame({**rows, "label": ["positive", "negative"]})
    >>> second = pd.DataFrame({**rows, "label": ["positive", "undetermined"]})
    >>> gold_labels(table, [first, second])
    >>> table.layers["gold"].ravel()
    array([-1, -1,  1], dtype=int8)
    """
    table = table_for_key(adata, table_key, key_added)
    markers = marker_names(table)
    by_name = _by_name(annotations)
    if min_annotators is not None:
        require_whole("min_annotators", min_annotators)
    if min_annotators is not None and not 1 <= min_annotators <= len(by_name):
        raise ValueError(
            f"min_annotators={min_annotators}, but there are annotations of {len(by_name)}"
        )
    there = cell_rows(adata, table, fov_key=fov_key, instance_key=instance_key)
    named = {name: _with_known_names(frame, there, markers) for name, frame in by_name.items()}
    pairs, judged = _judged(named, likely)
    n_needed = min_annotators or len(named)
    agreed = consensus(judged, min_annotators=n_needed)
    rows = there.rows(pairs[FOV], pairs[INSTANCE].to_numpy())
    _check_found(rows)
    labels = undefined_labels(table)
    columns = pairs[MARKER].map({name: k for k, name in enumerate(markers)}).to_numpy()
    labels[rows[rows >= 0], columns[rows >= 0]] = agreed[rows >= 0]
    record = annotation_record(named, likely=likely, min_annotators=n_needed)
    if len(named) > 1:
        record["agreement"] = _agreement(pairs, judged, list(named))
    write_labels(table, labels, key_added=key_added, record=record)


def annotation_record(
    named: Mapping[str, pd.DataFrame], *, likely: Likely, min_annotators: int
) -> dict[str, Any]:
    """What ``uns`` says of a layer of labels: who said what, and how it was counted."""
    frames = [frame[[*PAIR, LABEL]].assign(**{ANNOTATOR: name}) for name, frame in named.items()]
    record: dict[str, Any] = {
        "method": "annotations",
        "annotators": list(named),
        "likely": likely,
        "min_annotators": min_annotators,
    }
    if frames:
        record[ANNOTATIONS] = pd.concat(frames, ignore_index=True)
    return record


def is_unnamed(annotator: str) -> bool:
    """Whether somebody's table came in a list, without a name.

    Examples
    --------
    >>> is_unnamed("annotator 2"), is_unnamed("ada"), is_unnamed("annotator B")
    (True, False, False)
    """
    return annotator.startswith(UNNAMED) and annotator.removeprefix(UNNAMED).isdecimal()


def gold_agreement(annotations: Annotations, *, likely: Likely = "undetermined") -> pd.DataFrame:
    """How far annotators agree on each marker: Cohen's kappa.

    Parameters
    ----------
    annotations
        A table for each annotator, as for :func:`gold_labels`.
    likely
        ``"decided"`` counts likely positive as positive and likely negative as negative.

    Returns
    -------
    A row for each two annotators and each marker, and one with marker ``"all"`` for all pairs:
    columns ``first``, ``second``, ``marker``, ``n_both`` (pairs that both judged), ``n_decided``
    (of these those that both called positive or negative), ``agreement`` (share of the decided, 0
    to 1) and ``kappa`` (NaN where chance alone would agree).

    Raises
    ------
    ValueError
        Fewer than two annotators, a pair that one of them judged twice, or an unknown label.

    Examples
    --------
    >>> rows = {"fov": "a", "instance_id": [1, 2, 3, 4], "marker": "CD3"}
    >>> first = pd.DataFrame({**rows, "label": [1, 1, 0, 0]})
    >>> second = pd.DataFrame({**rows, "label": [1, 0, 0, 0]})
    >>> gold_agreement({"A": first, "B": second})
      first second marker  n_both  n_decided  agreement  kappa
    0     A      B    CD3       4          4       0.75    0.5
    1     A      B    all       4          4       0.75    0.5
    """
    by_name = _by_name(annotations)
    if len(by_name) < 2:
        raise ValueError("agreement needs the annotations of at least two; pass them in a list")
    pairs, judged = _judged(by_name, likely)
    return _agreement(pairs, judged, list(by_name))


def _by_name(annotations: Annotations) -> dict[str, pd.DataFrame]:
    """Clean annotations of each annotator."""
    single = isinstance(annotations, pd.DataFrame | str | Path)
    each: Any = [annotations] if single or not isinstance(annotations, Iterable) else annotations
    if not isinstance(each, Mapping):
        each = {f"{UNNAMED}{k}": frame for k, frame in enumerate(each, start=1)}
    if not each:
        raise ValueError("there are no annotations: the list is empty")
    clean = {}
    for name, frame in each.items():
        if not isinstance(frame, pd.DataFrame):
            raise TypeError(
                f"annotations are data frames, not {told(frame)}; nimbus.io.read_gold reads a "
                ".csv, nimbus.io.read_qupath a folder of .geojson"
            )
        try:
            clean[str(name)] = checked_annotations(frame)
        except ValueError as error:
            raise ValueError(f"annotations of {str(name)!r}: {error}") from error
    return clean


def _with_known_names(frame: pd.DataFrame, there: CellRows, markers: Sequence[str]) -> pd.DataFrame:
    """Annotations with one name for each field, after a look at the names of the markers."""
    require_known("marker", frame[MARKER].unique(), markers)
    fovs = np.array(there.fovs, dtype=object)[there.numbers(frame[FOV])]
    return checked_annotations(frame.assign(**{FOV: fovs}))


def _judged(
    by_name: Mapping[str, pd.DataFrame], likely: Likely
) -> tuple[pd.DataFrame, NDArray[np.int8]]:
    """All pairs, and what each annotator says of them, ``(annotators, pairs)``."""
    says = {
        name: pd.Series(
            labels_of(frame[LABEL], likely), index=pd.MultiIndex.from_frame(frame[PAIR])
        )
        for name, frame in by_name.items()
    }
    pairs = pd.concat([frame[PAIR] for frame in by_name.values()]).drop_duplicates()
    index = pd.MultiIndex.from_frame(pairs)
    judged = [own.reindex(index, fill_value=NOT_JUDGED).to_numpy(np.int8) for own in says.values()]
    return pairs.reset_index(drop=True), np.stack(judged)


def _agreement(pairs: pd.DataFrame, judged: NDArray[np.int8], names: Sequence[str]) -> pd.DataFrame:
    marker = pairs[MARKER].to_numpy()
    groups = {str(name): marker == name for name in pairs[MARKER].unique()}
    groups[ALL_MARKERS] = np.ones(marker.size, dtype=bool)
    rows = []
    for i, j in combinations(range(len(names)), 2):
        for name, own in groups.items():
            both = own & (judged[i] != NOT_JUDGED) & (judged[j] != NOT_JUDGED)
            found: Agreement = cohen_kappa(judged[i][both], judged[j][both])
            counts = int(both.sum()), found.n
            rows.append((names[i], names[j], name, *counts, found.share, found.kappa))
    columns = ["first", "second", "marker", "n_both", "n_decided", "agreement", "kappa"]
    return pd.DataFrame(rows, columns=columns)


def _check_found(rows: NDArray[np.intp]) -> None:
    if not rows.size:
        raise ValueError("no pair of cell and marker was judged: the annotations have no rows")
    missing = int((rows < 0).sum())
    if missing == rows.size:
        raise ValueError("the table has none of the annotated cells; are the ids of other labels?")
    if missing:
        warnings.warn(
            f"{missing} of {rows.size} annotated pairs are of cells that the table does not have; "
            "they are passed over",
            stacklevel=3,
        )
