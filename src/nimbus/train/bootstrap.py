"""The rule ``"bootstrap"``: cells are to score between their label and the judge's word."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .robust import RobustSettings, judged
from .samples import Batch


def bootstrapped(
    judge: nn.Module, batch: Batch, trusted: Tensor, settings: RobustSettings
) -> Tensor:
    """What the cells of a batch are to score, ``(n, cell)``: between their label and the judge.

    ``w * label + (1 - w) * score`` with `label_weight` w; the label alone for cells of trusted
    sources and for cells without an interior. After Reed et al. (2014, "soft" bootstrapping); that
    the judge is the average of the weights (Tarvainen and Valpola, 2017) is what keeps it from
    learning by heart with the network.

    Parameters
    ----------
    judge
        In evaluation mode.
    batch
        As it is on disk, not augmented.
    trusted
        What :func:`trusted_sources` gave.
    settings
        Its `label_weight` is read.
    """
    return blended(judged(judge, batch).score, batch, trusted, settings.label_weight)


def blended(score: Tensor, batch: Batch, trusted: Tensor, label_weight: float) -> Tensor:
    """Targets of :func:`bootstrapped` from the judge's scores.

    Examples
    --------
    >>> none = torch.zeros(1, 1, 1)
    >>> batch = Batch(none, none, none.long(), torch.tensor([[1, 0]]), torch.tensor([0]))
    >>> blended(torch.tensor([[0.5, 1.0]]), batch, torch.tensor([False]), 0.25)
    tensor([[0.6250, 0.7500]])
    """
    label = batch.labels.float()
    mixed = label_weight * label + (1 - label_weight) * score
    usual = torch.isfinite(score) & ~trusted[batch.source][:, None]
    return mixed.where(usual, label)
