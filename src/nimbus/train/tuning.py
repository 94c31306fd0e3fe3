"""The loop of a fine-tuning: small steps, judged on held-out cells, the best average kept."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from nimbus._progress import with_progress
from nimbus.metrics.positivity import auroc, average_precision, f1_at
from nimbus.model.card import Aggregate
from nimbus.model.load import LoadedModel
from nimbus.model.memory import memory_told
from nimbus.model.unet import UNet

from .augment import AugmentSettings, augmented, draw_change
from .average import Weights, averaged, decay_at, weights_of
from .begin import generator_at, parameter_groups, require_finite, train_mode
from .holdout import Parts
from .loss import cell_loss
from .measure import CellScores, score_cells
from .ranges import require_above, require_at_least, require_within
from .samples import TileSampler


@dataclass(frozen=True, slots=True)
class FinetuneSettings:
    """Settings of a fine-tuning; small steps, so that little is forgotten.

    Parameters
    ----------
    n_steps
        At most so many.
    batch_size
        Tiles of a step.
    learning_rate
        Constant after the warm-up.
    warmup_steps
        Steps over which the rate rises from 0.
    weight_decay
        Of AdamW; not on biases and batch norms.
    clip
        Largest norm of the gradient.
    average_decay
        Of the moving average of the weights, per step; the average is what is judged and kept.
    judged
        Share of the fields that is held out; of the tiles, where one field is labelled; of the
        cells, where all are in one tile.
    measure_every
        Steps between two measurements on the held-out cells.
    patience
        Stop after so many measurements without a better one.
    seed
        Of the choice of held-out cells, the batches and the augmentation.

    Raises
    ------
    ValueError
        For a value outside its range.

    Examples
    --------
    >>> settings = FinetuneSettings(n_steps=1000, patience=8)
    >>> settings.measure_every * settings.patience  # steps without gain after which it stops
    160
    """

    n_steps: int = 400
    batch_size: int = 8
    learning_rate: float = 2e-4
    warmup_steps: int = 20
    weight_decay: float = 1e-4
    clip: float = 1.0
    average_decay: float = 0.95
    judged: float = 0.25
    measure_every: int = 20
    patience: int = 5
    seed: int = 0

    def __post_init__(self) -> None:
        require_at_least(self, 1, "n_steps", "batch_size", "measure_every", "patience")
        require_at_least(self, 0, "learning_rate", "warmup_steps", "weight_decay", "seed")
        require_above(self, 0, "clip")
        require_within(self, 0, 1, "average_decay", "judged")


@dataclass(frozen=True, slots=True)
class Best:
    """The best weights so far."""

    step: int
    weights: Weights
    before: Mapping[str, float]
    after: Mapping[str, float]


def learned(
    parent: LoadedModel,
    parts: Parts,
    settings: FinetuneSettings,
    changes: AugmentSettings,
    device: str,
    show_progress_bar: bool,
) -> Best:
    """The loop; of all measured averages the one with the smallest cross-entropy."""
    net, judge = (copy.deepcopy(parent.net).to(device) for _ in range(2))
    net.requires_grad_(True)
    optimizer = torch.optim.AdamW(parameter_groups(net, settings.weight_decay))
    average = weights_of(net)
    before = _measured(judge, average, parts.judge, parent.card.aggregate, device)
    best = Best(0, average, before, before)
    train_mode(net, freeze_batch_norm=True)
    steps = with_progress(
        range(settings.n_steps),
        total=settings.n_steps,
        description="fine-tuning",
        unit="steps",
        show=show_progress_bar,
    )
    for step in steps:
        for group in optimizer.param_groups:
            group["lr"] = _rate_at(step, settings)
        with memory_told(device, settings.batch_size):
            batch = parts.learn.batch(step, size=settings.batch_size, seed=settings.seed).to(device)
            change = draw_change(len(batch.planes), changes, generator_at(step, settings.seed))
            batch = augmented(batch, change)
            logits = net(torch.stack([batch.planes, batch.masks], dim=1))
            require_finite(logits, step=step)
            loss = cell_loss(logits, batch.masks, batch.ids, batch.labels)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(net.parameters(), settings.clip)
        optimizer.step()
        average = averaged(average, net, decay=decay_at(step, settings.average_decay))

        done = step + 1
        if done % settings.measure_every and done != settings.n_steps:
            continue
        now = _measured(judge, average, parts.judge, parent.card.aggregate, device)
        if now["cross_entropy"] < best.after["cross_entropy"]:
            best = Best(done, average, before, now)
        elif done - best.step >= settings.patience * settings.measure_every:
            break
    return replace(best, weights={k: v.cpu() for k, v in best.weights.items()})


def _rate_at(step: int, settings: FinetuneSettings) -> float:
    """Rate of a step: up along a line, then constant."""
    return settings.learning_rate * min(1.0, (step + 1) / max(settings.warmup_steps, 1))


def _measured(
    judge: UNet, weights: Weights, sampler: TileSampler, aggregate: Aggregate, device: str
) -> dict[str, float]:
    judge.load_state_dict(weights)
    cells = score_cells(judge, sampler, aggregate=aggregate, device=device)
    return {
        "cross_entropy": _cross_entropy(cells),
        "auroc": auroc(cells.score, cells.truth),
        "average_precision": average_precision(cells.score, cells.truth),
        "f1_at_0.5": f1_at(cells.score, cells.truth),
        "cells": float(len(cells.truth)),
    }


def _cross_entropy(cells: CellScores) -> float:
    score = np.clip(cells.score, 1e-5, 1 - 1e-5)
    right = np.where(cells.truth == 1, score, 1 - score)
    return float(-np.log(right).mean()) if len(right) else float("nan")
