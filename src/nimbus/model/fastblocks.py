"""What lies between the 3x3 convolutions: pointwise work on strips of phased images."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .fastconv import FastConv, convolve
from .lean import Pointwise
from .phased import Phased, place_columns
from .strips import Scratch, Workers
from .unet import IN_PLANES
from .winograd import N_OUT

STRIP_FLOATS = 262144
"""Values of a strip of pointwise work."""


@dataclass(frozen=True)
class FastBlock:
    """A :class:`nimbus.model.unet.ConvBlock` ready to run.

    Parameters
    ----------
    skip
        Weights of the 1x1 convolution, ``(n_in, n_out)``; without bias, see :mod:`.lean`.
    first, second
        The 3x3 convolutions.
    """

    skip: Tensor
    first: FastConv
    second: FastConv


@dataclass(frozen=True)
class EntryBlock:
    """The block that sees the planes; its weights work on :func:`_windows`, ``(19, n_out)``."""

    skip: Tensor
    first: Tensor
    second: FastConv


def enter(
    block: EntryBlock, planes: list[Phased], target: Phased, spare: Phased, work: Workers
) -> None:
    """Write the features of the first block to `target`; `spare` has its shape."""

    def strip(start: int, stop: int, scratch: Scratch) -> None:
        pixels = _windows(planes, start, stop, scratch)
        rows, first = target.rows(start, stop), spare.rows(start, stop)
        torch.mm(pixels, block.skip, out=rows.view(-1, target.n_features))
        torch.mm(pixels, block.first, out=first.view(-1, target.n_features))
        first.relu_()

    work.each_strip(strip, target.n_tile_rows, strip_rows(target))
    spare.fill_rim()
    convolve(block.second, spare, target, work, add=True)


def enter_patches(
    block: FastBlock, pixels: Tensor, target: Phased, spare: Phased, work: Workers
) -> None:
    """:func:`enter` of patches, whose `pixels` are features ``(y, x, ...)`` of places."""
    n_in = block.skip.shape[0]

    def strip(start: int, stop: int, scratch: Scratch) -> None:
        rows = target.rows(start, stop)
        values = pixels[N_OUT * start : N_OUT * stop]
        placed = scratch.take("placed", *rows.shape[:3], n_in)
        place_columns(values, placed[: len(values)])
        torch.mm(placed.view(-1, n_in), block.skip, out=rows.view(-1, target.n_features))

    work.each_strip(strip, target.n_tile_rows, strip_rows(target))
    _convolve_twice(block, target, spare, work)


def descend(block: FastBlock, above: Phased, target: Phased, spare: Phased, work: Workers) -> None:
    """Write the features of a block to `target`, after 2x2 maxima of `above`."""

    def strip(start: int, stop: int, scratch: Scratch) -> None:
        rows = target.rows(start, stop)
        pooled = scratch.take("pooled", *rows.shape[:3], above.n_features)
        _pool(above, pooled, start, stop)
        flat = rows.view(-1, target.n_features)
        torch.mm(pooled.view(-1, above.n_features), block.skip, out=flat)

    work.each_strip(strip, target.n_tile_rows, strip_rows(target))
    _convolve_twice(block, target, spare, work)


def ascend(
    block: FastBlock, lift: Pointwise, below: Phased, skip: Phased, target: Phased, work: Workers
) -> None:
    """Write the features of a block to `target`, from those of `skip` and of `below`, enlarged.

    `below` is half as high and wide. `skip` is lost: its memory is used.
    """
    n = target.n_features

    def strip(start: int, stop: int, scratch: Scratch) -> None:
        rows = target.rows(start, stop)
        lifted = scratch.take("lifted", *rows.shape)
        _lift(lift, below, lifted, start, stop, scratch)
        flat = rows.view(-1, n)
        torch.mm(skip.rows(start, stop).view(-1, n), block.skip[:n], out=flat)
        flat.addmm_(lifted.view(-1, n), block.skip[n:])

    work.each_strip(strip, target.n_tile_rows, strip_rows(target))
    _convolve_twice(block, target, skip, work)


def _convolve_twice(block: FastBlock, target: Phased, spare: Phased, work: Workers) -> None:
    """Add to `target` what the 3x3 convolutions of the block make of it, by way of `spare`."""
    target.fill_rim()
    convolve(block.first, target, spare, work)
    convolve(block.second, spare, target, work, add=True)


def leave(last: Pointwise, source: Phased, patch: int, work: Workers) -> Tensor:
    """One value per pixel, axes ``(y, x)``; a place of `source` has ``patch ** 2`` of them."""
    n_rows = N_OUT * source.n_tile_rows
    out = torch.empty(n_rows, patch, source.n_tiles, N_OUT, patch)

    def strip(start: int, stop: int, _: Scratch) -> None:
        rows = source.rows(start, stop)
        values = torch.addmm(last.bias, rows.reshape(-1, source.n_features), last.weight)
        # axes (row, phase, tile, y in patch, x in patch)
        pixels = values.view(*rows.shape[:3], patch, patch)[:, :, 1:-1]
        out[N_OUT * start : N_OUT * stop] = pixels.permute(0, 3, 2, 1, 4)

    work.each_strip(strip, source.n_tile_rows, strip_rows(source))
    return out.view(n_rows * patch, -1)[: source.height * patch, : source.width * patch]


def strip_rows(image: Phased) -> int:
    """Rows of tiles of a strip of pointwise work."""
    return max(1, STRIP_FLOATS // (N_OUT * N_OUT * image.n_tiles * image.n_features))


def _windows(planes: list[Phased], start: int, stop: int, scratch: Scratch) -> Tensor:
    """3x3 neighbourhoods of a strip, ``(pixel, plane * y * x)``, and a one, for the bias."""
    height, n_tiles = N_OUT * (stop - start), planes[0].data.shape[2]
    pixels = height * N_OUT * n_tiles
    flat = scratch.take("window", 9 * IN_PLANES + 1, pixels)
    flat[-1] = 1
    windows = flat[:-1].view(IN_PLANES, 3, 3, height, N_OUT, n_tiles)
    for plane, of_plane in zip(planes, windows, strict=True):
        for y, of_row in enumerate(of_plane):
            rows = plane.data[N_OUT * start + y : N_OUT * start + y + height, :, :, 0]
            left, middle, right = of_row
            middle.copy_(rows)
            left[:, 1:].copy_(rows[:, :-1])
            left[:, 0, 1:].copy_(rows[:, -1, :-1])  # the last column of the tile before
            right[:, :-1].copy_(rows[:, 1:])
            right[:, -1, :-1].copy_(rows[:, 0, 1:])  # the first column of the tile after
    return flat.T


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
