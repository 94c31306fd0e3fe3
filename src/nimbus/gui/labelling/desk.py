"""What all windows of one annotator share: facts, the last state, and where labels are kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from nimbus._types import FloatArray
from nimbus.gui.saving import Saving

from .book import changed_pairs
from .crop import Microscope
from .ledger import Ledger
from .state import Labels, State


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """What no judgement changes.

    Parameters
    ----------
    title
        What the page is of.
    annotator
        Who judges.
    microscope
        Looks at cells.
    channels
        All channels of the images.
    side
        Side of the crop at first, in units of the coordinate system.
    scores
        Scores of a marker, ``(row,)``; NaN where there are none.
    layer
        Where they come from.
    """

    title: str
    annotator: str
    microscope: Microscope
    channels: tuple[str, ...]
    side: float
    scores: Callable[[str], FloatArray]
    layer: str

    def score(self, row: int, marker: str) -> float | None:
        """Score of a cell; ``None`` where there is none."""
        value = float(self.scores(marker)[row])
        return value if np.isfinite(value) else None


@dataclass(slots=True, eq=False)
class Desk:
    """One annotator's work and the windows that show it.

    Parameters
    ----------
    facts
        What no judgement changes.
    state
        The last state of any window; one that is opened begins with it.
    ledger
        Labels of all annotators.
    saving
        Where those of this one are kept, and who is told.
    """

    facts: Facts
    state: State
    ledger: Ledger
    saving: Saving[Labels]

    def commit(self, state: State) -> None:
        """Take a new state; labels are kept before anybody is told.

        Where they cannot be kept, the state is taken all the same, and the status says so: what a
        person judged is not thrown away, and the next judgement keeps it too.
        """
        changed = changed_pairs(self.state.labels, state.labels)
        self.state = state
        if changed or self.saving.status.kind == "failed":
            self.saving.keep(state.labels)
