"""Moving average of a network's weights."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

Weights = dict[str, Tensor]


def weights_of(net: nn.Module) -> Weights:
    """A copy of all parameters and buffers."""
    return {name: value.detach().clone() for name, value in net.state_dict().items()}


@torch.no_grad()
def averaged(average: Mapping[str, Tensor], net: nn.Module, *, decay: float) -> Weights:
    """``decay * average + (1 - decay) * weights``; counters are taken as they are.

    Examples
    --------
    >>> net = nn.Linear(1, 1, bias=False)
    >>> _ = nn.init.constant_(net.weight, 3.0)
    >>> averaged({"weight": torch.tensor([[1.0]])}, net, decay=0.75)
    {'weight': tensor([[1.5000]])}
    """
    return {
        name: torch.lerp(value.float(), average[name].float(), decay).to(value.dtype)
        if value.is_floating_point()
        else value.clone()
        for name, value in net.state_dict().items()
    }


def decay_at(step: int, decay: float) -> float:
    """Decay at a step: small at first, so that the start of the training is forgotten."""
    return min(decay, (1 + step) / (10 + step))
