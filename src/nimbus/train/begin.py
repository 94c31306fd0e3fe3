"""What a training begins with: network, groups of parameters, a checkpoint to go on from."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from nimbus._check import listed
from nimbus.core.shards import ShardFolder
from nimbus.model.card import ARCHITECTURE, architecture, multiple_of
from nimbus.model.device import feature_order
from nimbus.model.unet import UNet

from .augment import AugmentSettings
from .checkpoint import TrainingState, load_state, plain_values
from .settings import FitSettings
from .teacher import fingerprint


def fresh_network(settings: FitSettings, device: torch.device) -> UNet:
    """An untrained network; the global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(settings.seed))  # torch's own seeds GPUs, too
        net = UNet(**architecture(settings))
    net.to(device=device)
    return net.to(memory_format=feature_order(device))  # type: ignore[call-overload, no-any-return]


def averaged_network(state: TrainingState) -> UNet:
    """The network of a checkpoint, with the averaged weights."""
    made = {name: state.settings[name] for name in ARCHITECTURE if name in state.settings}
    net = fresh_network(FitSettings(**made), torch.device("cpu"))
    net.load_state_dict(dict(state.average))
    return net


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


def require_networks(
    settings: FitSettings, *, start: UNet | None, teachers: Sequence[UNet]
) -> None:
    """Raise ``ValueError`` for networks that do not go with the settings of a training.

    That is a teacher without settings that say how cells are taught, or the other way round; a
    start of another architecture than the settings say.
    """
    if bool(teachers) != (settings.taught is not None):
        raise ValueError(
            "fit needs a teacher and settings.taught, or neither; given is "
            + ("a teacher alone" if teachers else "settings.taught alone")
        )
    if start is not None and architecture(start) != architecture(settings):
        raise ValueError(
            f"the network to start with has {architecture(start)}, the settings say "
            f"{architecture(settings)}"
        )


def require_tile_size(shape: tuple[int, ...], of: object) -> None:
    """Raise ``ValueError`` for tiles that the network of a card or of settings cannot take.

    Examples
    --------
    >>> require_tile_size((48, 48), FitSettings(depth=5))
    >>> require_tile_size((48, 48), FitSettings(depth=6))
    Traceback (most recent call last):
    ValueError: a network of depth 6 and patch 1 takes tiles whose sides are multiples of 32 pixels,
        not 48 x 48; write them again with another tile_size
    """
    multiple, made = multiple_of(of), architecture(of)
    if any(side % multiple for side in shape):
        raise ValueError(
            f"a network of depth {made['depth']} and patch {made['patch']} takes tiles whose sides "
            f"are multiples of {multiple} pixels, not {' x '.join(map(str, shape))}; write them "
            "again with another tile_size"
        )


def recipe(
    settings: FitSettings,
    augment: AugmentSettings,
    folders: Sequence[ShardFolder],
    *,
    shares: Sequence[float] | None,
    start: UNet | None,
    teachers: Sequence[UNet],
) -> dict[str, Any]:
    """All that decides the weights, as plain values; a checkpoint holds it.

    Tiles are known by their content: a folder may move.
    """
    every = {
        **dataclasses.asdict(settings),
        "augment": dataclasses.asdict(augment),
        "tiles": tuple(map(_fingerprint, folders)),
        "shares": None if shares is None else tuple(shares),
        "start": fingerprint([start]) if start is not None else None,
        "teacher": fingerprint(teachers) if teachers else None,
    }
    return {name: plain_values(value) for name, value in every.items()}


def _fingerprint(folder: ShardFolder) -> str:
    """What tells tiles from others: the checksums of all files, and the names of the sources."""
    sources = [dataclasses.asdict(source) for source in folder.sources]
    known = json.dumps([[dict(shard) for shard in folder.shards], sources], sort_keys=True)
    return f"{len(folder)} shards {hashlib.sha256(known.encode()).hexdigest()[:16]}"


def state_to_resume(path: Path, now: dict[str, Any], *, resume: bool) -> TrainingState | None:
    """The checkpoint at `path`, or None where there is none.

    Parameters
    ----------
    path
        Where it may be.
    now
        What :func:`recipe` gave.
    resume
        Go on from it.

    Warns
    -----
    UserWarning
        Where an older nimbus did not write down all that decides the weights.

    Raises
    ------
    FileExistsError
        If there is one and `resume` is False.
    ValueError
        If it was made by another recipe.
    """
    if not path.exists():
        return None
    if not resume:
        raise FileExistsError(
            f"{str(path)!r} exists; give resume=True to go on from it, or another folder"
        )
    state = load_state(path)
    there = state.settings
    other = [name for name in there if name not in now or now[name] != there[name]]
    if other:
        differences = ", ".join(
            f"{k}: {there[k]!r} there, {repr(now[k]) if k in now else 'nothing'} now" for k in other
        )
        raise ValueError(
            f"{str(path)!r} was made with other settings ({differences}); give those, or another "
            "folder for a new training"
        )
    unknown = [name for name, value in now.items() if name not in there and value is not None]
    if unknown:
        warnings.warn(
            f"{str(path)!r} was made by an older nimbus and does not tell of: {listed(unknown)}. "
            "Only if they are as they were will the weights be those of an unbroken training.",
            UserWarning,
            stacklevel=3,
        )
    return state
