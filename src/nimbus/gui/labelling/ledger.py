"""Labels of all annotators in the layer of a table, and where they come from in ``uns``."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from nimbus.data.annotations import ANNOTATIONS, ANNOTATOR, Likely
from nimbus.data.layers import layer_names, layer_values
from nimbus.pp._labels import undefined_labels, write_labels
from nimbus.pp.gold_labels import annotation_record, gold_agreement, is_unnamed

from .book import Book, Judged, agreed, changed_pairs
from .state import Labels, Pair

EARLIER = "earlier"
"""Annotator of labels that the layer had before anybody judged on the page."""

MOST_EARLIER = 200_000
"""Labels that a layer may have before."""


@dataclass(slots=True, eq=False)
class Ledger:
    """Keeps a layer at what those who judged a pair agree on.

    Parameters
    ----------
    table
        The table.
    book
        Names of its pairs.
    key
        The layer.
    likely
        How "likely positive" and "likely negative" count.
    min_annotators
        How many must have judged a pair.
    judged
        What each annotator said.
    """

    table: AnnData
    book: Book
    key: str
    likely: Likely
    min_annotators: int = 1
    judged: dict[str, Judged] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def labels(self, annotator: str) -> Labels:
        """What somebody said; nothing by default."""
        return self.judged[annotator].labels if annotator in self.judged else {}

    def with_labels(self, annotator: str, labels: Labels) -> Judged:
        """What somebody will have said, with the rows of the file that are no cells here."""
        if annotator not in self.judged:
            return Judged(labels)
        return Judged(labels, self.judged[annotator].strangers)

    def put(self, said: Mapping[str, Judged]) -> None:
        """Take what some annotators say now, and bring layer and record up to date."""
        with self._lock:
            changed: set[Pair] = set()
            for name, own in said.items():
                changed.update(changed_pairs(self.labels(name), own.labels))
            self.judged.update(said)
            if changed:
                self._write(sorted(changed))

    def agreement(self) -> pd.DataFrame | None:
        """Cohen's kappa of each two annotators; ``None`` where there is one."""
        frames = {name: self.book.frame(own) for name, own in self._who()}
        return gold_agreement(frames, likely=self.likely) if len(frames) > 1 else None

    def _who(self) -> list[tuple[str, Judged]]:
        return [(name, own) for name, own in sorted(self.judged.items()) if own.labels]

    def _write(self, pairs: list[Pair]) -> None:
        if self.key in layer_names(self.table):
            every = list(range(self.table.n_vars))
            layer = layer_values(self.table, self.key, every).astype(np.int8)
        else:
            layer = undefined_labels(self.table)
        column = {marker: k for k, marker in enumerate(self.book.markers)}
        said = [own.labels for own in self.judged.values()]
        rows, columns = [row for row, _ in pairs], [column[marker] for _, marker in pairs]
        layer[rows, columns] = agreed(
            said, pairs, likely=self.likely, min_annotators=self.min_annotators
        )
        write_labels(self.table, layer, key_added=self.key, record=self._record())

    def _record(self) -> dict[str, Any]:
        who = self._who()
        record = annotation_record(
            {name: self.book.frame(own) for name, own in who},
            likely=self.likely,
            min_annotators=self.min_annotators,
        )
        if len(who) > 1:
            record["agreement"] = self.agreement()
        return record


def open_ledger(
    table: AnnData, book: Book, *, key: str, likely: Likely, files: Mapping[str, Judged]
) -> Ledger:
    """What is known of the labels of a table: of its record, of files, and of the layer itself.

    Parameters
    ----------
    table, book, key, likely
        As in :class:`Ledger`.
    files
        What the file of each annotator says; it is newer than the record.

    Raises
    ------
    ValueError
        The layer holds values other than 1, 0 and -1.
    """
    judged, how = _recorded(table, book, key, likely)
    if key in layer_names(table):
        layer = layer_values(table, key, list(range(table.n_vars)))
        if not np.isin(layer, (1, 0, -1)).all():
            raise ValueError(
                f"layer {key!r} holds values other than 1 (positive), 0 (negative) and -1 "
                "(undefined), so it holds no labels; pass key_added= with another name"
            )
        n_there = int((layer != -1).sum())
        if n_there > MOST_EARLIER and not judged:
            raise ValueError(
                f"layer {key!r} holds {n_there:,} labels; so many were not made by eye, and they "
                "would count as an annotator's: pass key_added= with another name"
            )
        known = {pair for own in (*judged.values(), *files.values()) for pair in own.labels}
        earlier = book.earlier(layer.astype(np.int8), known)
        if earlier:
            before = judged[EARLIER].labels if EARLIER in judged else {}
            judged[EARLIER] = Judged({**before, **earlier})
    ledger = Ledger(table, book, key, likely, how.min_annotators)
    judged = _called(judged, files)
    if how.likely == likely:
        ledger.judged = judged
        ledger.put(files)
    else:  # they count differently from now on
        ledger.put(judged | dict(files))
    return ledger


def _called(judged: Mapping[str, Judged], files: Mapping[str, Judged]) -> dict[str, Judged]:
    """The same with names of files: a list of tables that was counted before had none.

    A file names one of them at most, and none where its annotator was counted by name.
    """
    left = {own: said.labels for own, said in files.items() if own not in judged}
    called = {}
    for name, said in judged.items():
        equal = [own for own, labels in left.items() if labels == said.labels]
        own = equal[0] if equal and is_unnamed(name) and name not in files else name
        left.pop(own, None)
        called[own] = said
    return called


@dataclass(frozen=True, slots=True)
class Counted:
    """How the labels of a layer were counted."""

    likely: str
    min_annotators: int = 1


def _recorded(
    table: AnnData, book: Book, key: str, likely: Likely
) -> tuple[dict[str, Judged], Counted]:
    """What the record of the layer says of each annotator, and how they were counted."""
    record = table.uns.get(key)
    if not isinstance(record, Mapping) or ANNOTATIONS not in record:
        return {}, Counted(likely)
    people = record[ANNOTATIONS].groupby(ANNOTATOR, observed=True)
    judged = {str(name): book.read(own) for name, own in people}
    return judged, Counted(str(record.get("likely")), int(record.get("min_annotators", 1)))
