"""The network on a processor, in float32: four times fewer multiplications, few copies.

What differs from :class:`UNet`: batch norms are folded; 3x3 convolutions are Winograd's; the first
1x1 and 3x3 convolutions are one; nothing is padded, concatenated or upsampled as a whole, but in
strips that stay in a core's cache. The function is the same, to rounding.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import cast

import torch
from torch import Tensor

from .fastblocks import (
    EntryBlock,
    FastBlock,
    ascend,
    descend,
    enter,
    enter_patches,
    leave,
)
from .fastconv import fast_conv
from .fold import folded
from .lean import LeanBlock, Pointwise, bias_of, lean
from .phased import Phased, phased, phased_shape
from .strips import Workers, Workspace
from .unet import IN_PLANES, ConvBlock, UNet, seen


@dataclass(frozen=True)
class FastUNet:
    """Logits of planes; :func:`fast_unet` makes it.

    It works on one image at a time, in memory that is kept between calls.
    """

    entry: EntryBlock | FastBlock
    """At the full resolution: of two planes, or of the pixels of patches."""
    down: tuple[FastBlock, ...]
    """From half to the lowest resolution."""
    lifts: tuple[Pointwise, ...]
    up: tuple[FastBlock, ...]
    """From the second lowest to the full resolution."""
    last: Pointwise
    patch: int
    exponent: float
    space: Workspace = field(default_factory=Workspace, repr=False, compare=False)

    def __call__(self, planes: Tensor) -> Tensor:
        """Logits ``(n, 1, y, x)`` of float32 planes ``(n, 2, y, x)`` on the CPU."""
        with self.space.workers() as work:
            logits = [self._one(seen(image, self.exponent), work)[None] for image in planes]
        return torch.stack(logits) if len(logits) > 1 else logits[0][None]

    def _one(self, planes: Tensor, work: Workers) -> Tensor:
        height, width = (side // self.patch for side in planes.shape[1:])
        images = [self._image(level, height, width) for level in range(1 + len(self.down))]
        self._enter(planes, images[0], self._spare(images, 0), work)
        for level, block in enumerate(self.down, start=1):
            descend(block, images[level - 1], images[level], self._spare(images, level), work)
        below = images[-1]
        for level, (lift, block) in enumerate(zip(self.lifts, self.up, strict=True)):
            level = len(self.up) - 1 - level
            target = self._spare(images, level)
            ascend(block, lift, below, images[level], target, work)
            below = target
        return leave(self.last, below, self.patch, work)

    def _enter(self, planes: Tensor, target: Phased, spare: Phased, work: Workers) -> None:
        height, width = target.height, target.width
        if isinstance(self.entry, FastBlock):
            pixels = planes.view(len(planes), height, self.patch, width, self.patch)
            enter_patches(self.entry, pixels.permute(1, 3, 0, 2, 4), target, spare, work)
            return
        images = []
        for index, plane in enumerate(planes):
            images.append(self._placed(f"plane {index}", height, width, 1))
            images[-1].fill(plane[..., None])
        enter(self.entry, images, target, spare, work)

    def _image(self, level: int, height: int, width: int) -> Phased:
        n_features = self.entry.skip.shape[1] << level
        return self._placed(f"level {level}", height >> level, width >> level, n_features)

    def _spare(self, images: list[Phased], level: int) -> Phased:
        """An image like that of `level`, in other memory than those of the levels beside it."""
        like = images[level]
        return self._placed(f"spare {level % 2}", like.height, like.width, like.n_features)

    def _placed(self, name: str, height: int, width: int, n_features: int) -> Phased:
        size = phased_shape(height, width, n_features).numel()
        memory = self.space.images.take(name, size)
        return phased(memory, height=height, width=width, n_features=n_features)


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
    weights = lean(net)
    first, *others = weights.down
    with torch.inference_mode():
        return FastUNet(
            entry=_entry_block(net) if net.patch == 1 else _block(first),
            down=tuple(_block(block) for block in others),
            lifts=weights.lifts,
            up=tuple(_block(block) for block in weights.up),
            last=weights.last,
            patch=net.patch,
            exponent=net.exponent,
        )


def _block(block: LeanBlock) -> FastBlock:
    return FastBlock(block.point, fast_conv(*block.first), fast_conv(*block.second))


def _entry_block(net: UNet) -> EntryBlock:
    """Both convolutions before the first relu as work on windows ``(plane, y, x)`` and a one."""
    block = cast(ConvBlock, net.contracting_layers[0])
    weight, bias = folded(block.conv2d_1, block.bn_1)
    point, of_point = block.conv2d_0.weight[:, :, 0, 0], bias_of(block.conv2d_0)
    both = torch.einsum("koyx,oc->cyxk", weight.double(), point.double()).float()
    bias = bias + weight.sum((2, 3)) @ of_point
    centre = torch.zeros(IN_PLANES, 3, 3, len(of_point))
    centre[:, 1, 1] = point.T
    return EntryBlock(
        skip=torch.cat([centre.flatten(0, 2), torch.zeros(1, len(bias))]),
        first=torch.cat([both.flatten(0, 2), bias[None]]),
        second=fast_conv(*folded(block.conv2d_2, block.bn_2)),
    )
