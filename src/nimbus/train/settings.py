"""Settings of a training, and the learning rate that follows from them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from nimbus.model.device import Precision, choose_dtype

from .loss import BORDER_WEIGHT
from .ranges import require_above, require_at_least, require_within
from .robust import RobustSettings
from .teacher import TeacherSettings


@dataclass(frozen=True, slots=True)
class FitSettings:
    """Settings of a training; the command line is made from them.

    Parameters
    ----------
    depth, root_filters, patch, exponent
        Architecture of the network, as in :class:`nimbus.model.UNet`.
    n_steps
        Steps of the whole training; the learning rate falls over it.
    batch_size
        Samples of a step, of all processes together.
    learning_rate
        Largest rate, after the warm-up.
    warmup_steps
        Steps over which the rate rises from 0.
    weight_decay
        Of AdamW; not on biases and batch norms.
    clip
        Largest norm of the gradient.
    average_decay
        Of the moving average of the weights, per step.
    held_out
        Shards, from the end, that are never learned from.
    log_every, measure_every
        Steps between two lines of the log, and between two measurements on held-out tiles.
    checkpoint_minutes
        Time between two checkpoints.
    seed
        Of the first weights, the batches and the augmentation.
    robust
        Noise-robust training; None: all decided cells count as labelled (noise-naive).
    taught
        How a teacher's scores and labels go together; None: labels alone.
    precision
        Of the forward pass. ``"auto"``: bfloat16 on GPUs that have it, float32 elsewhere; with
        float16 gradients are scaled.
    border_weight
        Weight in the loss of the pixels at a cell's border, relative to those of its interior.
    freeze_batch_norm
        Keep the batch norms' statistics as they are in the network that training begins with.

    Raises
    ------
    ValueError
        For a value outside its range, or both `robust` and `taught`.

    Examples
    --------
    >>> FitSettings(n_steps=100, taught=TeacherSettings(label_weight=0.5)).batch_size
    8
    """

    depth: int = 4
    root_filters: int = 16
    patch: int = 1
    exponent: float = 1.0
    n_steps: int = 2400
    batch_size: int = 8
    learning_rate: float = 2e-3
    warmup_steps: int = 100
    weight_decay: float = 1e-3
    clip: float = 1.0
    average_decay: float = 0.995
    held_out: int = 1
    log_every: int = 10
    measure_every: int = 400
    checkpoint_minutes: float = 3.0
    seed: int = 0
    robust: RobustSettings | None = None
    taught: TeacherSettings | None = None
    precision: Precision = "auto"
    border_weight: float = BORDER_WEIGHT
    freeze_batch_norm: bool = False

    def __post_init__(self) -> None:
        require_at_least(self, 2, "depth")
        require_at_least(
            self, 1, "root_filters", "patch", "n_steps", "batch_size", "log_every", "measure_every"
        )
        require_at_least(
            self, 0, "learning_rate", "warmup_steps", "weight_decay", "held_out",
            "checkpoint_minutes", "seed", "border_weight",
        )  # fmt: skip
        require_above(self, 0, "exponent", "clip")
        require_within(self, 0, 1, "average_decay")
        if self.robust is not None and self.taught is not None:
            raise ValueError(
                "a training is noise-robust or has a teacher, not both; leave out 'robust' or "
                "'taught'"
            )


def learning_rate_at(step: int, settings: FitSettings) -> float:
    """Rate of a step: up along a line, then down along a cosine to 0.

    Examples
    --------
    >>> settings = FitSettings(n_steps=110, warmup_steps=10, learning_rate=1.0)
    >>> [round(learning_rate_at(step, settings), 3) for step in (0, 9, 60, 109)]
    [0.1, 1.0, 0.5, 0.0]
    """
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    part = (step - settings.warmup_steps) / max(settings.n_steps - settings.warmup_steps, 1)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * part))


def training_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """Number format of the forward pass; weights and sums are float32 in any case."""
    if precision == "auto" and device.type != "cuda":
        return torch.float32
    return choose_dtype(precision, device)
