"""The rule ``"bootstrap"``: cells are to score between their label and the judge's word."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .robust import RobustSettings, judged
from .samples import Batch
from .targets import between


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
    score = doubted(judged(judge, batch).score, batch, trusted)
    return between(batch.labels, score, label_weight=settings.label_weight)


def doubted(score: Tensor, batch: Batch, trusted: Tensor) -> Tensor:
    """The judge's scores; NaN for cells of trusted sources.

    Examples
    --------
    >>> none = torch.zeros(2, 1, 1)
    >>> batch = Batch(none, none, none.long(), torch.tensor([[1], [0]]), torch.tensor([0, 1]))
    >>> doubted(torch.tensor([[0.5], [1.0]]), batch, torch.tensor([False, True])).tolist()
    [[0.5], [nan]]
    """
    return score.masked_fill(trusted[batch.source][:, None], torch.nan)
