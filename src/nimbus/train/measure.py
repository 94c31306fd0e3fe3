"""How good a network is on held-out tiles."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nimbus.model.card import Aggregate

from .loss import UNDECIDED, cell_means
from .samples import Batch, TileSampler

BATCH = 16


@dataclass(frozen=True, slots=True)
class CellScores:
    """Decided cells of some tiles.

    Parameters
    ----------
    score, logit
        Mean over the interior of each cell, or over all of its pixels, ``(cell,)``; cells without
        interior are left out.
    truth
        1 or 0.
    """

    score: NDArray[np.float64]
    logit: NDArray[np.float64]
    truth: NDArray[np.int64]


@torch.no_grad()
def score_cells(
    net: nn.Module,
    sampler: TileSampler,
    *,
    every: int = 1,
    aggregate: Aggregate = "interior",
    device: str = "cpu",
) -> CellScores:
    """Scores of the decided cells of every `every`-th sample; the network is left as it was.

    Parameters
    ----------
    net
        Gives logits.
    sampler
        Its samples are taken in order.
    every
        Every which sample is used.
    aggregate
        Pixels that a score averages: the ``"interior"``, or the whole ``"cell"``.
    device
        Where the network is.
    """
    modes = {module: module.training for module in net.modules()}  # some may be frozen
    net.eval()
    batches = sampler.in_order(size=BATCH, every=every)
    parts = [_scored(net, batch.to(device), aggregate) for batch in batches]
    for module, was_training in modes.items():
        module.training = was_training
    return CellScores(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def _scored(net: nn.Module, batch: Batch, aggregate: Aggregate) -> tuple[NDArray[np.float64], ...]:
    """Summed on the processor: Apple's GPUs have no float64."""
    logits = net(torch.stack([batch.planes, batch.masks], dim=1))[:, 0]
    logit, batch = logits.cpu().double(), batch.to("cpu")
    n_columns = batch.labels.shape[1]
    weights = batch.masks.double()
    if aggregate == "cell":
        weights = torch.ones_like(weights)
    score, mean_logit = (
        cell_means(values, weights, batch.ids, n_columns) for values in (logit.sigmoid(), logit)
    )
    kept = (batch.labels != UNDECIDED) & torch.isfinite(score)
    return tuple(v[kept].numpy() for v in (score, mean_logit, batch.labels))
