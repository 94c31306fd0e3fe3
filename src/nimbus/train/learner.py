"""What a training changes from step to step, and its way into a checkpoint and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from nimbus.core.shards import Source
from nimbus.model.unet import UNet

from .average import Weights, weights_of
from .begin import fresh_network, parameter_groups, require_networks, train_mode
from .checkpoint import TrainingState
from .robust import trusted_sources
from .selection import LossHistory, no_history
from .settings import FitSettings, training_dtype
from .world import World, spread


@dataclass(slots=True)
class Learner:
    """A network on its way. Only `average` and `history` are given new values by a step.

    Parameters
    ----------
    net
        Holds the weights.
    spread_net
        The same weights for the forward pass of all processes, in training mode.
    judge
        Another network of the size of `net`, in evaluation mode: it takes the weights that are to
        be measured or asked.
    optimizer, scaler
        AdamW, and the scaling of gradients in float16 (else it does nothing).
    average
        Moving average of the weights: what a training gives in the end.
    history
        Losses that cells are selected by.
    trusted
        Of each source: whether its labels are known to be true, bool ``(source,)``.
    teachers
        Trained networks, in evaluation mode.
    """

    net: UNet
    spread_net: nn.Module
    judge: UNet
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    average: Weights
    history: LossHistory
    trusted: Tensor
    teachers: tuple[UNet, ...] = ()

    def state(self, step: int, settings: Mapping[str, Any]) -> TrainingState:
        """All that a checkpoint after `step` steps holds."""
        return TrainingState(
            step=step,
            settings=settings,
            weights=weights_of(self.net),
            average=self.average,
            optimizer=self.optimizer.state_dict(),
            losses=self.history.mass,
            scaler=self.scaler.state_dict(),
        )


def new_learner(
    settings: FitSettings,
    world: World,
    sources: Sequence[Source],
    *,
    start: UNet | None,
    teachers: Sequence[UNet] = (),
    state: TrainingState | None,
) -> Learner:
    """A learner before its first step, or as `state` left it.

    Parameters
    ----------
    settings
        Of the training.
    world
        The processes that train together.
    sources
        Of all samples.
    start
        Network to begin with; None: an untrained one.
    teachers
        Networks that have a word on what cells are to score; they are not changed.
    state
        Checkpoint to go on from; its weights stand above those of `start`.

    Raises
    ------
    ValueError
        A teacher without settings that say how cells are taught, or the other way round; a start
        of another architecture than the settings say.
    """
    require_networks(settings, start=start, teachers=teachers)
    net, judge = (fresh_network(settings, world.device) for _ in range(2))
    if start is not None:
        net.load_state_dict(start.state_dict())
    half = training_dtype(settings.precision, world.device) == torch.float16
    robust = settings.robust
    trusted = torch.zeros(0) if robust is None else trusted_sources(sources, robust)
    learner = Learner(
        net=net,
        spread_net=spread(net, world),
        judge=judge.eval(),
        optimizer=torch.optim.AdamW(
            parameter_groups(net, settings.weight_decay), lr=settings.learning_rate
        ),
        scaler=torch.amp.GradScaler(world.device.type, enabled=half),
        average=weights_of(net),
        history=no_history(max(len(sources), 1)).to(world.device),
        trusted=trusted.to(world.device),
        teachers=tuple(deepcopy(one).to(world.device).eval() for one in teachers),
    )
    if state is not None:
        _go_on(learner, state, world.device)
    train_mode(learner.spread_net, freeze_batch_norm=settings.freeze_batch_norm)
    return learner


def _go_on(learner: Learner, state: TrainingState, device: torch.device) -> None:
    learner.net.load_state_dict(state.weights)
    learner.optimizer.load_state_dict(dict(state.optimizer))
    learner.scaler.load_state_dict(dict(state.scaler))
    learner.average = {name: value.to(device) for name, value in state.average.items()}
    if state.losses is not None:
        learner.history = LossHistory(state.losses.to(device))
