"""A block of few features on a processor: from strips of its input to strips of its output.

With few features Winograd's transforms cost more than the multiplications that they save, so these
are PyTorch's own 3x3 convolutions. All of a block happens to one strip, in a core's cache, before
the next: a strip sees two rows more on each side, which its neighbours compute as well.

Rows are wide: ``(y, 1 + x + 1, feature)``, with a column for the reflected rim on each side, so
that pointwise work is on one stretch of memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import torch
from torch import Tensor
from torch.nn import functional as F

from .strips import Scratch, Workers

STRIP_FLOATS = 524288
"""Features of a strip: 2 MB."""

Enter: TypeAlias = Callable[[int, int, Scratch, Tensor], None]
"""Writes wide rows from start to stop of a block's first features; what the rim gets is finite."""

Leave: TypeAlias = Callable[[int, int, Tensor, Tensor], None]
"""Takes rows from start to stop, ``(y, x, feature)``: a block's features are the sum of both."""


@dataclass(frozen=True)
class DirectConv:
    """Weights ``(n_out, n_in, 3, 3)``, channels last, and biases ``(n_out,)``."""

    weight: Tensor
    bias: Tensor

    def __call__(self, rows: Tensor) -> Tensor:
        """Features ``(y - 2, x, n_out)`` of wide rows ``(y, 1 + x + 1, n_in)``."""
        image = rows.permute(2, 0, 1)[None]
        return F.conv2d(image, self.weight, self.bias)[0].permute(1, 2, 0)


def direct_conv(weight: Tensor, bias: Tensor) -> DirectConv:
    """Prepare weights ``(n_out, n_in, 3, 3)``."""
    return DirectConv(weight.contiguous(memory_format=torch.channels_last), bias)


def through_block(
    first: DirectConv,
    second: DirectConv,
    size: tuple[int, int],
    work: Workers,
    *,
    enter: Enter,
    leave: Leave,
) -> None:
    """Two 3x3 convolutions with their relus, added to what they see.

    Parameters
    ----------
    first, second
        The convolutions.
    size
        Height and width of the image.
    work
        Threads that share its strips.
    enter, leave
        Where a strip comes from and goes to.
    """
    height, width = size
    n = first.weight.shape[1]

    def strip(start: int, stop: int, scratch: Scratch) -> None:
        top, bottom = int(start == 0), int(stop == height)
        above, below = max(0, start - 2), min(height, stop + 2)
        seen = scratch.take("seen", top + below - above + bottom, width + 2, n)
        enter(above, below, scratch, seen[top : len(seen) - bottom])
        _fill_rim(seen, top, bottom)
        half = first(seen)
        middle = scratch.take("middle", top + len(half) + bottom, width + 2, n)
        torch.clamp_min(half, 0, out=middle[top : len(middle) - bottom, 1:-1])
        _fill_rim(middle, top, bottom)
        new = second(middle).relu_()
        own = top + start - above
        leave(start, stop, new, seen[own : own + len(new), 1:-1])

    work.share(strip, _parts(height, width * n))


def _fill_rim(rows: Tensor, top: int, bottom: int) -> None:
    """Reflect columns into the rim, and rows where the strip has one; a side of one is repeated."""
    y, x = (min(1, side - 1) for side in (len(rows) - top - bottom, rows.shape[1] - 2))
    if top:
        rows[0] = rows[1 + y]
    if bottom:
        rows[-1] = rows[-2 - y]
    rows[:, 0] = rows[:, 1 + x]
    rows[:, -1] = rows[:, -2 - x]


def _parts(height: int, row_floats: int) -> list[tuple[int, int]]:
    """Strips of at least two rows, an even number where there is more than one.

    They do not depend on the number of threads, and so nor does any bit of the result.
    """
    n_parts = -(-height * row_floats // STRIP_FLOATS)
    n_parts = max(1, min(height // 2, n_parts + n_parts % 2))
    ends = [height * part // n_parts for part in range(n_parts + 1)]
    return list(pairwise(ends))
