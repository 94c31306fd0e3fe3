"""The network on a processor, in float32: four times fewer multiplications, few copies.

What differs from :class:`UNet`: batch norms are folded; 3x3 convolutions are Winograd's; the first
1x1 and 3x3 convolutions are one; nothing is padded, concatenated or upsampled as a whole, but in
strips that stay in a core's cache. The function is the same, to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock
from typing import cast

import torch
from torch import Tensor, nn

from .fastblocks import FastBlock, Pointwise, ascend, descend, enter, leave
from .fastconv import fast_conv
from .fold import folded
from .phased import Phased, phased, phased_shape
from .strips import Workers, workers
from .unet import IN_PLANES, ConvBlock, UNet, UpBlock


@dataclass(frozen=True)
class FastUNet:
    """Logits of planes; :func:`fast_unet` makes it.

    It keeps its memory between calls, and works on one image at a time.
    """

    down: tuple[FastBlock, ...]
    """From the full to the lowest resolution."""
    lifts: tuple[Pointwise, ...]
    up: tuple[FastBlock, ...]
    """From the second lowest to the full resolution."""
    last: Pointwise
    memory: dict[str, Tensor] = field(default_factory=dict, repr=False, compare=False)
    lock: Lock = field(default_factory=Lock, repr=False, compare=False)

    def __call__(self, planes: Tensor) -> Tensor:
        """Logits ``(n, 1, y, x)`` of float32 planes ``(n, 2, y, x)`` on the CPU."""
        with self.lock, workers() as work:
            return torch.stack([self._one(image, work)[None] for image in planes])

    def _one(self, planes: Tensor, work: Workers) -> Tensor:
        images = [self._image(level, planes) for level in range(len(self.down))]
        for level, (image, block) in enumerate(zip(images, self.down, strict=True)):
            spare = self._spare(image)
            if level == 0:
                enter(block, planes, image, spare, work)
            else:
                descend(block, images[level - 1], image, spare, work)
        below = images.pop()
        for lift, block in zip(self.lifts, self.up, strict=True):
            image = images.pop()
            ascend(block, lift, below, image, self._spare(image), work)
            below = image
        return leave(self.last, below, work)

    def _image(self, level: int, planes: Tensor) -> Phased:
        height, width = planes.shape[-2] >> level, planes.shape[-1] >> level
        n_features = self.down[level].skip.bias.numel()
        return self._placed(f"level {level}", height, width, n_features)

    def _spare(self, image: Phased) -> Phased:
        return self._placed("spare", image.height, image.width, image.n_features)

    def _placed(self, name: str, height: int, width: int, n_features: int) -> Phased:
        size = phased_shape(height, width, n_features).numel()
        if name not in self.memory or self.memory[name].numel() < size:
            self.memory[name] = torch.zeros(size)
        return phased(self.memory[name], height=height, width=width, n_features=n_features)


def fast_unet(net: UNet) -> FastUNet:
    """Prepare `net`, which is not changed.

    Examples
    --------
    >>> net = UNet(depth=3, root_filters=4).eval()
    >>> planes = torch.rand(1, 2, 16, 20)
    >>> with torch.inference_mode():
    ...     torch.allclose(fast_unet(net)(planes), net(planes), atol=1e-5)
    True
    """
    down = cast(list[ConvBlock], [*list(net.contracting_layers)[::2], net.bottle_neck])
    lifts = cast(list[UpBlock], list(net.expanding_layers)[::3])
    up = cast(list[ConvBlock], list(net.expanding_layers)[2::3])
    first, *others = down
    with torch.inference_mode():
        return FastUNet(
            down=(_first_block(first), *(_block(block) for block in others)),
            lifts=tuple(_lift(block.upconv) for block in lifts),
            up=tuple(_block(block) for block in up),
            last=_pointwise(net.final_conv),
        )


def _block(block: ConvBlock) -> FastBlock:
    return FastBlock(
        skip=_pointwise(block.conv2d_0),
        first=fast_conv(*folded(block.conv2d_1, block.bn_1)),
        second=fast_conv(*folded(block.conv2d_2, block.bn_2)),
    )


def _first_block(block: ConvBlock) -> FastBlock:
    """Both 1x1 convolutions as work on 3x3 windows ``(plane, y, x)``."""
    weight, bias = folded(block.conv2d_1, block.bn_1)
    point = block.conv2d_0.weight[:, :, 0, 0].double()
    both = torch.einsum("koyx,oc->cyxk", weight.double(), point)
    of_point = weight.double().sum((2, 3)) @ _bias(block.conv2d_0).double()
    centre = torch.zeros(IN_PLANES, 3, 3, point.shape[0])
    centre[:, 1, 1] = point.T
    return FastBlock(
        skip=Pointwise(centre.flatten(0, 2), _bias(block.conv2d_0)),
        first=Pointwise(both.flatten(0, 2).float(), (bias + of_point).float()),
        second=fast_conv(*folded(block.conv2d_2, block.bn_2)),
    )


def _pointwise(conv: nn.Conv2d) -> Pointwise:
    return Pointwise(conv.weight[:, :, 0, 0].T.contiguous(), _bias(conv))


def _lift(conv: nn.ConvTranspose2d) -> Pointwise:
    """Weights ``(n_in, y in pair * x in pair * n_out)``."""
    weight = conv.weight.permute(0, 2, 3, 1)
    return Pointwise(weight.flatten(1).contiguous(), _bias(conv).repeat(4))


def _bias(conv: nn.Conv2d | nn.ConvTranspose2d) -> Tensor:
    if conv.bias is None:
        raise ValueError("every convolution of the network has a bias")
    return conv.bias.detach()
