"""State of the page: a plain value, of which every judgement makes another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypeAlias

from nimbus._check import require_known
from nimbus.data.annotations import JUDGEMENTS

from .order import Queues

Pair: TypeAlias = tuple[int, str]
"""Row of the cell in the table, and marker."""

Labels: TypeAlias = Mapping[Pair, str]
"""One of the five judgements of each pair that was judged."""


@dataclass(frozen=True, slots=True)
class Step:
    """What was done with a pair; a skipped one has the same label before and after."""

    pair: Pair
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class State:
    """What one annotator said, and which cell comes next.

    Every method gives a new state; one that cannot be done raises ``ValueError`` and leaves all as
    it was.

    Parameters
    ----------
    queues
        Which cells come first.
    goal
        Cells to judge of each marker.
    labels
        What was said so far; it is never changed.
    marker
        Marker that is judged.
    cell
        Row of the cell that is judged; ``None`` where the marker is done.
    skipped
        Pairs that come no more until their marker is chosen again.
    past
        Steps that can be taken back.

    Examples
    --------
    >>> import numpy as np
    >>> given = {"scores": lambda _: np.array([0.4, 0.9]), "intensities": lambda _: np.zeros(2)}
    >>> queues = Queues(("CD3",), lambda _: np.zeros(2, int), order="uncertain", seed=0, **given)
    >>> state = State.of(queues, {}, goal=2)
    >>> state.cell, state.judge("positive").cell, state.judge("positive").labels
    (0, 1, {(0, 'CD3'): 'positive'})
    """

    queues: Queues = field(compare=False, repr=False)
    goal: int
    labels: Labels
    marker: str
    cell: int | None = None
    skipped: frozenset[Pair] = frozenset()
    past: tuple[Step, ...] = ()

    @classmethod
    def of(cls, queues: Queues, labels: Labels, *, goal: int, marker: str | None = None) -> State:
        """Begin where the labels end: at `marker`, or at the first one that is not done."""
        if goal < 1:
            raise ValueError(f"n_cells must be at least 1, not {goal}")
        if marker is not None:
            require_known("marker", [marker], queues.markers)
        begin = cls(queues, goal, dict(labels), marker or queues.markers[0])
        if marker is None and begin._next() is None and begin.unfinished():
            begin = replace(begin, marker=begin.unfinished()[0])
        return begin._advanced()

    # What there is

    def counts(self) -> dict[str, Counter[str]]:
        """How often each judgement was given, for each marker; other fields do not count."""
        rows: dict[str, list[int]] = {marker: [] for marker in self.queues.markers}
        for row, marker in self.labels:
            if marker in rows:
                rows[marker].append(row)
        return {
            marker: Counter(self.labels[row, marker] for row in self.queues.shown(marker, own))
            for marker, own in rows.items()
        }

    def n_done(self, marker: str) -> int:
        """Cells that were judged for a marker; those of other fields do not count."""
        return len(self.queues.shown(marker, [row for row, own in self.labels if own == marker]))

    def n_asked(self, marker: str) -> int:
        """As :meth:`n_wanted`, but no queue is made for it: the goal where nobody looked yet."""
        return self.queues.at_most(marker, self.goal)

    def n_wanted(self, marker: str) -> int:
        """Cells to judge for a marker: the goal, or all where there are fewer."""
        return min(self.goal, self.queues.of(marker).size)

    def unfinished(self) -> list[str]:
        """Markers with cells left to judge, beginning behind this one."""
        every = self.queues.markers
        place = every.index(self.marker) + 1
        turned = (*every[place:], *every[:place])
        done = self.counts()
        return [m for m in turned if done[m].total() < self.n_wanted(m)]

    @property
    def label(self) -> str | None:
        """What was said of the cell that is shown."""
        return None if self.cell is None else self.labels.get((self.cell, self.marker))

    # What a person does

    def judge(self, label: str) -> State:
        """Give the cell a label, and go on to the next."""
        require_known("label", [label], JUDGEMENTS)
        pair = self._pair()
        step = Step(pair, self.labels.get(pair), label)
        return self._with(step, skipped=self.skipped - {pair})

    def skip(self) -> State:
        """Go on to the next cell without a label."""
        pair = self._pair()
        before = self.labels.get(pair)
        return self._with(Step(pair, before, before), skipped=self.skipped | {pair})

    def back(self) -> State:
        """Take the last step back and show its cell again."""
        if not self.past:
            raise ValueError("there is nothing to take back")
        step = self.past[-1]
        row, marker = step.pair
        return replace(
            self,
            labels=_changed(self.labels, step.pair, step.before),
            skipped=self.skipped - {step.pair},
            past=self.past[:-1],
            marker=marker,
            cell=row,
        )

    def choose(self, marker: str) -> State:
        """Judge another marker; cells that were skipped come again."""
        require_known("marker", [marker], self.queues.markers)
        kept = frozenset(pair for pair in self.skipped if pair[1] != marker)
        return replace(self, marker=marker, skipped=kept)._advanced()

    def next_marker(self) -> State:
        """Judge the next marker that has cells left."""
        others = [m for m in self.unfinished() if m != self.marker]
        if not others:
            raise ValueError("no other marker has cells left; ask for more cells of each")
        return self.choose(others[0])

    def look_at(self, cell: int) -> State:
        """Judge this cell now, whatever the queue says."""
        if cell not in self.queues.of(self.marker):
            raise ValueError(f"this cell has no score for {self.marker}, so it is not in the queue")
        return replace(self, cell=int(cell))

    def with_goal(self, goal: int) -> State:
        """Judge more or fewer cells of each marker."""
        if goal < 1:
            raise ValueError(f"cells of each marker must be at least 1, not {goal}")
        changed = replace(self, goal=goal)
        return changed if self.cell is not None else changed._advanced()

    def _pair(self) -> Pair:
        if self.cell is None:
            raise ValueError(f"{self.marker} is done; choose another marker, or ask for more cells")
        return self.cell, self.marker

    def _with(self, step: Step, *, skipped: frozenset[Pair]) -> State:
        labels = _changed(self.labels, step.pair, step.after)
        past = (*self.past, step)
        return replace(self, labels=labels, skipped=skipped, past=past)._advanced()

    def _advanced(self) -> State:
        return replace(self, cell=self._next())

    def _next(self) -> int | None:
        """The first cell of the queue without a label; ``None`` where the goal is reached."""
        if self.n_done(self.marker) >= self.goal:
            return None
        for row in self.queues.of(self.marker).tolist():
            pair = (row, self.marker)
            if pair not in self.labels and pair not in self.skipped:
                return int(row)
        return None


def _changed(labels: Labels, pair: Pair, label: str | None) -> Labels:
    """A copy with another label of a pair, or without one."""
    changed = dict(labels)
    if label is None:
        changed.pop(pair, None)
    else:
        changed[pair] = label
    return changed
