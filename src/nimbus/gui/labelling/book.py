"""Judgements as tables of field, cell and marker, and what annotators agree on."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from nimbus.data.annotations import (
    FOV,
    INSTANCE,
    LABEL,
    MARKER,
    PAIR,
    UNDETERMINED,
    Likely,
    checked_annotations,
    labels_of,
)
from nimbus.data.cellrows import CellRows
from nimbus.metrics.agreement import NOT_JUDGED, consensus

from .state import Labels, Pair

COLUMNS = [*PAIR, LABEL]


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """What one annotator said.

    Parameters
    ----------
    labels
        By row and marker, in the order in which they were given.
    strangers
        Rows of the annotator's file whose cell or marker the table does not have; they stay in it.
    """

    labels: Labels
    strangers: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=COLUMNS))


@dataclass(frozen=True, slots=True, eq=False)
class Book:
    """Names of the pairs of a table.

    Parameters
    ----------
    cells
        Field and id of each row.
    markers
        Names of the columns.
    """

    cells: CellRows
    markers: tuple[str, ...]

    def read(self, frame: pd.DataFrame) -> Judged:
        """Judgements of a table with the columns ``fov``, ``instance_id``, ``marker``, ``label``.

        Raises
        ------
        ValueError
            A column is missing, a label or an id is none, or a pair comes twice.
        """
        clean = checked_annotations(frame)[COLUMNS]
        known = (clean[FOV].isin(self.cells.called) & clean[MARKER].isin(self.markers)).to_numpy()
        rows = np.full(len(clean), -1, dtype=np.int64)
        own = clean[known]
        rows[known] = self.cells.rows(own[FOV], own[INSTANCE].to_numpy(np.int64))
        there = rows >= 0
        pairs = zip(rows[there].tolist(), clean[MARKER][there], strict=True)
        return Judged(dict(zip(pairs, clean[LABEL][there], strict=True)), clean[~there])

    def frame(self, judged: Judged) -> pd.DataFrame:
        """The same as a table; strangers stand first."""
        rows = np.array([row for row, _ in judged.labels], dtype=np.int64)
        own = pd.DataFrame(
            {
                FOV: [self.cells.fovs[k] for k in self.cells.field[rows]],
                INSTANCE: self.cells.ids[rows],
                MARKER: [marker for _, marker in judged.labels],
                LABEL: list(judged.labels.values()),
            }
        )
        parts = [part for part in (judged.strangers, own) if len(part)]
        return pd.concat(parts, ignore_index=True) if parts else own

    def earlier(self, layer: NDArray[np.int8], judged: Collection[Pair]) -> Labels:
        """Labels of a layer at pairs that nobody judged here."""
        rows, columns = np.nonzero((layer == 0) | (layer == 1))
        found = {
            (row, self.markers[column]): "positive" if layer[row, column] else "negative"
            for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
        }
        return {pair: label for pair, label in found.items() if pair not in judged}


def agreed(
    annotators: Sequence[Labels],
    pairs: Sequence[Pair],
    *,
    likely: Likely,
    min_annotators: int = 1,
) -> NDArray[np.int8]:
    """What those who judged a pair agree on: 1, 0, or -1, ``(pair,)``; -1 where too few did.

    Examples
    --------
    >>> first, second = {(0, "CD3"): "positive", (1, "CD3"): "negative"}, {(1, "CD3"): "positive"}
    >>> agreed([first, second], [(0, "CD3"), (1, "CD3"), (2, "CD3")], likely="undetermined")
    array([ 1, -1, -1], dtype=int8)
    """
    says = np.full((len(annotators), len(pairs)), NOT_JUDGED, dtype=np.int8)
    for k, own in enumerate(annotators):
        judged = np.array([pair in own for pair in pairs], dtype=bool)
        labels = pd.Series([own.get(pair, UNDETERMINED) for pair in pairs], dtype=object)
        says[k, judged] = labels_of(labels, likely)[judged]
    return consensus(says, min_annotators=min_annotators)


def changed_pairs(before: Mapping[Pair, str], after: Mapping[Pair, str]) -> list[Pair]:
    """Pairs whose label differs.

    Examples
    --------
    >>> changed_pairs({(0, "a"): "positive"}, {(1, "a"): "negative"})
    [(0, 'a'), (1, 'a')]
    """
    every = {**before, **after}
    return [pair for pair in every if before.get(pair) != after.get(pair)]
