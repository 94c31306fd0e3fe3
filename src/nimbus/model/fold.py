"""Batch norms folded into the convolutions before them: the network as it is run."""

from __future__ import annotations

import copy
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .device import feature_order
from .unet import ConvBlock, UNet, UpBlock, reflect_pad, seen


class FoldedBlock(nn.Module):
    """A :class:`ConvBlock` without batch norms."""

    def __init__(self, block: ConvBlock) -> None:
        super().__init__()
        self.skip = block.conv2d_0
        self.first = _convolution(*folded(block.conv2d_1, block.bn_1))
        self.second = _convolution(*folded(block.conv2d_2, block.bn_2))

    def forward(self, x: Tensor) -> Tensor:
        """Features of the block."""
        skip: Tensor = self.skip(x)
        x = self.first(reflect_pad(skip)).relu_()
        x = self.second(reflect_pad(x)).relu_()
        return x.add_(skip)


class FoldedUNet(nn.Module):
    """The same function as the :class:`UNet` it is made of, in evaluation mode; on the CPU."""

    def __init__(self, net: UNet) -> None:
        super().__init__()
        net = copy.deepcopy(net).cpu()  # it may have been trained where there is no float64
        down = cast(list[ConvBlock], list(net.contracting_layers)[::2])
        lift = cast(list[UpBlock], list(net.expanding_layers)[::3])
        up = cast(list[ConvBlock], list(net.expanding_layers)[2::3])
        self.down = nn.ModuleList(FoldedBlock(block) for block in down)
        self.bottom = FoldedBlock(net.bottle_neck)
        self.lift = nn.ModuleList(block.upconv for block in lift)
        self.up = nn.ModuleList(FoldedBlock(block) for block in up)
        self.last, self.patch, self.exponent = net.final_conv, net.patch, net.exponent

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``(n, 1, y, x)`` of planes ``(n, 2, y, x)``."""
        x = F.pixel_unshuffle(seen(x, self.exponent), self.patch)
        x = x.contiguous(memory_format=feature_order(x.device))
        skips: list[Tensor] = []
        for block in self.down:
            skips.append(block(x))
            x = F.max_pool2d(skips[-1], 2)
        x = self.bottom(x)
        for lift, block in zip(self.lift, self.up, strict=True):
            x = block(torch.cat([skips.pop(), lift(x).relu_()], dim=1))
        return F.pixel_shuffle(self.last(x), self.patch)


def folded(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Weight and bias of one convolution that does what `conv` and then `norm` do."""
    if norm.running_mean is None or norm.running_var is None or conv.bias is None:
        raise ValueError("a batch norm without running statistics cannot be folded")
    gain = norm.weight.double() / torch.sqrt(norm.running_var.double() + norm.eps)
    bias = (conv.bias.double() - norm.running_mean.double()) * gain + norm.bias.double()
    weight = conv.weight * gain.to(conv.weight.dtype)[:, None, None, None]
    return weight.detach(), bias.to(weight.dtype).detach()


def _convolution(weight: Tensor, bias: Tensor) -> nn.Conv2d:
    with torch.device("meta"):  # no random weights that would be replaced
        conv = nn.Conv2d(weight.shape[1], weight.shape[0], kernel_size=3)
    conv.weight = nn.Parameter(weight.contiguous(memory_format=torch.channels_last), False)
    conv.bias = nn.Parameter(bias, False)
    return conv
