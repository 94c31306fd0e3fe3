"""3x3 convolution of a phased image by Winograd's method, strip by strip."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .phased import Phased
from .strips import Scratch, Workers
from .winograd import N_IN, N_OUT, transformed_weights, transforms

STRIP_FLOATS = 32768
"""Inputs of one of the 36 products of a strip; two sets of them fill a core's cache of 2 MB."""

TILES = (64, 512)
"""Least and most tiles of a strip: below, the weights are read too often."""


@dataclass(frozen=True)
class FastConv:
    """Weights of a convolution, ready for :func:`convolve`.

    Parameters
    ----------
    weight
        ``(36, n_in, n_out)``.
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
        _outward(conv, product, target, start, workers.scratch, add=add)

    workers.each_strip(strip, source.n_tile_rows, max(1, tiles // source.n_tiles))
    target.fill_rim()


def _inward(conv: FastConv, source: Phased, start: int, stop: int, scratch: Scratch) -> Tensor:
    """The tiles in Winograd's domain, ``(36, tile, feature)``."""
    n_rows, n_tiles, n = stop - start, source.n_tiles, source.n_features
    result = scratch.take("spectrum", N_IN, N_IN, n_rows, n_tiles * n)
    along_y = scratch.take("along_y", N_IN, N_OUT, (n_tiles + 2) * n)
    middle = conv.inward[:, 1:5].contiguous()
    first, last = float(conv.inward[0, 0]), float(conv.inward[5, 5])
    rows = source.data.view(source.data.shape[0], -1)
    for k in range(n_rows):
        y = N_OUT * (start + k)
        torch.mm(conv.inward, rows[y : y + N_IN], out=along_y.view(N_IN, -1))
        for i in range(N_IN):
            torch.mm(middle, along_y[i, :, n:-n], out=result[i, :, k])
        # The outer columns of a tile are phases of its neighbours, and reach one product each.
        result[:, 0, k].add_(along_y[:, 3, : -2 * n], alpha=first)
        result[:, 5, k].add_(along_y[:, 0, 2 * n :], alpha=last)
    return result.view(N_IN * N_IN, n_rows * n_tiles, n)


def _outward(
    conv: FastConv, product: Tensor, target: Phased, start: int, scratch: Scratch, *, add: bool
) -> None:
    n_tiles, n = target.n_tiles, target.n_features
    product = product.view(N_IN, N_IN, -1, n_tiles * n)
    along_x = scratch.take("along_x", N_IN + 1, N_OUT, (n_tiles + 2) * n)
    along_x[N_IN].view(-1, n).copy_(conv.bias)
    weights = conv.outward[:, :N_IN]
    rows = target.data.view(target.data.shape[0], -1)
    for k in range(product.shape[2]):
        for i in range(N_IN):
            torch.mm(weights, product[i, :, k], out=along_x[i, :, n:-n])
        y = 1 + N_OUT * (start + k)
        out = rows[y : y + N_OUT]
        if add:
            new = scratch.take("new", *out.shape)
            torch.mm(conv.outward, along_x.view(N_IN + 1, -1), out=new)
            out.add_(new.relu_())
        else:
            torch.mm(conv.outward, along_x.view(N_IN + 1, -1), out=out)
            out.relu_()
