"""Noise-robust training: which cells of a batch the network learns from, and what.

A network learns what most labels agree on before it learns single wrong ones by heart. So, after
a first part of the training that is noise-naive, a judge has a word, by one of two rules.

``"bootstrap"``: all cells count; what they are to score lies between their label and the judge's
score (:func:`bootstrapped`).

``"select"``: a cell is left out when its loss is above a quantile of the losses that cells of its
data set, its marker and its label have had lately::

    losses of one source and label
      |#######
      |  ###########                            kept: below the quantile,
      |     ##################                  or predicted as labelled, with confidence
      |          ####  #####  ##  ##   #  # #
      +------------------------|-------------- loss
                            quantile

That rule is the one of the noise-robust stage of Rumberger, Greenwald et al. (Nature Methods
2025), after ProMix (Xiao et al., 2023). Here the moving average is one of the whole distribution,
by cells, not of each batch's quantile: a batch with a single cell of a class counts as one cell,
and a source that comes up rarely forgets nothing in between. What either rule brings stands in
docs/design/noise_robust.md.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Literal

import torch
from torch import Tensor, nn

from nimbus._check import listed
from nimbus.core.shards import Source

from .loss import UNDECIDED, cell_losses, cell_means
from .samples import Batch

RULES = ("bootstrap", "select")
JUDGES = ("network", "average")
N_BINS = 256
LOWEST, HIGHEST = 1e-5, 16.0
"""Range of the histograms of losses; their bins are even on the logarithm, 6% wide."""


@dataclass(frozen=True, slots=True)
class RobustSettings:
    """Settings of the noise-robust stage.

    Parameters
    ----------
    rule
        ``"select"`` leaves cells out; ``"bootstrap"`` keeps all of them and aims between label
        and judge (:func:`bootstrapped`).
    after_step
        Steps without either, while the network learns what most labels agree on.
    label_weight
        Weight of the label in the target of ``"bootstrap"``; the judge's score has the rest.
    quantile
        Cells whose loss is above this quantile of their source and label are left out. Paper: 0.85.
    decay
        Weight that a cell keeps in the average of the losses for each further cell of its source
        and label: 0.998 remembers about 500 cells.
    min_cells
        No cell of a source and label is left out before this many have been seen.
    confident
        Scores below the first of a negative cell, and above the second of a positive one, keep the
        cell whatever its loss. Paper: 0.1 and 0.9.
    contradicted
        A cell whose label has less than this probability is left out even where its loss is
        below the quantile: of a rare class more than the quantile's share can be wrong (of
        evenly turned labels, half of the positive ones). 0, as in the paper, leaves that out.
    judge
        Whose losses count: the ``"network"``'s own, or those of the moving ``"average"`` of its
        weights, which learns single wrong labels later.
    trusted_datasets
        Data sets (or patterns of names: ``"simulated*"``) whose labels are known to be true: none
        of their cells is left out.

    Raises
    ------
    ValueError
        For a value outside its range.
    """

    rule: Literal["select", "bootstrap"] = "bootstrap"
    after_step: int = 1200
    label_weight: float = 0.2
    quantile: float = 0.85
    decay: float = 0.998
    min_cells: int = 50
    confident: tuple[float, float] = (0.1, 0.9)
    contradicted: float = 0.0
    judge: Literal["network", "average"] = "average"
    trusted_datasets: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name, choices in (("rule", RULES), ("judge", JUDGES)):
            if getattr(self, name) not in choices:
                raise ValueError(f"{name} must be {listed(choices)}, not {getattr(self, name)!r}")
        for name in ("quantile", "decay"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must be between 0 and 1, not {getattr(self, name)!r}")
        self._check_parts()

    def _check_parts(self) -> None:
        if not 0 < self.label_weight <= 1:
            raise ValueError(f"label_weight must be above 0, at most 1, not {self.label_weight!r}")
        low, high = self.confident
        if not 0 <= low <= high <= 1:
            raise ValueError(
                f"confident must be two rising scores in [0, 1], not {self.confident!r}"
            )
        if not 0 <= self.contradicted <= 0.5:
            raise ValueError(f"contradicted must be from 0 to 0.5, not {self.contradicted!r}")
        remembered = 1 / (1 - self.decay)
        if not 1 <= self.min_cells < remembered:
            raise ValueError(
                f"min_cells must be from 1 to what decay={self.decay!r} remembers "
                f"({remembered:.0f} cells), not {self.min_cells!r}"
            )


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


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a network says of the cells of a batch, ``(n, cell)``.

    Parameters
    ----------
    loss
        Loss against the label; NaN for undecided cells.
    score
        Mean probability over the interior; NaN for cells without one.
    """

    loss: Tensor
    score: Tensor


@torch.no_grad()
def judged(net: nn.Module, batch: Batch) -> Judgement:
    """Losses and scores of the cells of a batch as it is; `net` is in evaluation mode."""
    logits = net(torch.stack([batch.planes, batch.masks], dim=1)).float()
    loss = cell_losses(logits, batch.masks, batch.ids, batch.labels)
    score = cell_means(logits[:, 0].sigmoid(), batch.masks, batch.ids, batch.labels.shape[1])
    return Judgement(loss, score)


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


def trusted_sources(sources: Sequence[Source], settings: RobustSettings) -> Tensor:
    """Whether each source is of a trusted data set, bool ``(source,)``.

    Raises
    ------
    ValueError
        For a trusted data set that no source is of.
    """
    names = [source.dataset for source in sources]
    for pattern in settings.trusted_datasets:
        if not any(fnmatchcase(name, pattern) for name in names):
            raise ValueError(
                f"trusted data set {pattern!r} is not among the data sets of the tiles: "
                f"{listed(dict.fromkeys(names))}"
            )
    return torch.tensor(
        [any(fnmatchcase(n, pattern) for pattern in settings.trusted_datasets) for n in names]
    )


def _bin_width() -> float:
    return math.log(HIGHEST / LOWEST) / N_BINS
