"""Scores as probabilities: slope and intercept of the logit, learned on held-out tiles."""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nimbus.model.card import Aggregate
from nimbus.model.unet import UNet

from .augment import AugmentSettings, augmented, draw_change
from .begin import generator_at
from .loss import UNDECIDED, cell_means
from .measure import BATCH
from .samples import Batch, TileSampler

STEPS = 60


@dataclass(frozen=True, slots=True)
class Calibration:
    """``slope * logit + intercept`` is the calibrated logit of a pixel.

    Parameters
    ----------
    slope
        Above 0; below 1 for a network that is too sure of itself.
    intercept
        Below 0 for one that calls too many cells positive.

    Examples
    --------
    >>> milder = Calibration(slope=0.5, intercept=-0.4)
    >>> logits = torch.tensor([-3.0, 0.0, 3.0])
    >>> torch.sigmoid(logits), torch.sigmoid(milder.slope * logits + milder.intercept)
    (tensor([0.0474, 0.5000, 0.9526]), tensor([0.1301, 0.4013, 0.7503]))
    """

    slope: float
    intercept: float


def calibrate(
    net: UNet,
    sampler: TileSampler,
    *,
    every: int = 1,
    device: str = "cpu",
    augment: AugmentSettings | None = None,
    largest_share: float = 1.0,
    aggregate: Aggregate = "interior",
) -> Calibration:
    """Slope and intercept that make the cells' scores the best probabilities.

    They minimise the binary cross-entropy of each cell's mean probability, which is its score.

    Parameters
    ----------
    net
        In evaluation mode.
    sampler
        Held-out tiles.
    every
        Every which sample is used.
    device
        Where the network is.
    augment
        Change the tiles as in training: real images differ from simulated ones, and a network is
        surer of tiles as they are than it may be of those. None: tiles as they are.
    largest_share
        Samples of which more of the cells are positive are left out: where stains of all cells are
        more frequent than in a user's panel, they make doubtful cells of other channels positive.
    aggregate
        Pixels that a score averages: the ``"interior"``, or the whole ``"cell"``; as in the card
        of the model.

    Returns
    -------
    Slope and intercept, for :func:`folded`.

    Raises
    ------
    ValueError
        Without tiles.

    Examples
    --------
    >>> import tempfile
    >>> from nimbus.core.shards import open_shards, read_shard
    >>> from nimbus.datasets import TileSettings, write_training_tiles
    >>> from nimbus.model import load_model
    >>> folder, few = tempfile.mkdtemp(), TileSettings(n_fields=1, n_channels=8, tile_size=32)
    >>> write_training_tiles(folder, settings=few, show_progress_bar=False)
    >>> held_out = TileSampler([read_shard(open_shards(folder), 0)])
    >>> net = load_model("nimbus-s").net
    >>> too_sure = folded(net, Calibration(slope=3.0, intercept=0.0))
    >>> first, second = calibrate(net, held_out), calibrate(too_sure, held_out)
    >>> round(first.slope / second.slope, 1)  # what was made 3 times as sure is taken back
    3.0
    """
    if len(sampler) == 0:
        raise ValueError("there are no tiles to calibrate on; hold some out")
    batches = (b.to(device) for b in sampler.in_order(size=BATCH, every=every))
    if augment is not None:
        batches = (_changed(b, augment, number) for number, b in enumerate(batches))
    with torch.no_grad():
        pixels = [
            _pixels(net, _without_common(batch, largest_share), aggregate) for batch in batches
        ]
    values = torch.tensor([0.0, 0.0], device=device, requires_grad=True)
    optimizer = torch.optim.LBFGS([values], max_iter=STEPS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        total = sum((_cross_entropy(p, values) for p in pixels), torch.zeros((), device=device))
        loss = total / max(sum(len(p.truth) for p in pixels), 1)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(closure)  # type: ignore[no-untyped-call]
    log_slope, intercept = values.detach().tolist()
    return Calibration(slope=float(torch.tensor(log_slope).exp()), intercept=intercept)


def folded(net: UNet, calibration: Calibration) -> UNet:
    """A copy of `net` whose logits are calibrated: the line is folded into its last layer.

    Parameters
    ----------
    net
        Left as it is.
    calibration
        Of this network.

    Returns
    -------
    The network, to be saved and scored with as any other.

    Examples
    --------
    >>> net = UNet(depth=2, root_filters=2).eval()
    >>> x = torch.rand(1, 2, 8, 8)
    >>> twice = folded(net, Calibration(slope=2.0, intercept=1.0))
    >>> torch.allclose(twice(x), 2 * net(x) + 1, atol=1e-5)
    True
    """
    out = copy.deepcopy(net)
    last: nn.Conv2d = out.final_conv
    with torch.no_grad():
        last.weight.mul_(calibration.slope)
        if last.bias is not None:
            last.bias.mul_(calibration.slope).add_(calibration.intercept)
    return out


@dataclass(frozen=True, slots=True)
class _Pixels:
    """Pixels of the decided cells of a batch that scores average."""

    logit: Tensor
    cell: Tensor
    area: Tensor
    truth: Tensor


def _changed(batch: Batch, augment: AugmentSettings, number: int) -> Batch:
    """`batch` after changes that its number alone decides."""
    return augmented(batch, draw_change(len(batch.planes), augment, generator_at(number, seed=0)))


def _without_common(batch: Batch, largest_share: float) -> Batch:
    """`batch`; samples with more positives than this share of the decided cells are undecided."""
    n_decided = (batch.labels != UNDECIDED).sum(dim=1).clamp(min=1)
    kept = (batch.labels == 1).sum(dim=1) / n_decided <= largest_share
    return replace(batch, labels=batch.labels.where(kept[:, None], UNDECIDED))


def _pixels(net: UNet, batch: Batch, aggregate: Aggregate) -> _Pixels:
    logit = net(torch.stack([batch.planes, batch.masks], dim=1))[:, 0]
    n, n_columns = batch.labels.shape
    weights = batch.masks if aggregate == "interior" else torch.ones_like(batch.masks)
    has_pixels = torch.isfinite(cell_means(logit, weights, batch.ids, n_columns))
    used = F.pad((batch.labels != UNDECIDED) & has_pixels, (1, 0), value=False)
    number = torch.cumsum(used.reshape(-1), dim=0) - 1
    offset = torch.arange(n, device=logit.device)[:, None, None] * (n_columns + 1)
    where = batch.ids + offset
    kept = used.reshape(-1)[where] & (weights > 0)
    cell = number[where[kept]]
    truth = batch.labels[used[:, 1:]].to(logit.dtype)
    area = torch.bincount(cell, minlength=len(truth)).to(logit.dtype)
    return _Pixels(logit[kept], cell, area, truth)


def _cross_entropy(pixels: _Pixels, values: Tensor) -> Tensor:
    score = torch.sigmoid(pixels.logit * values[0].exp() + values[1])
    total = torch.zeros_like(pixels.area).index_add(0, pixels.cell, score)
    mean = (total / pixels.area).clamp(1e-5, 1 - 1e-5)
    return F.binary_cross_entropy(mean, pixels.truth, reduction="sum")
