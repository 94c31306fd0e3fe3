"""Mutual information between a covariate of cells and the errors made on them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nimbus._types import BoolArray, FloatArray, IntArray

from .confusion import ratio

_ROUNDING = 1e-12
"""Two informations that differ by less are one."""

_NULL_PART = 0.95
"""Part of the permutations that stay below `Information.null_high`."""


@dataclass(frozen=True, slots=True)
class Information:
    """What a covariate tells of errors, beside what chance would.

    Parameters
    ----------
    value
        Mutual information in nats; at most the entropy of the errors.
    null_mean, null_high
        Mean and 95th percentile of the same after permutations; above 0, because bins are finite.
    p_value
        Part of the permutations that reach `value`, the true order counted with them.
    explained
        ``(value - null_mean)`` as part of the entropy of the errors, at least 0.
    """

    value: float
    null_mean: float
    null_high: float
    p_value: float
    explained: float


def quantile_bins(values: FloatArray, n_bins: int) -> NDArray[np.int64]:
    """Number of the bin of each value, from 0; bins hold as many values each as ties allow.

    Equal values share the lowest bin that they reach.

    Examples
    --------
    >>> quantile_bins(np.array([5.0, 1.0, 1.0, 1.0, 9.0, 7.0]), 2)
    array([1, 0, 0, 0, 1, 1])
    """
    if not values.size:
        return np.zeros(0, dtype=np.int64)
    edges = np.quantile(values, np.arange(1, n_bins) / n_bins)
    return np.searchsorted(edges, values, side="left")


def information(
    bins: IntArray,
    wrong: BoolArray,
    *,
    group: IntArray | None = None,
    n_permutations: int,
    rng: np.random.Generator,
) -> Information:
    """Mutual information of a binned covariate with errors, and what chance gives.

    Parameters
    ----------
    bins
        Bin of each cell, shape ``(cells,)``, from 0.
    wrong
        Whether it was called wrong.
    group
        Number of a group of cells that share the bin, from 0. Whole groups are permuted then,
        because their cells are no independent proof. ``None`` permutes cells.
    n_permutations
        How many.
    rng
        Draws them.

    Examples
    --------
    >>> bins, wrong = np.repeat([0, 1], 50), np.repeat([False, True], 50)
    >>> found = information(bins, wrong, n_permutations=99, rng=np.random.default_rng(0))
    >>> round(found.value, 3), found.p_value, round(found.explained, 1)
    (0.693, 0.01, 1.0)
    """
    n_bins = int(bins.max(initial=0)) + 1
    cells = np.bincount(bins, minlength=n_bins)
    errors = np.bincount(bins[wrong], minlength=n_bins)
    value = float(information_of_counts(errors, cells))
    if group is None:
        drawn = rng.multivariate_hypergeometric(
            cells, int(errors.sum()), size=n_permutations, method="marginals"
        )
        null = information_of_counts(drawn, cells)
    else:
        null = information_of_counts(*_permuted_groups(bins, wrong, group, n_permutations, rng))
    mean = float(null.mean()) if null.size else float("nan")
    entropy = _entropy(errors.sum() / max(cells.sum(), 1))
    excess = value - mean if value > mean + _ROUNDING else 0.0
    return Information(
        value=value,
        null_mean=mean,
        null_high=float(np.quantile(null, _NULL_PART)) if null.size else float("nan"),
        p_value=float((1 + (null >= value - _ROUNDING).sum()) / (1 + null.size)),
        explained=float(excess / entropy) if entropy else float("nan"),
    )


def information_of_counts(
    errors: IntArray | FloatArray, cells: IntArray | FloatArray
) -> NDArray[np.float64]:
    """Mutual information in nats of bins and errors.

    Parameters
    ----------
    errors, cells
        Wrong cells and all cells of each bin, shape ``(..., bins)``.

    Examples
    --------
    >>> information_of_counts(np.array([0, 2]), np.array([2, 2])).round(3)
    np.float64(0.693)
    """
    n = np.sum(cells, axis=-1)
    conditional = (_entropy(ratio(errors, cells)) * cells).sum(axis=-1)
    own = _entropy(ratio(np.sum(errors, axis=-1), n))
    value: NDArray[np.float64] = np.maximum(own - np.nan_to_num(ratio(conditional, n)), 0.0)
    return value


def _permuted_groups(
    bins: IntArray,
    wrong: BoolArray,
    group: IntArray,
    n_permutations: int,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Wrong and all cells of each bin where each group takes the bin of another."""
    _, first, own = np.unique(group, return_index=True, return_inverse=True)
    bin_of_group = bins[first]
    n_bins = int(bins.max(initial=0)) + 1
    sizes = np.stack([np.bincount(own[wrong], minlength=first.size), np.bincount(own)])
    counts = np.zeros((2, n_permutations, n_bins))
    for draw in range(n_permutations):
        shuffled = rng.permutation(bin_of_group)
        for kind in (0, 1):
            counts[kind, draw] = np.bincount(shuffled, sizes[kind], minlength=n_bins)
    return counts[0], counts[1]


def _entropy(part: FloatArray) -> NDArray[np.float64]:
    """Entropy in nats of a choice with this probability; 0 where it is NaN."""
    known = np.nan_to_num(np.asarray(part, dtype=np.float64))
    inside = np.where((known > 0) & (known < 1), known, 0.5)
    value = -(inside * np.log(inside) + (1 - inside) * np.log1p(-inside))
    return np.where((known > 0) & (known < 1), value, 0.0)
