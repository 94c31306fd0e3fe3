"""The network on a processor, in float32, where it has few features.

What differs from :class:`UNet`: batch norms are folded; nothing is padded, joined or upsampled
but strips, which stay in a core's cache; and only what one block hands to others is kept whole. The
function is the same, to rounding. Networks of more features are quicker by :mod:`.fastnet`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product

import torch
from torch import Tensor

from .directblock import DirectConv, Enter, Leave, direct_conv, through_block
from .lean import LeanBlock, Pointwise, lean
from .strips import Scratch, Workers, Workspace
from .unet import IN_PLANES, UNet, seen


@dataclass(frozen=True)
class DirectBlock:
    """A :class:`nimbus.model.lean.LeanBlock` ready to run."""

    point: Tensor
    first: DirectConv
    second: DirectConv


@dataclass(frozen=True)
class DirectUNet:
    """Logits of planes; :func:`direct_unet` makes it.

    It works on one image at a time, in memory that is kept between calls.
    """

    down: tuple[DirectBlock, ...]
    """From the full to the lowest resolution."""
    lifts: tuple[Pointwise, ...]
    up: tuple[DirectBlock, ...]
    """From the second lowest to the full resolution."""
    last: Pointwise
    patch: int
    exponent: float
    space: Workspace = field(repr=False, compare=False)

    def __call__(self, planes: Tensor) -> Tensor:
        """Logits ``(n, 1, y, x)`` of float32 planes ``(n, 2, y, x)`` on the CPU."""
        with self.space.workers() as work:
            logits = [self._one(seen(image, self.exponent), work)[None] for image in planes]
        return torch.stack(logits) if len(logits) > 1 else logits[0][None]

    def _one(self, planes: Tensor, work: Workers) -> Tensor:
        """Logits ``(y, x)`` of planes ``(2, y, x)``."""
        height, width = (side // self.patch for side in planes.shape[1:])
        kept: list[Tensor] = []
        for level, block in enumerate(self.down):
            enter = _pooled(kept[-1], block) if kept else _placed(planes, self.patch, block)
            size = height >> level, width >> level
            kept.append(self._wide(f"level {level}", size, block))
            through_block(block.first, block.second, size, work, enter=enter, leave=_into(kept[-1]))
        below = kept.pop()
        logits = torch.empty(height, self.patch, width, self.patch)
        for lift, block in zip(self.lifts, self.up, strict=True):
            skip = kept.pop()
            size = height >> len(kept), width >> len(kept)
            enter, leave = _lifted(lift, below, skip, block), _shown(self.last, logits)
            if kept:
                below = self._wide(f"up {len(kept)}", size, block)
                leave = _into(below)
            through_block(block.first, block.second, size, work, enter=enter, leave=leave)
        return logits.view(planes.shape[1:])

    def _wide(self, name: str, size: tuple[int, int], block: DirectBlock) -> Tensor:
        """Wide rows of a block's features; finite values first."""
        return self.space.images.take(name, size[0], size[1] + 2, block.point.shape[1])


def direct_unet(net: UNet, space: Workspace | None = None) -> DirectUNet:
    """Prepare `net`, which is not changed.

    Parameters
    ----------
    net
        In evaluation mode.
    space
        Memory to share with other networks, which then wait for each other.

    Examples
    --------
    >>> net = UNet(depth=3, root_filters=4).eval()
    >>> planes = torch.rand(1, 2, 16, 20)
    >>> with torch.inference_mode():
    ...     torch.allclose(direct_unet(net)(planes), net(planes), atol=1e-5)
    True
    """
    weights = lean(net)
    with torch.inference_mode():
        return DirectUNet(
            down=tuple(_block(block) for block in weights.down),
            lifts=weights.lifts,
            up=tuple(_block(block) for block in weights.up),
            last=weights.last,
            patch=net.patch,
            exponent=net.exponent,
            space=space or Workspace(),
        )


def _block(block: LeanBlock) -> DirectBlock:
    return DirectBlock(block.point, direct_conv(*block.first), direct_conv(*block.second))


def _placed(planes: Tensor, patch: int, block: DirectBlock) -> Enter:
    """The pixels of patches of both planes ``(2, y, x)`` are features."""
    pixels = list(product(range(IN_PLANES), range(patch), range(patch)))

    def enter(start: int, stop: int, scratch: Scratch, out: Tensor) -> None:
        placed = scratch.take("placed", *out.shape[:2], len(pixels))
        for index, (plane, y, x) in enumerate(pixels):
            rows = planes[plane, patch * start + y : patch * stop : patch, x::patch]
            placed[:, 1:-1, index] = rows
        _product(placed, block.point, out)

    return enter


def _pooled(above: Tensor, block: DirectBlock) -> Enter:
    """Maxima of 2x2 pixels of wide rows."""

    def enter(start: int, stop: int, scratch: Scratch, out: Tensor) -> None:
        n_rows, width, n = stop - start, out.shape[1] - 2, above.shape[2]
        pairs = above[2 * start : 2 * stop, 1:-1].view(n_rows, 2, 2 * width, n)
        higher = scratch.take("higher", n_rows, 2 * width, n)
        torch.maximum(pairs[:, 0], pairs[:, 1], out=higher)
        pooled = scratch.take("pooled", n_rows, width + 2, n)
        torch.maximum(higher[:, ::2], higher[:, 1::2], out=pooled[:, 1:-1])
        _product(pooled, block.point, out)

    return enter


def _lifted(lift: Pointwise, below: Tensor, skip: Tensor, block: DirectBlock) -> Enter:
    """Wide rows of `skip`, and beside them each pixel of `below` as 2x2 pixels."""
    n = skip.shape[2]
    of_skip, of_lifted = block.point[:n], block.point[n:]

    def enter(start: int, stop: int, scratch: Scratch, out: Tensor) -> None:
        first, last = start // 2, -(-stop // 2)
        four = scratch.take("four", last - first, below.shape[1], 4 * n)
        _product(below[first:last], lift.weight, four)
        four += lift.bias
        lifted = scratch.take("lifted", 2 * (last - first), skip.shape[1], n)
        for y in range(2):
            pairs = four[:, 1:-1, 2 * n * y : 2 * n * (y + 1)]  # both columns of a pair
            torch.clamp_min(pairs, 0, out=lifted[y::2, 1:-1].view(pairs.shape))
        _product(skip[start:stop], of_skip, out)
        rows = lifted[start - 2 * first :][: stop - start]
        out.view(-1, n).addmm_(rows.view(-1, n), of_lifted)

    return enter


def _into(image: Tensor) -> Leave:
    """Features are kept as wide rows of an image."""

    def leave(start: int, stop: int, new: Tensor, seen: Tensor) -> None:
        torch.add(new, seen, out=image[start:stop, 1:-1])

    return leave


def _shown(last: Pointwise, logits: Tensor) -> Leave:
    """Features become logits ``(y, y in patch, x, x in patch)``."""
    patch = logits.shape[1]

    def leave(start: int, stop: int, new: Tensor, seen: Tensor) -> None:
        values = new.add_(seen) @ last.weight
        values += last.bias
        for index, (y, x) in enumerate(product(range(patch), range(patch))):
            logits[start:stop, y, :, x] = values[..., index]

    return leave


def _product(pixels: Tensor, weight: Tensor, out: Tensor) -> None:
    """Write features ``(..., n_out)`` of `pixels` ``(..., n_in)``; neither has gaps in memory."""
    n_in, n_out = weight.shape
    torch.mm(pixels.view(-1, n_in), weight, out=out.view(-1, n_out))
