"""What all pages of one clustering share: its facts, its last state, and where edits are kept."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nimbus.cluster.clustermap import ClusterMap
from nimbus.data.clusters import NodeTable
from nimbus.tl._metaclusters import ConsensusSettings, find_metaclusters

from .cells import Cells, Histograms
from .keeping import Found, Keeper
from .state import State
from .tissue import Tissue

logger = logging.getLogger("nimbus")

Listener: TypeAlias = Callable[[], None]


@dataclass(frozen=True, slots=True, eq=False)
class Facts:
    """What no click changes.

    Parameters
    ----------
    title
        What the page is of.
    nodes
        Means and counts of the nodes.
    places
        Where nodes are drawn on the grid and on the tree, ``(node, 2)`` each.
    edges
        Of the tree, ``(edge, 2)``.
    cells
        Nodes and fields of the cells.
    histograms
        Of every marker, inside and outside of nodes.
    tissue
        Images or points; ``None`` where there is neither.
    rare
        Nodes that resamples flagged as rare types.
    stability
        How often each node stays with its metacluster; NaN where that is unknown.
    settings
        How metaclusters were found; cutting again takes the same.
    """

    title: str
    nodes: NodeTable
    places: dict[str, NDArray[np.float64]]
    edges: NDArray[np.int64]
    cells: Cells
    histograms: Histograms
    tissue: Tissue | None
    rare: NDArray[np.bool_]
    stability: NDArray[np.float64]
    settings: ConsensusSettings


@dataclass(frozen=True, slots=True)
class Status:
    """Where the edits are.

    Parameters
    ----------
    kind
        ``"saved"``: in the table; ``"saving"``: safe on disk, the table follows; ``"failed"``:
        not on disk.
    text
        The same in words.
    """

    kind: Literal["saved", "saving", "failed"]
    text: str


@dataclass(slots=True, eq=False)
class Desk:
    """One clustering, its edits and the pages that show it.

    Parameters
    ----------
    facts
        What no click changes.
    state
        The last state of any page; a page that is opened begins with it.
    keeper
        Where edits are kept.
    """

    facts: Facts
    state: State
    keeper: Keeper
    status: Status = Status("saved", "no edits yet")
    _listeners: list[Listener] = field(default_factory=list)
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(1))
    _pending: Future[None] | None = None

    def listen(self, listener: Listener) -> None:
        """Call `listener` after every change of metaclusters or status."""
        self._listeners.append(listener)

    def leave(self, listener: Listener) -> None:
        """No longer call it."""
        if listener in self._listeners:
            self._listeners.remove(listener)

    def commit(self, state: State, found: Found | None = None) -> None:
        """Take a new state; edited metaclusters are kept before anybody is told.

        Where they cannot be kept, the state is taken all the same, and the status says so: what a
        person did is not thrown away, and the next edit tries again.
        """
        edited = _history(state.clusters) != _history(self.state.clusters)
        self.state = state
        if not edited:
            return
        try:
            self.keeper.keep(state.clusters, found)
        except OSError as error:
            logger.warning("edits are not on disk: %s", error)
            self.status = Status("failed", f"NOT SAVED: {error}. Export the mapping to keep it.")
        else:
            self.status = Status("saving", f"saved at {_now()}; the table follows")
            self._settle_soon()
        self._tell()

    def recut(self, state: State, n_metaclusters: int) -> State:
        """Find another number of metaclusters, as one edit of a state; gives the new one.

        Raises
        ------
        ValueError
            More metaclusters than nodes with cells.
        """
        wanted = replace(self.facts.settings, n_metaclusters=n_metaclusters)
        found = find_metaclusters(self.facts.nodes, wanted)
        cut = state.recut(found.labels.tolist())
        self.commit(cut, (found, wanted))
        return cut

    def finish(self) -> Status:
        """Wait until the table is up to date; gives the status."""
        if self._pending is not None:
            self._pending.result()
        return self.status

    def _settle_soon(self) -> None:
        if self._pending is not None and self._pending.cancel():
            pass  # it had not begun; the new one does its work
        self._pending = self._pool.submit(self._settle)

    def _settle(self) -> None:
        clusters = self.state.clusters
        try:
            where = self.keeper.settle()
        except (OSError, ValueError) as error:
            logger.warning("the table is not up to date: %s", error)
            self.status = Status("failed", f"The table is not up to date: {error}")
        else:
            if clusters is self.state.clusters:
                self.status = Status("saved", f"saved at {_now()} {where}")
        self._tell()

    def _tell(self) -> None:
        for listener in list(self._listeners):
            listener()


def _history(clusters: ClusterMap) -> tuple[object, ...]:
    return clusters.start, clusters.done, clusters.undone


def _now() -> str:
    return time.strftime("%H:%M:%S")
