"""The training loop: top to bottom, one file, no hooks."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from nimbus._progress import tell
from nimbus.core.shards import open_shards
from nimbus.metrics.positivity import auroc
from nimbus.model.device import feature_order
from nimbus.model.memory import memory_told
from nimbus.model.unet import UNet

from .augment import AugmentSettings, augmented, draw_change
from .average import averaged, decay_at
from .begin import (
    generator_at,
    recipe,
    require_finite,
    require_tile_size,
    state_to_resume,
)
from .bootstrap import bootstrapped
from .checkpoint import save_state
from .learner import Learner, new_learner
from .log import Line, open_log
from .loss import cell_losses
from .measure import score_cells
from .prefetch import prefetched
from .samples import Batch, TileSampler, split
from .selection import selected, without
from .settings import FitSettings, learning_rate_at, training_dtype
from .tally import Tally
from .teacher import taught
from .world import World, joined, require_shares, share, summed

CHECKPOINT = "checkpoint.pt"


def fit(  # noqa: PLR0913, PLR0915 - the public signature; one loop, in one place
    shards: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    settings: FitSettings | None = None,
    augment: AugmentSettings | None = None,
    start: UNet | None = None,
    teacher: UNet | Sequence[UNet] | None = None,
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
    teacher
        Network, of any size, that has a word on what cells are to score, as ``settings.taught``
        says; of several, the mean of what they say. None: labels alone.
    shares
        Part of the samples that is drawn from each folder; None: all samples are drawn equally
        often.
    resume
        Go on from the checkpoint in `out`. It gives the weights that an unbroken training would (on
        a GPU, where the order of sums differs from run to run, one of those that it might); all
        but `out`, `stop_after`, `device`, `n_ahead` and where the tiles lie must be as before.
    stop_after
        Stop, with a checkpoint, when this many steps of the whole are done.
    device
        Where to train. Under ``torchrun`` every process takes its share of each batch, and with
        ``"cuda"`` its own GPU. The processes stay together for what comes next; at the end of a
        script of your own call ``torch.distributed.destroy_process_group()``.
    n_ahead
        Batches read ahead.
    show_progress_bar
        Show one.

    Returns
    -------
    The network with the averaged weights, in evaluation mode. `out` holds ``checkpoint.pt`` and
    ``log.csv``, and the folder ``tensorboard`` where TensorBoard is installed.

    Warns
    -----
    UserWarning
        If the checkpoint was made by an older nimbus that did not write down tiles, shares and
        start.

    Raises
    ------
    FileExistsError
        If `out` holds a checkpoint and `resume` is False.
    FloatingPointError
        If the network diverges; the last checkpoint stays.
    MemoryError
        If the device has too little memory for a batch.
    ValueError
        If the checkpoint was made with other settings, tiles, shares or networks, tiles of several
        folders differ in size or do not fit the network, there are none, a trusted data set does
        not exist, there is a teacher without ``settings.taught``, or the other way round, or there
        are more processes than samples in a batch.

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
    teachers = [teacher] if isinstance(teacher, UNet) else list(teacher or ())
    folders = [shards] if isinstance(shards, str | Path) else list(shards)
    opened = [open_shards(folder) for folder in folders]
    train, held_out = split(opened, held_out=wanted.held_out, shares=shares)
    require_tile_size(train.tile_shape, wanted)
    checkpoint = Path(out) / CHECKPOINT
    decides = recipe(wanted, changes, opened, shares=shares, start=start, teachers=teachers)
    first = state_to_resume(checkpoint, decides, resume=resume)
    first_step = first.step if first is not None else 0
    stop = min(wanted.n_steps, stop_after if stop_after is not None else wanted.n_steps)

    world = joined(device)
    require_shares(wanted.batch_size, world)
    learner = new_learner(wanted, world, train.sources, start=start, teachers=teachers, state=first)
    log = open_log(Path(out), first_step=first_step) if world.rank == 0 else None
    saved_at = began = time.monotonic()
    tally = Tally(world)
    steps = range(first_step, stop)
    draw = partial(train.batch, size=wanted.batch_size, seed=wanted.seed)
    bar = tqdm(
        steps,
        initial=first_step,
        total=stop,
        disable=not show_progress_bar or world.rank > 0,
    )
    for step, whole in zip(bar, prefetched(draw, steps, n_ahead=n_ahead), strict=True):
        with memory_told(world.device, wanted.batch_size):
            drawn = whole.to(world.device)
            change = draw_change(len(drawn.planes), changes, generator_at(step, wanted.seed))
            batch = share(augmented(drawn, change), world)
            decided, kept, targets = _goals(learner, batch, drawn, step, wanted, world)
            loss = _learn(learner, kept, targets, step, wanted, world)
        tally.add(loss, decided=decided, kept=kept)

        done = step + 1
        last = done == stop
        if last or done % wanted.log_every == 0:
            means = tally.means()  # in every process: it sums over them
            if log is not None:
                line = Line(
                    step=done,
                    learning_rate=learning_rate_at(step, wanted),
                    **means,
                    held_out_auroc=_quality(learner, held_out, wanted, step=done, last=last),
                    seconds=time.monotonic() - began,
                )
                log.add(line)
                tell("progress", work="training", done=done, total=stop, **asdict(line))
        due = time.monotonic() - saved_at > 60 * wanted.checkpoint_minutes
        if world.rank == 0 and (last or due):
            save_state(checkpoint, learner.state(done, decides))
            saved_at = time.monotonic()

    learner.net.load_state_dict(learner.average)
    return learner.net.eval()


def _goals(
    learner: Learner, batch: Batch, drawn: Batch, step: int, settings: FitSettings, world: World
) -> tuple[Batch, Batch, Tensor | None]:
    """`batch` with its decided cells, with those of them to learn from, and what they are to score.

    None for the last: their labels.
    """
    if settings.taught is not None:
        dtype = training_dtype(settings.precision, world.device)
        batch, targets = taught(learner.teachers, batch, settings.taught, dtype=dtype)
        return batch, batch, targets
    if settings.robust is not None and step >= settings.robust.after_step:
        return batch, *_second_opinion(learner, batch, drawn, settings, world)
    return batch, batch, None


def _second_opinion(
    learner: Learner, batch: Batch, drawn: Batch, settings: FitSettings, world: World
) -> tuple[Batch, Tensor | None]:
    """The cells of `batch` to learn from, and what they are to score; None: their labels.

    The judge sees the samples as they were `drawn`, not augmented.
    """
    robust, judge = settings.robust, learner.judge
    if robust is None:
        return batch, None
    of_average = robust.judge == "average"
    judge.load_state_dict(learner.average if of_average else learner.net.state_dict())
    unchanged = share(drawn, world)
    if robust.rule == "bootstrap":
        return batch, bootstrapped(judge, unchanged, learner.trusted, robust)
    kept, learner.history = selected(
        judge,
        unchanged,
        learner.history,
        learner.trusted,
        robust,
        total=partial(summed, world=world),
    )
    return without(batch, kept), None


def _learn(
    learner: Learner,
    batch: Batch,
    targets: Tensor | None,
    step: int,
    settings: FitSettings,
    world: World,
) -> Tensor:
    """Change the weights, and their average, by one step; the loss, a scalar."""
    device, dtype = world.device.type, training_dtype(settings.precision, world.device)
    planes = torch.stack([batch.planes, batch.masks], dim=1)
    planes = planes.contiguous(memory_format=feature_order(world.device))
    with torch.autocast(device, dtype=dtype, enabled=dtype != torch.float32):
        logits = learner.spread_net(planes)
    require_finite(logits, step=step)
    losses = cell_losses(
        logits.float(),
        batch.masks,
        batch.ids,
        batch.labels,
        targets=targets,
        border_weight=settings.border_weight,
    )
    losses = losses[torch.isfinite(losses)]
    n_cells = summed(torch.tensor(float(len(losses)), device=world.device), world)
    # Gradients are averaged over the processes: this makes them those of the mean of all cells.
    loss = losses.sum() * world.size / n_cells.clamp(min=1)

    optimizer, scaler = learner.optimizer, learner.scaler
    for group in optimizer.param_groups:
        group["lr"] = learning_rate_at(step, settings)
    optimizer.zero_grad(set_to_none=True)
    scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
    scaler.unscale_(optimizer)
    nn.utils.clip_grad_norm_(learner.net.parameters(), settings.clip)
    scaler.step(optimizer)
    scaler.update()
    decay = decay_at(step, settings.average_decay)
    learner.average = averaged(learner.average, learner.net, decay=decay)
    return loss.detach()


def _quality(
    learner: Learner, held_out: TileSampler, settings: FitSettings, *, step: int, last: bool
) -> float | None:
    """AUROC of the averaged weights on held-out tiles; None at steps that do not measure."""
    if len(held_out) == 0 or not (last or step % settings.measure_every == 0):
        return None
    learner.judge.load_state_dict(learner.average)
    every = max(1, len(held_out) // 256)
    device = next(learner.judge.parameters()).device
    cells = score_cells(learner.judge, held_out, every=every, device=str(device))
    return auroc(cells.score, cells.truth)
