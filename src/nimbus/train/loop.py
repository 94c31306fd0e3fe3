"""The training loop: top to bottom, one file, no hooks."""

from __future__ import annotations

import csv
import dataclasses
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from nimbus.core.shards import open_shards
from nimbus.metrics.positivity import auroc
from nimbus.model.unet import UNet

from .augment import AugmentSettings, changed, draw_change
from .average import averaged, decay_at, weights_of
from .checkpoint import TrainingState, load_state, save_state
from .loss import cell_loss
from .measure import score_cells
from .samples import TileSampler, split

CHECKPOINT = "checkpoint.pt"
LOG = "log.csv"
_LOG_COLUMNS = ("step", "learning_rate", "loss", "held_out_auroc", "seconds")


@dataclass(frozen=True, slots=True)
class FitSettings:
    """Settings of a training; the command line is made from them.

    Parameters
    ----------
    depth, root_filters
        Size of the network.
    n_steps
        Steps of the whole training; the learning rate falls to 0 over it.
    batch_size
        Samples of a step.
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
    """

    depth: int = 4
    root_filters: int = 16
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


def fit(  # noqa: PLR0913, PLR0915 - the loop reads top to bottom, in one place
    shards: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    settings: FitSettings | None = None,
    augment: AugmentSettings | None = None,
    start: UNet | None = None,
    resume: bool = False,
    stop_after: int | None = None,
    device: str = "cpu",
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
    resume
        Go on from the checkpoint in `out`. It gives the weights that an unbroken training would.
    stop_after
        Stop, with a checkpoint, when this many steps of the whole are done.
    device
        Where to train.
    show_progress_bar
        Show one.

    Returns
    -------
    The network with the averaged weights, in evaluation mode.

    Raises
    ------
    FileExistsError
        If `out` holds a checkpoint and `resume` is False.
    ValueError
        If the checkpoint was made with other settings.

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
    checkpoint = Path(out) / CHECKPOINT
    folders = [shards] if isinstance(shards, str | Path) else list(shards)
    train, held_out = split([open_shards(f) for f in folders], held_out=wanted.held_out)

    net = _fresh(wanted, device).train()
    if start is not None:
        net.load_state_dict(start.state_dict())
    optimizer = torch.optim.AdamW(_groups(net, wanted.weight_decay), lr=wanted.learning_rate)
    average = weights_of(net)
    first = _restore(checkpoint, net, optimizer, wanted, resume=resume)
    if first is not None:
        average = {k: v.to(device) for k, v in first.average.items()}
    first_step = first.step if first is not None else 0
    stop = min(wanted.n_steps, stop_after if stop_after is not None else wanted.n_steps)

    saved_at = began = time.monotonic()
    losses: list[float] = []
    for step in tqdm(
        range(first_step, stop), initial=first_step, total=stop, disable=not show_progress_bar
    ):
        rate = learning_rate_at(step, wanted)
        for group in optimizer.param_groups:
            group["lr"] = rate
        batch = train.batch(step, size=wanted.batch_size, seed=wanted.seed).to(device)
        change = draw_change(len(batch.planes), changes, generator_at(step, wanted.seed))
        planes = torch.stack([changed(batch.planes, change), batch.masks], dim=1)
        planes = planes.contiguous(memory_format=torch.channels_last)

        loss = cell_loss(net(planes), batch.masks, batch.ids, batch.labels)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(net.parameters(), wanted.clip)
        optimizer.step()
        average = averaged(average, net, decay=decay_at(step, wanted.average_decay))

        losses.append(float(loss.detach()))
        done = step + 1
        last = done == stop
        if last or done % wanted.log_every == 0:
            quality = _quality(average, held_out, wanted, step=done, last=last, device=device)
            seconds = time.monotonic() - began
            _log(Path(out) / LOG, (done, rate, sum(losses) / len(losses), quality, seconds))
            losses = []
        if last or time.monotonic() - saved_at > 60 * wanted.checkpoint_minutes:
            save_state(checkpoint, _state(done, net, average, optimizer, wanted))
            saved_at = time.monotonic()

    net.load_state_dict(average)
    return net.eval()


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


def generator_at(step: int, seed: int) -> np.random.Generator:
    """Source of the augmentation's chance at a step."""
    return np.random.default_rng([seed, step, 1])


def _fresh(settings: FitSettings, device: str) -> UNet:
    """An untrained network; the global random state is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        net = UNet(depth=settings.depth, root_filters=settings.root_filters)
    net.to(device=device)
    return net.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


def _groups(net: nn.Module, weight_decay: float) -> list[dict[str, object]]:
    """Parameters with weight decay (kernels) and without (biases, batch norms)."""
    kernels = [p for p in net.parameters() if p.ndim > 1]
    others = [p for p in net.parameters() if p.ndim <= 1]
    return [
        {"params": kernels, "weight_decay": weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]


def _restore(
    path: Path,
    net: UNet,
    optimizer: torch.optim.Optimizer,
    settings: FitSettings,
    *,
    resume: bool,
) -> TrainingState | None:
    """Bring network and optimizer to the checkpoint's state, if there is one to resume."""
    if not path.exists():
        return None
    if not resume:
        raise FileExistsError(
            f"{str(path)!r} exists; give resume=True to go on from it, or another folder"
        )
    state = load_state(path)
    now = dataclasses.asdict(settings)
    other = {k: (v, now.get(k)) for k, v in state.settings.items() if now.get(k) != v}
    if other:
        differences = ", ".join(
            f"{k}: {was!r} there, {new!r} now" for k, (was, new) in other.items()
        )
        raise ValueError(f"{str(path)!r} was made with other settings ({differences})")
    net.load_state_dict(state.weights)
    optimizer.load_state_dict(dict(state.optimizer))
    return state


def _state(
    step: int,
    net: UNet,
    average: Mapping[str, torch.Tensor],
    optimizer: torch.optim.Optimizer,
    settings: FitSettings,
) -> TrainingState:
    return TrainingState(
        step=step,
        settings=dataclasses.asdict(settings),
        weights=weights_of(net),
        average=average,
        optimizer=optimizer.state_dict(),
    )


def _quality(
    average: Mapping[str, torch.Tensor],
    held_out: TileSampler,
    settings: FitSettings,
    *,
    step: int,
    last: bool,
    device: str,
) -> float | None:
    """AUROC of the averaged weights on held-out tiles; None at steps that do not measure."""
    if len(held_out) == 0 or not (last or step % settings.measure_every == 0):
        return None
    judged = _fresh(settings, device)
    judged.load_state_dict(average)
    every = max(1, len(held_out) // 256)
    cells = score_cells(judged, held_out, every=every, device=device)
    return auroc(cells.score, cells.truth)


def _log(path: Path, values: tuple[int, float, float, float | None, float]) -> None:
    """Add a line to the log, with its header where the file is new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        if is_new:
            writer.writerow(_LOG_COLUMNS)
        step, rate, loss, quality, seconds = values
        shown = "" if quality is None else f"{quality:.5f}"
        writer.writerow([step, f"{rate:.3e}", f"{loss:.5f}", shown, f"{seconds:.1f}"])
