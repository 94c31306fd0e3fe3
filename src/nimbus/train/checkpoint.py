"""The state of a training on disk: all that resumes it, nothing that runs code when read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

FORMAT_VERSION = 1


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
    """

    step: int
    settings: Mapping[str, Any]
    weights: Mapping[str, Tensor]
    average: Mapping[str, Tensor]
    optimizer: Mapping[str, Any]


def save_state(path: Path, state: TrainingState) -> None:
    """Write a checkpoint; a kill half-way leaves the old one."""
    content = {
        "format_version": FORMAT_VERSION,
        "step": state.step,
        "settings": dict(state.settings),
        "weights": dict(state.weights),
        "average": dict(state.average),
        "optimizer": dict(state.optimizer),
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
    if version != FORMAT_VERSION:
        raise ValueError(
            f"checkpoint {str(path)!r} has format version {version!r}; this nimbus resumes "
            f"version {FORMAT_VERSION} alone. Start a new training in another folder."
        )
    return TrainingState(**content)
