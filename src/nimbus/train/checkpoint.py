"""The state of a training on disk: all that resumes it, nothing that runs code when read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

FORMAT_VERSION = 2
"""Version 1 had neither a history of losses nor a scaler; it is read as without them."""

_READABLE = (1, FORMAT_VERSION)


@dataclass(frozen=True, slots=True)
class TrainingState:
    """A training between two steps.

    Parameters
    ----------
    step
        Steps that are done. Chance needs no other state: each step draws from the seed and its
        own number.
    settings
        Settings of the training, as plain values.
    weights, average
        Parameters and buffers of the network, and their moving average.
    optimizer
        State of the optimizer.
    losses
        The history of losses that cells are selected by; None: not selected so far.
    scaler
        State of the gradient's scaling in float16.
    """

    step: int
    settings: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    average: Mapping[str, Tensor]
    optimizer: Mapping[str, Any]
    losses: Tensor | None = None
    scaler: Mapping[str, Any] = field(default_factory=dict)


def save_state(path: Path, state: TrainingState) -> None:
    """Write a checkpoint; a kill half-way leaves the old one."""
    content = {
        "format_version": FORMAT_VERSION,
        "step": state.step,
        "settings": dict(state.settings),
        "weights": dict(state.weights),
        "average": dict(state.average),
        "optimizer": dict(state.optimizer),
        "losses": state.losses,
        "scaler": dict(state.scaler),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    torch.save(content, part)
    os.replace(part, path)


def load_state(path: Path) -> TrainingState:
    """Read a checkpoint.

    Raises
    ------
    ValueError
        For a checkpoint of another format version.
    """
    content = torch.load(path, map_location="cpu", weights_only=True)
    version = content.pop("format_version", None)
    if version not in _READABLE:
        raise ValueError(
            f"checkpoint {str(path)!r} has format version {version!r}; this nimbus resumes "
            f"{' and '.join(map(str, _READABLE))}. Start a new training in another folder."
        )
    return TrainingState(**content)
