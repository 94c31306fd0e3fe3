"""3x3 convolution of a phased image by Winograd's method, strip by strip."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .phased import Phased
from .strips import Scratch, Workers
from .winograd import N_IN, N_OUT, transformed_weights, transforms

STRIP_FLOATS = 32768
"""Inputs of one of the 36 products of a strip: small enough for a core's cache, and few strips."""

TILES = (128, 1024)
"""Least and most tiles of a strip: with fewer, the weights are read too often."""


@dataclass(frozen=True)
class FastConv:
    """Weights of a convolution, ready for :func:`convolve`; :func:`fast_conv` makes it.

    Parameters
    ----------
    weight
        ``(36, n_in, n_out)``; the transform along x varies slower.
    bias
        ``(n_out,)``.
    inward, outward
        The transforms along y, once for each phase: ``(4, 6, 6)`` and ``(4, 4, 7)``, with one more
        column for the bias.
    middle
        What the transform along x does with the four columns of a tile's own phases, ``(6, 4)``.
    first, last
        What it does with the columns before and after them, which reach one product each.
    """

    weight: Tensor
    bias: Tensor
    inward: Tensor
    outward: Tensor
    middle: Tensor
    first: float
    last: float


def fast_conv(weight: Tensor, bias: Tensor) -> FastConv:
    """Prepare weights ``(n_out, n_in, 3, 3)``."""
    out, _, into = transforms()
    outward = torch.ones(N_OUT, N_IN + 1)
    outward[:, :N_IN] = torch.from_numpy(out)
    inward = torch.from_numpy(into).float()
    return FastConv(
        weight=transformed_weights(weight),
        bias=bias.float(),
        inward=inward.repeat(N_OUT, 1, 1),
        outward=outward.repeat(N_OUT, 1, 1),
        middle=inward[:, 1:5],
        first=float(into[0, 0]),
        last=float(into[5, 5]),
    )


def convolve(
    conv: FastConv, source: Phased, target: Phased, workers: Workers, *, add: bool = False
) -> None:
    """Write relu(conv(source)) into `target`, or add it; then fill the rim of `target`.

    `source` and `target` must not share memory.
    """
    tiles = min(max(STRIP_FLOATS // source.n_features, TILES[0]), TILES[1])

    def strip(start: int, stop: int, scratch: Scratch) -> None:
        spectrum = _inward(conv, source, start, stop, scratch)
        product = scratch.take("product", 36, spectrum.shape[1], target.n_features)
        torch.bmm(spectrum, conv.weight, out=product)
        out = target.rows(start, stop)
        if add:
            new = scratch.take("new", *out.shape)
            _outward(conv, product, new, scratch)
            out.add_(new.relu_())
        else:
            _outward(conv, product, out, scratch)
            out.relu_()

    workers.each_strip(strip, source.n_tile_rows, max(1, tiles // source.n_tiles))
    target.fill_rim()


def _inward(conv: FastConv, source: Phased, start: int, stop: int, scratch: Scratch) -> Tensor:
    """The tiles in Winograd's domain, ``(36, tile, feature)``; spare tiles hold anything."""
    n_rows, n = stop - start, source.n_features
    length = (source.n_tiles + 2) * n
    along_y = scratch.take("along_y", N_OUT, N_IN, n_rows, length)
    result = scratch.take("spectrum", N_IN, N_IN * n_rows * length)
    row = N_OUT * length  # floats from one row to the next
    tiles = source.data.as_strided(
        (n_rows, N_OUT, N_IN, length),
        (N_OUT * row, length, row, 1),
        source.data.storage_offset() + N_OUT * start * row,
    )
    for tile_row, to in zip(tiles, along_y.unbind(2), strict=True):
        torch.bmm(conv.inward, tile_row, out=to)
    flat = along_y.view(N_OUT, -1)
    torch.mm(conv.middle, flat, out=result)
    # The outer columns of a tile are phases of its neighbours, and reach one product each.
    result[0, n:].add_(flat[3, :-n], alpha=conv.first)
    result[5, :-n].add_(flat[0, n:], alpha=conv.last)
    return result.view(N_IN * N_IN, -1, n)


def _outward(conv: FastConv, product: Tensor, out: Tensor, scratch: Scratch) -> None:
    """Write the convolution of a strip, rows ``(row, phase, tile, feature)``."""
    n_rows = out.shape[0] // N_OUT
    length = out.shape[2] * out.shape[3]
    along_x = scratch.take("along_x", N_OUT, N_IN + 1, n_rows, length)
    along_x[:, N_IN].view(N_OUT, n_rows, out.shape[2], out.shape[3]).copy_(conv.bias)
    flat = along_x.view(N_OUT, -1)[:, : N_IN * n_rows * length]
    torch.mm(conv.outward[0, :, :N_IN], product.view(N_IN, -1), out=flat)
    tiles = out.view(n_rows, N_OUT, N_OUT, length).transpose(1, 2)
    for tile_row, to in zip(along_x.unbind(2), tiles, strict=True):
        torch.bmm(conv.outward, tile_row, out=to)
