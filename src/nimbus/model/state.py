"""Checks of weights before they are used."""

from __future__ import annotations

import hashlib
import math
from pathlib import Path
from typing import TypeAlias

import torch
from torch import Tensor

from nimbus._check import listed

from .unet import UNet

State: TypeAlias = dict[str, Tensor]

COUNTER = "num_batches_tracked"
"""Batch-norm counter: training alone reads it, so checkpoints may lack it."""


class CheckpointError(ValueError):
    """A weights file that was refused, and why.

    Examples
    --------
    >>> import tempfile
    >>> from nimbus.model import load_checkpoint
    >>> path = Path(tempfile.mkdtemp()) / "lesion.pt"
    >>> torch.save({"contracting_layers.0.weight": torch.zeros(3)}, path)
    >>> load_checkpoint(path)
    Traceback (most recent call last):
    nimbus.model.state.CheckpointError: ...
    """


def sha256_of(path: Path) -> str:
    """Hash of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_hash(found: str, wanted: str, *, where: str) -> None:
    """Raise :class:`CheckpointError` unless the hashes are equal."""
    if found != wanted.lower():
        raise CheckpointError(
            f"{where}: sha256 is {found}, expected {wanted.lower()}. The file is damaged or not "
            "the one that was meant; remove it and get it again."
        )


def require_state(state: State, net: UNet, *, where: str) -> None:
    """Raise :class:`CheckpointError` unless `state` has exactly the finite weights of `net`."""
    every = net.state_dict()
    wanted = {name: t.shape for name, t in every.items() if COUNTER not in name}
    given = {name: t for name, t in state.items() if COUNTER not in name or name not in every}
    if missing := sorted(set(wanted) - set(given)):
        raise CheckpointError(f"{where}: missing keys {listed(missing)}")
    if extra := sorted(set(given) - set(wanted)):
        raise CheckpointError(f"{where}: unknown keys {listed(extra)}")
    for name, tensor in given.items():
        if tensor.shape != wanted[name]:
            raise CheckpointError(
                f"{where}: {name} has shape {tuple(tensor.shape)}, expected {tuple(wanted[name])}"
            )
        if not tensor.is_floating_point():
            raise CheckpointError(f"{where}: {name} is {tensor.dtype}, expected floating point")
        if not math.isfinite(tensor.sum(dtype=torch.float64).item()):  # NaN and infinity stay
            raise CheckpointError(f"{where}: {name} holds values that are not finite")
