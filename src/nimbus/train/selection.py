"""The rule ``"select"``: a cell is left out whose loss is unusually large.

That is above a quantile of the losses that cells of its data set, its marker and its label have
had lately::

    losses of one source and label
      |#######
      |  ###########                            kept: below the quantile,
      |     ##################                  or predicted as labelled, with confidence
      |          ####  #####  ##  ##   #  # #
      +------------------------|-------------- loss
                            quantile

It is the rule of the noise-robust stage of Rumberger, Greenwald et al. (Nature Methods 2025),
after ProMix (Xiao et al., 2023). Here the moving average is one of the whole distribution, by
cells, not of each batch's quantile: a batch with a single cell of a class counts as one cell, and
a source that comes up rarely forgets nothing in between.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from .loss import UNDECIDED
from .robust import Judgement, RobustSettings, judged
from .samples import Batch

N_BINS = 256
LOWEST, HIGHEST = 1e-5, 16.0
"""Range of the histograms of losses; their bins are even on the logarithm, 6% wide."""


@dataclass(frozen=True, slots=True)
class LossHistory:
    """Distribution of the losses of each source and label, older cells counting less.

    Parameters
    ----------
    mass
        Weight of the cells in each bin of the loss, float32 ``(source, label, bin)``.
    """

    mass: Tensor

    def to(self, device: torch.device | str) -> LossHistory:
        """The history on `device`."""
        return replace(self, mass=self.mass.to(device))


def no_history(n_sources: int) -> LossHistory:
    """The history before the first cell."""
    return LossHistory(torch.zeros(n_sources, 2, N_BINS))


def extended(history: LossHistory, counts: Tensor, *, decay: float) -> LossHistory:
    """The history after a batch of cells, given by its :func:`counts_of`."""
    n_cells = counts.sum(dim=-1, keepdim=True)
    return LossHistory(history.mass * decay**n_cells + counts)


def counts_of(losses: Tensor, labels: Tensor, source: Tensor, n_sources: int) -> Tensor:
    """Number of cells in each bin, float32 ``(source, label, bin)``.

    Parameters
    ----------
    losses
        Of each cell, ``(n, cell)``; cells whose loss is not finite are not counted.
    labels
        1 or 0 where the loss is finite, ``(n, cell)``.
    source
        Of each sample, ``(n,)``.
    n_sources
        Number of sources.
    """
    counted = torch.isfinite(losses)
    group = source[:, None] * 2 + labels
    place = (losses.clamp(LOWEST, HIGHEST) / LOWEST).log() / _bin_width()
    at = group * N_BINS + place.nan_to_num().long().clamp(max=N_BINS - 1)
    counts = torch.bincount(at[counted], minlength=n_sources * 2 * N_BINS)
    return counts.reshape(n_sources, 2, N_BINS).float()


def thresholds(history: LossHistory, settings: RobustSettings) -> Tensor:
    """Largest loss that is kept, ``(source, label)``; infinite where too few cells were seen.

    Examples
    --------
    >>> losses, labels = torch.linspace(0, 1, 101)[None], torch.zeros(1, 101, dtype=torch.long)
    >>> counts = counts_of(losses, labels, torch.tensor([0]), 1)
    >>> history = extended(no_history(1), counts, decay=0.998)
    >>> [round(float(t), 2) for t in thresholds(history, RobustSettings())[0]]
    [0.85, inf]
    """
    reached = history.mass.cumsum(dim=-1)
    total = reached[..., -1]
    goal = settings.quantile * total
    index = (reached < goal[..., None]).sum(dim=-1).clamp(max=N_BINS - 1)[..., None]
    here = history.mass.gather(-1, index)[..., 0]
    before = reached.gather(-1, index)[..., 0] - here
    part = ((goal - before) / here.clamp(min=1e-12)).clamp(0, 1)
    loss = LOWEST * torch.exp((index[..., 0] + part) * _bin_width())
    return loss.where(total >= settings.min_cells, torch.inf)


def kept_cells(
    judgement: Judgement, batch: Batch, limits: Tensor, trusted: Tensor, settings: RobustSettings
) -> Tensor:
    """Which cells the network learns from, bool ``(n, cell)``; undecided ones are not among them.

    Parameters
    ----------
    judgement
        Of the batch.
    batch
        Its labels and sources are read.
    limits
        What :func:`thresholds` gave.
    trusted
        Of each source: whether its labels are true, bool ``(source,)``.
    settings
        Its `confident` and `contradicted` are read.
    """
    low, high = settings.confident
    positive = batch.labels == 1
    limit = limits[batch.source].gather(1, positive.long())
    agreed = torch.where(positive, judgement.score > high, judgement.score < low)
    given = torch.where(positive, judgement.score, 1 - judgement.score)
    contradicted = (given < settings.contradicted) & torch.isfinite(limit)
    usual = (judgement.loss <= limit) & ~contradicted
    kept = usual | agreed | trusted[batch.source][:, None]
    return kept & torch.isfinite(judgement.loss)


def selected(
    judge: nn.Module,
    batch: Batch,
    history: LossHistory,
    trusted: Tensor,
    settings: RobustSettings,
    *,
    total: Callable[[Tensor], Tensor],
) -> tuple[Tensor, LossHistory]:
    """Which cells of `batch` are kept, and the history that its losses have entered.

    Parameters
    ----------
    judge
        In evaluation mode.
    batch
        As it is on disk, not augmented.
    history
        Before this batch.
    trusted
        What :func:`trusted_sources` gave.
    settings
        Of the selection.
    total
        Sum over all processes that share a batch.
    """
    judgement = judged(judge, batch)
    counts = counts_of(judgement.loss, batch.labels, batch.source, len(history.mass))
    history = extended(history, total(counts), decay=settings.decay)
    limits = thresholds(history, settings)
    return kept_cells(judgement, batch, limits, trusted, settings), history


def without(batch: Batch, kept: Tensor) -> Batch:
    """`batch` with the cells that are not `kept` undecided."""
    return replace(batch, labels=batch.labels.where(kept, UNDECIDED))


def _bin_width() -> float:
    return math.log(HIGHEST / LOWEST) / N_BINS
