"""What cells are to score: their label and the word of a network together."""

from __future__ import annotations

import torch
from torch import Tensor

from .loss import UNDECIDED


def between(labels: Tensor, score: Tensor, *, label_weight: float) -> Tensor:
    """``w * label + (1 - w) * score`` of each cell, with `label_weight` w.

    Parameters
    ----------
    labels
        1, 0, or -1 for cells without a label, ``(n, cell)``.
    score
        What the network says of them; NaN for cells on which it is not asked.
    label_weight
        From 0 to 1.

    Returns
    -------
    Targets ``(n, cell)``: the score alone for cells without a label, the label alone where there
    is no score; -1 where there is neither.

    Examples
    --------
    >>> labels = torch.tensor([[1, 0, -1, -1]])
    >>> score = torch.tensor([[0.5, torch.nan, 0.75, torch.nan]])
    >>> between(labels, score, label_weight=0.5)
    tensor([[ 0.7500,  0.0000,  0.7500, -1.0000]])
    """
    label = labels.to(score.dtype)
    both = label_weight * label + (1 - label_weight) * score
    return torch.where(torch.isfinite(score), torch.where(labels != UNDECIDED, both, score), label)
