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
    """Weights of a convolution, ready for :func:`convolve`.

    Parameters
    ----------
    weight
        ``(36, n_in, n_out)``; the transform along x varies slower.
    bias
        ``(n_out,)``.
    inward, outward
        The transforms of one axis; `outward` has one more column, for the bias.
    """

    weight: Tensor
    bias: Tensor
    inward: Tensor
    outward: Tensor

    @property
    def middle(self) -> Tensor:
        """What `inward` does with the four columns of a tile's own phases."""
        return self.inward[:, 1:5]

    @property
    def first(self) -> float:
        """What the column before them adds, to the first row alone."""
        return float(self.inward[0, 0])

    @property
    def last(self) -> float:
        """What the column after them adds, to the last row alone."""
        return float(self.inward[5, 5])

    @property
    def n_out(self) -> int:
        """Features that come out."""
        return self.weight.shape[2]


def fast_conv(weight: Tensor, bias: Tensor) -> FastConv:
    """Prepare weights ``(n_out, n_in, 3, 3)``."""
    outward, _, inward = transforms()
    with_bias = torch.ones(N_OUT, N_IN + 1)
    with_bias[:, :N_IN] = torch.from_numpy(outward)
    return FastConv(
        transformed_weights(weight), bias.float(), torch.from_numpy(inward).float(), with_bias
    )


def convolve(
    conv: FastConv, source: Phased, target: Phased, workers: Workers, *, add: bool = False
) -> None:
    """Write relu(conv(source)) into `target`, or add it; then fill the rim of `target`.

    `source` and `target` must not share memory.
    """
    tiles = min(max(STRIP_FLOATS // source.n_features, TILES[0]), TILES[1])

    def strip(start: int, stop: int) -> None:
        spectrum = _inward(conv, source, start, stop, workers.scratch)
        product = workers.scratch.take("product", 36, spectrum.shape[1], conv.n_out)
        torch.bmm(spectrum, conv.weight, out=product)
        out = target.rows(start, stop)
        if add:
            new = workers.scratch.take("new", *out.shape)
            _outward(conv, product, new, workers.scratch)
            out.add_(new.relu_())
        else:
            _outward(conv, product, out, workers.scratch)
            out.relu_()

    workers.each_strip(strip, source.n_tile_rows, max(1, tiles // source.n_tiles))
    target.fill_rim()


def _inward(conv: FastConv, source: Phased, start: int, stop: int, scratch: Scratch) -> Tensor:
    """The tiles in Winograd's domain, ``(36, tile, feature)``; spare tiles hold anything."""
    n_rows, n = stop - start, source.n_features
    length = (source.n_tiles + 2) * n
    along_y = scratch.take("along_y", N_OUT, N_IN, n_rows, length)
    result = scratch.take("spectrum", N_IN, N_IN * n_rows * length)
    inward = conv.inward.expand(N_OUT, -1, -1)  # once for each phase
    for k in range(n_rows):
        y = N_OUT * (start + k)
        rows = source.data[y : y + N_IN].view(N_IN, N_OUT, length)
        torch.bmm(inward, rows.transpose(0, 1), out=along_y[:, :, k])
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
    outward = conv.outward.expand(N_OUT, -1, -1)
    along_x[:, N_IN].view(N_OUT, n_rows, out.shape[2], out.shape[3]).copy_(conv.bias)
    flat = along_x.view(N_OUT, -1)[:, : N_IN * n_rows * length]
    torch.mm(conv.outward[:, :N_IN], product.view(N_IN, -1), out=flat)
    for k in range(n_rows):
        rows = out[N_OUT * k : N_OUT * (k + 1)].view(N_OUT, N_OUT, length)
        torch.bmm(outward, along_x[:, :, k], out=rows.transpose(0, 1))
