"""Runs a network on a device."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .device import Precision, choose_device, choose_dtype
from .fastnet import fast_unet
from .fold import FoldedUNet
from .predicting import Predictor
from .unet import UNet
from .views import View

logger = logging.getLogger(__name__)

Network: TypeAlias = Callable[[Tensor], Tensor]
"""Planes ``(n, 2, y, x)`` to logits ``(n, 1, y, x)``."""

GPU_BATCH_PIXELS = 4 * 1024 * 1024
"""Pixels of a batch on a GPU; about 12 GB of features of the published network in bfloat16."""


@dataclass
class BatchLimit:
    """The largest batch that has not yet run out of memory."""

    size: int | None = None


@dataclass(frozen=True)
class NetPredictor(Predictor):
    """Probabilities of a network that is ready on its device; :func:`make_predictor` makes it.

    Parameters
    ----------
    network
        Planes ``(n, 2, y, x)`` to logits ``(n, 1, y, x)``, on `device`, in `dtype`.
    device, dtype
        Where and in which number format it runs.
    batch_size
        Pairs of planes at once; by default one on a CPU, and up to `GPU_BATCH_PIXELS` elsewhere.
        Out of memory halves it for good.
    """

    network: Network
    device: torch.device
    dtype: torch.dtype = torch.float32
    batch_size: int | None = None
    limit: BatchLimit = field(default_factory=BatchLimit, repr=False, compare=False)

    def each_view(
        self, planes: NDArray[np.float32], views: Sequence[View]
    ) -> Iterator[NDArray[np.float32]]:
        """Probabilities of one view after the other, turned back, axes ``(n, y, x)``."""
        there = torch.tensor(planes, device=self.device, dtype=self.dtype)
        for view in views:
            with torch.inference_mode():
                seen = turned(there, view)
                parts = self._in_batches(seen)
                back = turned_back(torch.cat(parts)[:, 0], view)
                result: NDArray[np.float32] = back.contiguous().cpu().numpy()
            yield result

    def _in_batches(self, planes: Tensor) -> list[Tensor]:
        parts: list[Tensor] = []
        start, size = 0, self._first_size(planes)
        while start < len(planes):
            batch = planes[start : start + size]
            try:
                parts.append(torch.sigmoid(self.network(batch).float()))
            except torch.OutOfMemoryError as error:
                if len(batch) == 1:
                    error.add_note("One tile is too much; a smaller tile_size needs less memory.")
                    raise
                size = self._halved(len(batch))
                continue
            start += len(batch)
        return parts

    def _first_size(self, planes: Tensor) -> int:
        if self.batch_size is not None:
            size = self.batch_size
        elif self.device.type == "cpu":
            size = 1
        else:
            size = max(1, GPU_BATCH_PIXELS // (planes.shape[-2] * planes.shape[-1]))
        return size if self.limit.size is None else min(size, self.limit.size)

    def _halved(self, size: int) -> int:
        if self.limit.size is None:
            logger.warning(
                "%s is out of memory with %d tiles at once; going on with %d",
                self.device,
                size,
                size // 2,
            )
        self.limit.size = size // 2
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        return size // 2


def make_predictor(
    net: UNet,
    *,
    device: str | None = None,
    precision: Precision = "auto",
    batch_size: int | None = None,
) -> NetPredictor:
    """Make a network ready on a device: fold its batch norms, order its memory, move it.

    Parameters
    ----------
    net
        In evaluation mode; it is not changed.
    device
        ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``; None takes the best there is.
    precision
        ``"float32"`` is exact; ``"auto"`` takes bfloat16 where the device is fast in it.
    batch_size
        Pairs of planes at once.

    Examples
    --------
    >>> predictor = make_predictor(UNet(depth=3, root_filters=4), device="cpu")
    >>> predictor.predict(np.zeros((1, 2, 16, 20), np.float32)).shape
    (1, 1, 16, 20)
    """
    where = choose_device(device)
    dtype = choose_dtype(precision, where)
    if where.type == "cpu" and dtype == torch.float32:
        return NetPredictor(fast_unet(net), where, dtype, batch_size)
    network = FoldedUNet(net).to(device=where, dtype=dtype).eval()
    return NetPredictor(network, where, dtype, batch_size)


def turned(x: Tensor, view: View) -> Tensor:
    """`view` of a tensor, axes ``(..., y, x)``."""
    return _flipped(x.transpose(-1, -2) if view.transpose else x, view)


def turned_back(x: Tensor, view: View) -> Tensor:
    """The tensor that has this view."""
    x = _flipped(x, view)
    return x.transpose(-1, -2) if view.transpose else x


def _flipped(x: Tensor, view: View) -> Tensor:
    axes = [axis for axis, flip in ((-2, view.flip_y), (-1, view.flip_x)) if flip]
    return x.flip(axes) if axes else x
