"""Noise-robust training: settings, and the judge that has a word on labels.

A network learns what most labels agree on before it learns single wrong ones by heart. So, after
a first part of the training that is noise-naive, a judge has a word, by one of two rules.
``"bootstrap"`` (`bootstrap.py`): all cells count; what they are to score lies between their label
and the judge's score. ``"select"`` (`selection.py`): cells whose loss is unusually large are left
out. What either rule brings stands in docs/design/noise_robust.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

import torch
from torch import Tensor, nn

from nimbus._check import listed, require_several
from nimbus.core.shards import Source

from .loss import cell_losses, cell_means
from .ranges import require_within
from .samples import Batch

RULES = ("bootstrap", "select")
JUDGES = ("network", "average")


@dataclass(frozen=True, slots=True)
class RobustSettings:
    """Settings of the noise-robust stage.

    Parameters
    ----------
    rule
        ``"select"`` leaves cells out; ``"bootstrap"`` keeps all of them and aims between label
        and judge (`bootstrap.py`).
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
    TypeError
        For `trusted_datasets` that are one text.

    Examples
    --------
    >>> RobustSettings(rule="select", after_step=500, trusted_datasets=("gold*",)).quantile
    0.85
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
        require_several("trusted_datasets", self.trusted_datasets)
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
        require_within(self, 0, 0.5, "contradicted")
        remembered = 1 / (1 - self.decay)
        if not 1 <= self.min_cells < remembered:
            raise ValueError(
                f"min_cells must be from 1 to what decay={self.decay!r} remembers "
                f"({remembered:.0f} cells), not {self.min_cells!r}"
            )


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
