"""The training loop: top to bottom, one file, no hooks."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from torch import nn
from tqdm import tqdm

from nimbus._progress import tell
from nimbus.core.shards import open_shards
from nimbus.metrics.positivity import auroc
from nimbus.model.unet import UNet

from .augment import AugmentSettings, augmented, draw_change
from .average import averaged, decay_at, weights_of
from .begin import (
    fresh_network,
    generator_at,
    parameter_groups,
    plain,
    require_finite,
    state_to_resume,
    train_mode,
)
from .bootstrap import bootstrapped
from .checkpoint import TrainingState, save_state
from .log import Line, open_log
from .loss import UNDECIDED, cell_losses
from .measure import score_cells
from .prefetch import prefetched
from .robust import trusted_sources
from .samples import TileSampler, split
from .selection import LossHistory, no_history, selected, without
from .settings import FitSettings, learning_rate_at, training_dtype
from .world import joined, share, spread, summed

CHECKPOINT = "checkpoint.pt"


def fit(  # noqa: C901, PLR0913, PLR0915 - the loop reads top to bottom, in one place
    shards: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    settings: FitSettings | None = None,
    augment: AugmentSettings | None = None,
    start: UNet | None = None,
    shares: Sequence[float] | None = None,
    resume: bool = False,
    stop_after: int | None = None,
    device: str = "cpu",
    n_ahead: int = 2,
    show_progress_bar: bool = True,
) -> UNet:
    """Train a network on shards of tiles.

    Parameters
    ----------
    shards
        Folder of :func:`nimbus.datasets.write_training_tiles`, or several.
    out
        Folder for the checkpoint and the log.
    settings, augment
        None: the defaults.
    start
        Network to begin with, of the size that the settings say; None: an untrained one.
    shares
        Part of the samples that is drawn from each folder; None: all samples are drawn equally
        often.
    resume
        Go on from the checkpoint in `out`. It gives the weights that an unbroken training would.
    stop_after
        Stop, with a checkpoint, when this many steps of the whole are done.
    device
        Where to train. Under ``torchrun`` every process takes its share of each batch, and with
        ``"cuda"`` its own GPU.
    n_ahead
        Batches read ahead.
    show_progress_bar
        Show one.

    Returns
    -------
    The network with the averaged weights, in evaluation mode. `out` holds ``checkpoint.pt`` and
    ``log.csv``, and the folder ``tensorboard`` where TensorBoard is installed.

    Raises
    ------
    FileExistsError
        If `out` holds a checkpoint and `resume` is False.
    FloatingPointError
        If the network diverges; the last checkpoint stays.
    ValueError
        If the checkpoint was made with other settings, or a trusted data set does not exist.

    Examples
    --------
    >>> import tempfile
    >>> from nimbus.datasets import TileSettings, write_training_tiles
    >>> shards, out = tempfile.mkdtemp(), tempfile.mkdtemp()
    >>> few = TileSettings(n_fields=2, n_channels=2, tile_size=16, fields_per_shard=1)
    >>> write_training_tiles(shards, settings=few, show_progress_bar=False)
    >>> tiny = FitSettings(depth=2, root_filters=2, n_steps=2, batch_size=2)
    >>> net = fit(shards, out, settings=tiny, show_progress_bar=False)
    >>> net.training
    False
    """
    wanted = settings if settings is not None else FitSettings()
    changes = augment if augment is not None else AugmentSettings()
    robust, every_setting = wanted.robust, plain(wanted, changes)
    folders = [shards] if isinstance(shards, str | Path) else list(shards)
    opened = [open_shards(folder) for folder in folders]
    train, held_out = split(opened, held_out=wanted.held_out, shares=shares)
    checkpoint = Path(out) / CHECKPOINT
    first = state_to_resume(checkpoint, every_setting, resume=resume)
    first_step = first.step if first is not None else 0
    stop = min(wanted.n_steps, stop_after if stop_after is not None else wanted.n_steps)

    world = joined(device)
    dtype = training_dtype(wanted.precision, world.device)
    net, judge = (fresh_network(wanted, world.device) for _ in range(2))
    judge.eval()
    if start is not None:
        net.load_state_dict(start.state_dict())
    spread_net = spread(net, world)
    optimizer = torch.optim.AdamW(
        parameter_groups(net, wanted.weight_decay), lr=wanted.learning_rate
    )
    scaler = torch.amp.GradScaler(world.device.type, enabled=dtype == torch.float16)
    average = weights_of(net)
    history = no_history(max(len(train.sources), 1)).to(world.device)
    if robust is not None:
        trusted = trusted_sources(train.sources, robust).to(world.device)
    if first is not None:
        net.load_state_dict(first.weights)
        optimizer.load_state_dict(dict(first.optimizer))
        scaler.load_state_dict(dict(first.scaler))
        average = {k: v.to(world.device) for k, v in first.average.items()}
        history = history if first.losses is None else LossHistory(first.losses.to(world.device))
    train_mode(spread_net, freeze_batch_norm=wanted.freeze_batch_norm)

    log = open_log(Path(out), first_step=first_step) if world.rank == 0 else None
    saved_at = began = time.monotonic()
    sums = torch.zeros(4, device=world.device)  # losses, steps, kept cells, decided cells
    draw = partial(train.batch, size=wanted.batch_size, seed=wanted.seed)
    steps = range(first_step, stop)
    batches = prefetched(draw, steps, n_ahead=n_ahead)
    bar = tqdm(
        steps,
        initial=first_step,
        total=stop,
        disable=not show_progress_bar or world.rank > 0,
    )
    for step, whole in zip(bar, batches, strict=True):
        rate = learning_rate_at(step, wanted)
        for group in optimizer.param_groups:
            group["lr"] = rate
        drawn = whole.to(world.device)
        change = draw_change(len(drawn.planes), changes, generator_at(step, wanted.seed))
        batch = share(augmented(drawn, change), world)
        decided = int((batch.labels != UNDECIDED).sum())

        targets = None
        if robust is not None and step >= robust.after_step:
            judge.load_state_dict(average if robust.judge == "average" else net.state_dict())
            plain_batch = share(drawn, world)
            if robust.rule == "bootstrap":
                targets = bootstrapped(judge, plain_batch, trusted, robust)
            else:
                total = partial(summed, world=world)
                kept, history = selected(judge, plain_batch, history, trusted, robust, total=total)
                batch = without(batch, kept)

        planes = torch.stack([batch.planes, batch.masks], dim=1)
        planes = planes.contiguous(memory_format=torch.channels_last)
        with torch.autocast(world.device.type, dtype=dtype, enabled=dtype != torch.float32):
            logits = spread_net(planes)
        require_finite(logits, step=step)
        losses = cell_losses(logits.float(), batch.masks, batch.ids, batch.labels, targets=targets)
        losses = losses[torch.isfinite(losses)]
        n_cells = summed(torch.tensor(float(len(losses)), device=world.device), world)
        # Gradients are averaged over the processes: this makes them those of the mean of all cells.
        loss = losses.sum() * world.size / n_cells.clamp(min=1)
        optimizer.zero_grad(set_to_none=True)
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        scaler.unscale_(optimizer)
        nn.utils.clip_grad_norm_(net.parameters(), wanted.clip)
        scaler.step(optimizer)
        scaler.update()
        average = averaged(average, net, decay=decay_at(step, wanted.average_decay))

        n_kept = int((batch.labels != UNDECIDED).sum())
        sums += torch.tensor([0.0, 1.0, n_kept, decided], device=world.device)
        sums[0] += loss.detach()
        done = step + 1
        last = done == stop
        if last or done % wanted.log_every == 0:
            losses_sum, n_steps, n_kept_cells, n_decided = summed(sums, world).tolist()
            sums.zero_()
            if log is not None:
                quality = _quality(average, judge, held_out, wanted, step=done, last=last)
                line = Line(
                    step=done,
                    learning_rate=rate,
                    loss=losses_sum / n_steps,
                    kept=n_kept_cells / max(n_decided, 1),
                    held_out_auroc=quality,
                    seconds=time.monotonic() - began,
                )
                log.add(line)
                tell("progress", work="training", done=done, total=stop, **asdict(line))
        due = time.monotonic() - saved_at > 60 * wanted.checkpoint_minutes
        if world.rank == 0 and (last or due):
            state = TrainingState(
                step=done,
                settings=every_setting,
                weights=weights_of(net),
                average=average,
                optimizer=optimizer.state_dict(),
                losses=history.mass,
                scaler=scaler.state_dict(),
            )
            save_state(checkpoint, state)
            saved_at = time.monotonic()

    net.load_state_dict(average)
    return net.eval()


def _quality(
    average: Mapping[str, torch.Tensor],
    judge: UNet,
    held_out: TileSampler,
    settings: FitSettings,
    *,
    step: int,
    last: bool,
) -> float | None:
    """AUROC of the averaged weights on held-out tiles; None at steps that do not measure."""
    if len(held_out) == 0 or not (last or step % settings.measure_every == 0):
        return None
    judge.load_state_dict(average)
    every = max(1, len(held_out) // 256)
    device = next(judge.parameters()).device
    cells = score_cells(judge, held_out, every=every, device=str(device))
    return auroc(cells.score, cells.truth)
