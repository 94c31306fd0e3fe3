"""The state of a training on disk: all that resumes it, nothing that runs code when read."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nimbus.model.pickled import read_pickled

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


def plain_values(content: Any) -> Any:
    """`content` with numbers and arrays of NumPy as those of Python: a checkpoint holds no others.

    Examples
    --------
    >>> plain_values({"learning_rate": np.float64(0.5), "noise": (0.0, np.float32(2))})
    {'learning_rate': 0.5, 'noise': (0.0, 2.0)}
    """
    if isinstance(content, np.generic | np.ndarray):
        return content.tolist()
    if isinstance(content, Mapping):
        return {key: plain_values(value) for key, value in content.items()}
    if isinstance(content, list | tuple):
        return type(content)(plain_values(value) for value in content)
    return content


def save_state(path: Path, state: TrainingState) -> None:
    """Write a checkpoint; a kill half-way leaves the old one."""
    content = {
        "format_version": FORMAT_VERSION,
        "step": state.step,
        "settings": state.settings,
        "weights": state.weights,
        "average": state.average,
        "optimizer": state.optimizer,
        "losses": state.losses,
        "scaler": state.scaler,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    torch.save(plain_values(content), part)
    os.replace(part, path)


def load_state(path: Path) -> TrainingState:
    """Read a checkpoint.

    Raises
    ------
    FileNotFoundError
        No such file.
    ValueError
        A damaged file, or a checkpoint of another format version.
    """
    content = read_pickled(path, advice="start a new training in another folder")
    version = content.pop("format_version", None) if isinstance(content, dict) else None
    if version not in _READABLE:
        raise ValueError(
            f"checkpoint {str(path)!r} has format version {version!r}; this nimbus resumes "
            f"{' and '.join(map(str, _READABLE))}. Start a new training in another folder."
        )
    return TrainingState(**content)
