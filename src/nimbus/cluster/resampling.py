"""Which nodes fall together when some are left out: one table for every number of groups."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nimbus._types import AnyArray, FloatArray, IntArray

from .linkage import LinkageMethod, linkage_tree, merge_steps

TIE = 1e-9
"""Weight of the tree of all nodes where resamples do not decide; their own step is 1 / n."""


@dataclass(frozen=True, slots=True, eq=False)
class Resamples:
    """How often pairs of nodes were drawn, and were together, over all resamples.

    Parameters
    ----------
    n_together
        Shape ``(max_groups + 1, pair)``: resamples that hold both nodes of a pair and leave them
        together when cut into that many groups; row 0 counts as row 1, all that hold both. Pairs
        as in :func:`scipy.spatial.distance.pdist`.
    tree
        Linkage of all nodes, shape ``(node - 1, 4)``.
    """

    n_together: AnyArray
    tree: NDArray[np.float64]

    @property
    def n_nodes(self) -> int:
        """Number of nodes."""
        return len(self.tree) + 1

    @property
    def max_groups(self) -> int:
        """Largest number of groups that is counted."""
        return len(self.n_together) - 1

    def consensus(self, n_groups: int) -> NDArray[np.float64]:
        """Share of the resamples with both nodes that leave them together, shape ``(pair,)``.

        A pair that was never drawn together is as in the tree of all nodes.
        """
        together, both = self.n_together[n_groups], self.n_together[0]
        drawn = both > 0
        never = merge_steps(self.tree) < self.n_nodes - n_groups
        return np.where(drawn, together / np.where(drawn, both, 1), never)

    def distances(self, n_groups: int) -> NDArray[np.float64]:
        """One minus the consensus, ties in the order of the tree of all nodes, ``(pair,)``."""
        ties = merge_steps(self.tree) / self.n_nodes
        return 1.0 - self.consensus(n_groups) + TIE * ties


def draw_resamples(
    n_nodes: int, *, n_resamples: int, share: float, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Nodes of each resample, drawn without replacement, sorted, ``(resample, node)``.

    Examples
    --------
    >>> draw_resamples(4, n_resamples=2, share=0.5, rng=np.random.default_rng(0)).shape
    (2, 2)
    """
    n_drawn = min(max(round(share * n_nodes), 2), n_nodes)
    order = np.argsort(rng.random((n_resamples, n_nodes)), axis=1)
    return np.sort(order[:, :n_drawn], axis=1)


def resample_trees(
    points: FloatArray,
    draws: IntArray,
    *,
    max_groups: int,
    method: LinkageMethod = "average",
    weights: FloatArray | None = None,
) -> Resamples:
    """Count for each pair of nodes in how many resamples they stay together.

    Each resample is clustered once; one tree tells of every number of groups.

    Parameters
    ----------
    points
        Node profiles, ``(node, marker)``.
    draws
        Nodes of each resample, ``(resample, drawn)``.
    max_groups
        Largest number of groups to count.
    method, weights
        As in :func:`nimbus.cluster.linkage.linkage_tree`.
    """
    n_nodes, n_drawn = len(points), draws.shape[1]
    n_pairs = n_nodes * (n_nodes - 1) // 2
    highest = np.zeros((max_groups + 1, n_pairs), dtype=np.min_scalar_type(len(draws)))
    rows, columns = np.triu_indices(n_drawn, k=1)
    for drawn in draws:
        own = None if weights is None else weights[drawn]
        tree = linkage_tree(points[drawn], method=method, weights=own)
        # the largest number of groups at which the pair is still together
        groups = np.minimum(n_drawn - 1 - merge_steps(tree), max_groups)
        left, right = drawn[rows], drawn[columns]
        pair = left * (2 * n_nodes - left - 1) // 2 + right - left - 1
        highest[groups, pair] += 1
    counts = np.flip(np.cumsum(np.flip(highest, 0), axis=0, dtype=highest.dtype), 0)
    return Resamples(counts, linkage_tree(points, method=method, weights=weights))
