"""The loss of cells: every decided cell counts once, whatever its size; all else counts nothing."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

UNDECIDED = -1

BORDER_WEIGHT = 0.3
"""Weight of a pixel on a cell's border (mask plane 0), relative to one of its interior."""


def cell_loss(
    logits: Tensor,
    masks: Tensor,
    ids: Tensor,
    labels: Tensor,
    *,
    border_weight: float = BORDER_WEIGHT,
) -> Tensor:
    """Mean of :func:`cell_losses` over the decided cells of a batch, a scalar; 0 without any.

    Background and undecided cells have no part in it and get no gradient.

    Examples
    --------
    >>> ids = torch.tensor([[[1, 1, 2, 0]]])
    >>> loss = cell_loss(torch.zeros(1, 1, 1, 4), torch.ones(1, 1, 4), ids, torch.tensor([[1, -1]]))
    >>> round(float(loss), 4)
    0.6931
    """
    losses = cell_losses(logits, masks, ids, labels, border_weight=border_weight)
    counted = torch.isfinite(losses)
    return losses[counted].sum() / max(int(counted.sum()), 1)


def cell_losses(
    logits: Tensor,
    masks: Tensor,
    ids: Tensor,
    labels: Tensor,
    *,
    targets: Tensor | None = None,
    border_weight: float = BORDER_WEIGHT,
) -> Tensor:
    """Binary cross-entropy of each cell, ``(n, cell)``; NaN for undecided and absent cells.

    For each cell it is the mean of two: of its pixels' own cross-entropies, and the cross-entropy
    of its mean probability, which is what the score of a cell will be.

    Parameters
    ----------
    logits
        Output of the network, ``(n, 1, y, x)``.
    masks
        Mask planes, ``(n, y, x)``: 1 in the interior of a cell.
    ids
        Cell of each pixel, ``(n, y, x)``; 0 is background, ``k`` is column ``k - 1`` of `labels`.
    labels
        1 positive, 0 negative, -1 undecided, ``(n, cell)``.
    targets
        Probabilities that decided cells are to have instead of their labels, ``(n, cell)``; None:
        the labels.
    border_weight
        Weight of the pixels of a cell outside its interior.

    Examples
    --------
    >>> ids = torch.tensor([[[1, 1, 2, 0]]])
    >>> ones, labels = torch.ones(1, 1, 4), torch.tensor([[1, -1]])
    >>> cell_losses(torch.zeros(1, 1, 1, 4), ones, ids, labels)
    tensor([[0.6931,    nan]])
    """
    n, n_columns = labels.shape
    offset = torch.arange(n, device=ids.device)[:, None, None] * (n_columns + 1)
    padded = F.pad(labels, (1, 0), value=UNDECIDED).reshape(-1)
    where = (ids.long() + offset).reshape(-1)
    kept = padded[where] != UNDECIDED
    where = where[kept]
    goals = padded if targets is None else F.pad(targets, (1, 0)).reshape(-1)
    goals = goals.to(logits.dtype)
    goal = goals[where]
    logit = logits.reshape(-1)[kept]
    inside = masks.reshape(-1)[kept].to(logits.dtype)
    weight = border_weight + (1 - border_weight) * inside
    per_pixel = F.binary_cross_entropy_with_logits(logit, goal, reduction="none")
    total = _summed(weight, where, padded.numel())
    there = total > 0
    mean_loss = _summed(weight * per_pixel, where, padded.numel())[there] / total[there]
    mean_score = _summed(weight * logit.sigmoid(), where, padded.numel())[there] / total[there]
    of_score = F.binary_cross_entropy(
        mean_score.clamp(1e-5, 1 - 1e-5), goals[there], reduction="none"
    )
    out = torch.full(total.shape, torch.nan, dtype=logits.dtype, device=logits.device)
    out = out.masked_scatter(there, (mean_loss + of_score) / 2)
    return out.reshape(n, n_columns + 1)[:, 1:]


def cell_means(values: Tensor, weights: Tensor, ids: Tensor, n_columns: int) -> Tensor:
    """Weighted mean of `values` over each cell, ``(n, cell)``; NaN for cells without weight.

    Parameters
    ----------
    values, weights, ids
        Each ``(n, y, x)``.
    n_columns
        Number of cells of a sample.
    """
    n = len(ids)
    offset = torch.arange(n, device=ids.device)[:, None, None] * (n_columns + 1)
    where = (ids.long() + offset).reshape(-1)
    total = _summed(weights.reshape(-1), where, n * (n_columns + 1))
    summed = _summed((values * weights).reshape(-1), where, n * (n_columns + 1))
    return (summed / total).reshape(n, n_columns + 1)[:, 1:]


def _summed(values: Tensor, where: Tensor, size: int) -> Tensor:
    return torch.zeros(size, dtype=values.dtype, device=values.device).index_add(0, where, values)
