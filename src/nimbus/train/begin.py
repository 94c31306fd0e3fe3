"""What a training begins with: network, groups of parameters, a checkpoint to go on from."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from nimbus.model.card import architecture
from nimbus.model.unet import UNet

from .augment import AugmentSettings
from .checkpoint import TrainingState, load_state, plain_values
from .settings import FitSettings


def fresh_network(settings: FitSettings, device: torch.device) -> UNet:
    """An untrained network; the global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        net = UNet(**architecture(settings))
    net.to(device=device)
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def train_mode(net: nn.Module, *, freeze_batch_norm: bool) -> None:
    """Bring `net` into training mode; frozen batch norms keep using the statistics they have."""
    net.train()
    if freeze_batch_norm:
        for module in net.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()


def parameter_groups(net: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Parameters with weight decay (kernels) and without (biases, batch norms)."""
    kernels = [p for p in net.parameters() if p.ndim > 1]
    others = [p for p in net.parameters() if p.ndim <= 1]
    return [
        {"params": kernels, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]


def generator_at(step: int, seed: int) -> np.random.Generator:
    """Source of the augmentation's chance at a step."""
    return np.random.default_rng([seed, step, 1])


def require_finite(logits: torch.Tensor, *, step: int) -> None:
    """Raise ``FloatingPointError`` where a network has diverged."""
    if not bool(torch.isfinite(logits).all()):
        raise FloatingPointError(
            f"at step {step} the network gives values that are not finite; take a smaller "
            "learning_rate, or precision 'float32' if it was 'float16'"
        )


def plain(settings: FitSettings, augment: AugmentSettings) -> dict[str, Any]:
    """All settings as plain values, as a checkpoint holds them."""
    own = plain_values(dataclasses.asdict(settings))
    return {**own, "augment": plain_values(dataclasses.asdict(augment))}


def state_to_resume(path: Path, now: dict[str, Any], *, resume: bool) -> TrainingState | None:
    """The checkpoint at `path`, or None where there is none.

    Raises
    ------
    FileExistsError
        If there is one and `resume` is False.
    ValueError
        If it was made with other settings.
    """
    if not path.exists():
        return None
    if not resume:
        raise FileExistsError(
            f"{str(path)!r} exists; give resume=True to go on from it, or another folder"
        )
    state = load_state(path)
    other = {k: (v, now.get(k)) for k, v in state.settings.items() if now.get(k) != v}
    if other:
        differences = ", ".join(
            f"{k}: {was!r} there, {new!r} now" for k, (was, new) in other.items()
        )
        raise ValueError(f"{str(path)!r} was made with other settings ({differences})")
    return state
