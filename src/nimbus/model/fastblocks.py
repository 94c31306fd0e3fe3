"""What lies between the 3x3 convolutions: pointwise work on strips of phased images."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .fastconv import FastConv, convolve
from .phased import Phased
from .strips import Scratch, Workers
from .unet import IN_PLANES
from .winograd import N_OUT

STRIP_FLOATS = 262144
"""Values of a strip of pointwise work."""


@dataclass(frozen=True)
class Pointwise:
    """A 1x1 convolution: pixels times ``weight (n_in, n_out)``, plus ``bias (n_out,)``."""

    weight: Tensor
    bias: Tensor


@dataclass(frozen=True)
class FastBlock:
    """A :class:`nimbus.model.unet.ConvBlock` ready to run.

    `first` is a :class:`FastConv`; in the block that sees the planes it is pointwise work on
    their 3x3 neighbourhoods, with the 1x1 convolution before it multiplied in.
    """

    skip: Pointwise
    first: FastConv | Pointwise
    second: FastConv


def enter(block: FastBlock, planes: Tensor, target: Phased, spare: Phased, work: Workers) -> None:
    """Features of the first block, of planes ``(2, y, x)``."""
    if not isinstance(block.first, Pointwise):
        raise TypeError("the first block takes planes, the others features")
    first = block.first
    windows = _windows(planes, target)

    def strip(start: int, stop: int) -> None:
        view = windows[..., N_OUT * start : N_OUT * stop, :, :]
        window = work.scratch.take("window", *view.shape).copy_(view)
        pixels = window.view(9 * IN_PLANES, -1).T
        for step, out in ((block.skip, target), (first, spare)):
            rows = out.rows(start, stop).view(-1, out.n_features)
            torch.addmm(step.bias, pixels, step.weight, out=rows)
        spare.rows(start, stop).relu_()

    work.each_strip(strip, target.n_tile_rows, strip_rows(target))
    spare.fill_rim()
    convolve(block.second, spare, target, work, add=True)


def descend(block: FastBlock, above: Phased, target: Phased, spare: Phased, work: Workers) -> None:
    """Features of a block after 2x2 maxima of `above`, which is twice as high and wide."""

    def strip(start: int, stop: int) -> None:
        rows = target.rows(start, stop)
        pooled = work.scratch.take("pooled", *rows.shape[:3], above.n_features)
        _pool(above, pooled, start, stop)
        skip = block.skip
        flat = rows.view(-1, target.n_features)
        torch.addmm(skip.bias, pooled.view(-1, above.n_features), skip.weight, out=flat)

    work.each_strip(strip, target.n_tile_rows, strip_rows(target))
    target.fill_rim()
    _convolutions(block, target, spare, work)


def ascend(
    block: FastBlock, lift: Pointwise, below: Phased, target: Phased, spare: Phased, work: Workers
) -> None:
    """Features of a block of `target` (the skip connection) and of `below`, enlarged by `lift`.

    They replace those of `target`, which is twice as high and wide as `below`.
    """
    n = target.n_features
    of_skip, of_below = block.skip.weight[:n], block.skip.weight[n:]

    def strip(start: int, stop: int) -> None:
        rows = target.rows(start, stop)
        lifted = work.scratch.take("lifted", *rows.shape)
        _lift(lift, below, lifted, start, stop, work.scratch)
        new = work.scratch.take("new", rows.numel() // n, n)
        torch.addmm(block.skip.bias, rows.view(-1, n), of_skip, out=new)
        new.addmm_(lifted.view(-1, n), of_below)
        rows.copy_(new.view(rows.shape))

    work.each_strip(strip, target.n_tile_rows, strip_rows(target))
    target.fill_rim()
    _convolutions(block, target, spare, work)


def leave(last: Pointwise, source: Phased, work: Workers) -> Tensor:
    """One value per pixel, axes ``(y, x)``."""
    out = torch.empty(N_OUT * source.n_tile_rows, source.n_tiles, N_OUT)

    def strip(start: int, stop: int) -> None:
        rows = source.rows(start, stop)
        value = (rows.reshape(-1, source.n_features) @ last.weight).view(rows.shape[:3])
        out[N_OUT * start : N_OUT * stop] = value[:, :, 1:-1].transpose(1, 2)

    work.each_strip(strip, source.n_tile_rows, strip_rows(source))
    image = out.view(len(out), -1)[: source.height, : source.width]
    return image + last.bias


def strip_rows(image: Phased) -> int:
    """Rows of tiles of a strip of pointwise work."""
    return max(1, STRIP_FLOATS // (N_OUT * N_OUT * image.n_tiles * image.n_features))


def _convolutions(block: FastBlock, target: Phased, spare: Phased, work: Workers) -> None:
    if not isinstance(block.first, FastConv):
        raise TypeError("only the first block takes planes")
    convolve(block.first, target, spare, work)
    convolve(block.second, spare, target, work, add=True)


def _windows(planes: Tensor, target: Phased) -> Tensor:
    """3x3 neighbourhoods of planes in the order of `target`.

    Axes ``(plane, y in window, x in window, row, phase, tile)``; a view of little memory.
    """
    tall, wide, spare = N_OUT * target.n_tile_rows, N_OUT * target.n_tiles, N_OUT
    padded = torch.zeros(IN_PLANES, tall + 2, wide + 2 * spare)
    image = padded[:, :, spare - 1 : spare + wide + 1]
    image[:, 1 : 1 + target.height, 1 : 1 + target.width] = planes
    for size, rim in ((target.height, image), (target.width, image.transpose(1, 2))):
        rim[:, 0] = rim[:, 1 + min(1, size - 1)]
        rim[:, 1 + size] = rim[:, 1 + max(size - 2, 0)]
    # The columns that windows of phase p see are p - 1, p and p + 1: six phases, side by side.
    n_tiles = target.n_tiles + 2
    six = torch.empty(IN_PLANES, tall + 2, N_OUT + 2, n_tiles)
    six[..., 0] = six[..., -1] = 0
    for phase in range(N_OUT + 2):
        column = padded[:, :, phase + spare - 1 :: N_OUT][..., : target.n_tiles]
        six[:, :, phase, 1:-1] = column
    plane, row, step, _ = six.stride()
    shape = (IN_PLANES, 3, 3, tall, N_OUT, n_tiles)
    return six.as_strided(shape, (plane, row, step, row, step, 1))


def _pool(above: Phased, pooled: Tensor, start: int, stop: int) -> None:
    """Maxima of 2x2 pixels.

    ::

        above    phase 0 1 2 3 of tile 0, phase 0 1 2 3 of tile 1
        pooled   phase  0   1                    2   3    of tile 0
    """
    rows = above.rows(2 * start, min(2 * stop, above.n_tile_rows))
    for phase in range(N_OUT):
        tile, pair = divmod(phase, 2)
        columns = rows[:, 2 * pair : 2 * pair + 2, 1 + tile :: 2]
        n = min(columns.shape[2], pooled.shape[2] - 2)
        out = pooled[: len(rows) // 2, phase, 1 : 1 + n]
        corner = columns[:, :, :n].view(len(out), 2, 2, n, -1)
        torch.maximum(corner[:, 0, 0], corner[:, 0, 1], out=out)
        torch.maximum(out, corner[:, 1, 0], out=out)
        torch.maximum(out, corner[:, 1, 1], out=out)


def _lift(
    lift: Pointwise, below: Phased, lifted: Tensor, start: int, stop: int, scratch: Scratch
) -> None:
    """Each pixel of `below` as 2x2 pixels, then relu: the pattern of :func:`_pool`, backwards."""
    half = below.data[1 + 2 * start : 1 + 2 * stop]
    n = lifted.shape[-1]
    new = scratch.take("four", half.numel() // below.n_features, 4 * n)
    torch.addmm(lift.bias, half.reshape(-1, below.n_features), lift.weight, out=new)
    # axes (row, half phase 1, half phase 0, tile, y in pair, x in pair, feature)
    pixels = new.relu_().view(-1, 2, 2, half.shape[2], 2, 2, n)
    # axes (row, y in pair, phase 1, phase 0, tile, feature)
    out = lifted.view(-1, 2, 2, 2, lifted.shape[2], n)
    for tile in range(2):
        target = out[..., 1 + tile : lifted.shape[2] - 1 : 2, :]
        source = pixels[:, tile, :, 1 : 1 + target.shape[4]]
        target.copy_(source.permute(0, 3, 1, 4, 2, 5))
