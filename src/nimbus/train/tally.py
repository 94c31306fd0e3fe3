"""What the steps between two lines of the log add up to, over all processes."""

from __future__ import annotations

from typing import TypedDict

import torch
from torch import Tensor

from .loss import UNDECIDED
from .samples import Batch
from .world import World, summed


class Means(TypedDict):
    """Mean loss of a step, and the part of the decided cells that was learned from."""

    loss: float
    kept: float


class Tally:
    """Sums since they were last asked for.

    Parameters
    ----------
    world
        The processes whose sums are one.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._sums = torch.zeros(4, device=world.device)  # losses, steps, kept and decided cells

    def add(self, loss: Tensor, *, decided: Batch, kept: Batch) -> None:
        """Count one step: its loss, and its batch before and after cells were left out."""
        cells = [int((batch.labels != UNDECIDED).sum()) for batch in (kept, decided)]
        self._sums += torch.tensor([0.0, 1.0, *cells], device=self._world.device)
        self._sums[0] += loss

    def means(self) -> Means:
        """Means of what was counted; counting begins anew."""
        losses, n_steps, n_kept, n_decided = summed(self._sums, self._world).tolist()
        self._sums.zero_()
        return Means(loss=losses / n_steps, kept=n_kept / max(n_decided, 1))
