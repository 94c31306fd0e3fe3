"""The weights of a network without what need not be computed: batch norms and half of the biases.

A constant passes unchanged through maxima and reflected convolutions, so the biases of the 1x1
convolutions are put into those of what comes later: features are kept without them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias, cast

import torch
from torch import Tensor, nn

from .fold import folded
from .unet import IN_PLANES, ConvBlock, UNet, UpBlock

Conv: TypeAlias = tuple[Tensor, Tensor]
"""Weights ``(n_out, n_in, 3, 3)`` and biases ``(n_out,)``."""


@dataclass(frozen=True)
class Pointwise:
    """A 1x1 convolution: pixels times ``weight (n_in, n_out)``, plus ``bias (n_out,)``."""

    weight: Tensor
    bias: Tensor


@dataclass(frozen=True)
class LeanBlock:
    """A :class:`nimbus.model.unet.ConvBlock` on features that lack constants.

    Parameters
    ----------
    point
        Weights of the 1x1 convolution, ``(n_in, n_out)``.
    first, second
        The 3x3 convolutions.
    """

    point: Tensor
    first: Conv
    second: Conv


@dataclass(frozen=True)
class LeanUNet:
    """Weights of a :class:`nimbus.model.unet.UNet`, which :func:`lean` makes.

    Parameters
    ----------
    down
        From the full to the lowest resolution.
    lifts
        Each pixel as 2x2 pixels of half the features: ``(n_in, y in pair * x in pair * n_out)``.
    up
        From the second lowest to the full resolution.
    last
        Features to the logits of a patch.
    """

    down: tuple[LeanBlock, ...]
    lifts: tuple[Pointwise, ...]
    up: tuple[LeanBlock, ...]
    last: Pointwise


def lean(net: UNet) -> LeanUNet:
    """The weights of `net`, which is not changed.

    Examples
    --------
    >>> weights = lean(UNet(depth=3, root_filters=4).eval())
    >>> len(weights.down), len(weights.up), weights.lifts[0].weight.shape
    (3, 2, torch.Size([16, 32]))
    """
    blocks = cast(list[ConvBlock], [*list(net.contracting_layers)[::2], net.bottle_neck])
    upwards = cast(list[UpBlock], list(net.expanding_layers)[::3])
    expanding = cast(list[ConvBlock], list(net.expanding_layers)[2::3])
    down, lifts, up = [], [], []
    left_out = [torch.zeros(IN_PLANES * net.patch**2)]
    with torch.inference_mode():
        for block in blocks:
            ready, missing = _block(block, left_out[-1])
            down.append(ready)
            left_out.append(missing)
        missing = left_out.pop()
        for upward, block in zip(upwards, expanding, strict=True):
            lifts.append(_lift(upward.upconv, missing))
            of_lifted = torch.zeros(lifts[-1].bias.numel() // 4)
            ready, missing = _block(block, torch.cat([left_out.pop(), of_lifted]))
            up.append(ready)
        weight = net.final_conv.weight[:, :, 0, 0]
        last = Pointwise(weight.T.contiguous(), bias_of(net.final_conv) + weight @ missing)
    return LeanUNet(tuple(down), tuple(lifts), tuple(up), last)


def bias_of(conv: nn.Conv2d | nn.ConvTranspose2d) -> Tensor:
    """The bias of a convolution, which every one of the network has."""
    if conv.bias is None:
        raise ValueError("every convolution of the network has a bias")
    return conv.bias.detach()


def _block(block: ConvBlock, missing: Tensor) -> tuple[LeanBlock, Tensor]:
    """The block of inputs that lack the constants `missing`, and those that its outputs lack."""
    point = block.conv2d_0.weight[:, :, 0, 0]
    lacks = point @ missing + bias_of(block.conv2d_0)
    weight, bias = folded(block.conv2d_1, block.bn_1)
    first = weight, bias + weight.sum((2, 3)) @ lacks
    return LeanBlock(point.T.contiguous(), first, folded(block.conv2d_2, block.bn_2)), lacks


def _lift(conv: nn.ConvTranspose2d, missing: Tensor) -> Pointwise:
    weight = conv.weight.permute(0, 2, 3, 1).flatten(1).contiguous()
    return Pointwise(weight, bias_of(conv).repeat(4) + missing @ weight)
