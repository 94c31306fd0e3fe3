"""How good a network is on held-out tiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from .loss import UNDECIDED, cell_means
from .samples import Batch, TileSampler

BATCH = 16


@dataclass(frozen=True, slots=True)
class CellScores:
    """Decided cells of some tiles.

    Parameters
    ----------
    score, logit
        Mean over the interior of each cell, ``(cell,)``; cells without interior are left out.
    truth
        1 or 0.
    """

    score: NDArray[np.float64]
    logit: NDArray[np.float64]
    truth: NDArray[np.int64]


@torch.no_grad()
def score_cells(
    net: nn.Module, sampler: TileSampler, *, every: int = 1, device: str = "cpu"
) -> CellScores:
    """Scores of the decided cells of every `every`-th sample; the network is left as it was."""
    was_training = net.training
    net.eval()
    parts = [_scored(net, b.to(device)) for b in sampler.in_order(size=BATCH, every=every)]
    net.train(was_training)
    return CellScores(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def _scored(net: nn.Module, batch: Batch) -> tuple[NDArray[np.float64], ...]:
    logit = net(torch.stack([batch.planes, batch.masks], dim=1))[:, 0].double()
    n_columns = batch.labels.shape[1]
    score, mean_logit = (
        cell_means(values, batch.masks.double(), batch.ids, n_columns)
        for values in (logit.sigmoid(), logit)
    )
    kept = (batch.labels != UNDECIDED) & torch.isfinite(score)
    return tuple(v[kept].cpu().numpy() for v in (score, mean_logit, batch.labels))


def auroc(score: NDArray[np.floating], truth: NDArray[np.integer]) -> float:
    """Area under the receiver operating curve, ties counted half; NaN for one class alone.

    Examples
    --------
    >>> auroc(np.array([0.1, 0.4, 0.4, 0.9]), np.array([0, 0, 1, 1]))
    0.875
    """
    n_positive = int(truth.sum())
    n_negative = len(truth) - n_positive
    if n_positive == 0 or n_negative == 0:
        return float("nan")
    _, inverse, count = np.unique(score, return_inverse=True, return_counts=True)
    rank = (np.cumsum(count) - (count - 1) / 2)[inverse]
    return float(
        (rank[truth == 1].sum() - n_positive * (n_positive + 1) / 2) / n_positive / n_negative
    )


def best_f1(score: NDArray[np.floating], truth: NDArray[np.integer]) -> tuple[float, float]:
    """Largest F1 over all thresholds and the threshold where it is reached.

    Examples
    --------
    >>> best_f1(np.array([0.1, 0.4, 0.6, 0.9]), np.array([0, 1, 0, 1]))
    (0.8, 0.4)
    """
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(truth[order])
    f1 = 2 * hits / (np.arange(1, len(order) + 1) + max(int(truth.sum()), 1))
    best = int(np.argmax(f1))
    return float(f1[best]), float(score[order][best])
