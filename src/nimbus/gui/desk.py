"""What all pages of one clustering share: its facts, its last state, and where edits are kept."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from nimbus.cluster.clustermap import ClusterMap
from nimbus.data.clusters import NodeTable
from nimbus.tl._metaclusters import ConsensusSettings, find_metaclusters

from .cells import Cells, Histograms
from .keeping import Edit, Found
from .saving import Saving
from .state import State
from .tissue import Tissue


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


@dataclass(slots=True, eq=False)
class Desk:
    """One clustering, its edits and the pages that show it.

    Parameters
    ----------
    facts
        What no click changes.
    state
        The last state of any page; a page that is opened begins with it.
    saving
        Where edits are kept, and who is told.
    """

    facts: Facts
    state: State
    saving: Saving[Edit]

    def commit(self, state: State, found: Found | None = None) -> None:
        """Take a new state; edited metaclusters are kept before anybody is told.

        Where they cannot be kept, the state is taken all the same, and the status says so: what a
        person did is not thrown away, and the next edit tries again.
        """
        edited = _history(state.clusters) != _history(self.state.clusters)
        self.state = state
        if edited:
            self.saving.keep(Edit(state.clusters, found))

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


def _history(clusters: ClusterMap) -> tuple[object, ...]:
    return clusters.start, clusters.done, clusters.undone
