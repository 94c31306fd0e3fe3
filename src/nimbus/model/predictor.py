"""Runs a network on a device."""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .link import Link, PlainLink, Waiting
from .memory import is_out_of_memory
from .predicting import HOST_LOCK, Predictor
from .turning import turned, turned_back
from .views import View

logger = logging.getLogger(__name__)

Network: TypeAlias = Callable[[Tensor], Tensor]
"""Planes ``(n, 2, y, x)`` to logits ``(n, 1, y, x)``."""

GPU_BATCH_PIXELS = 4 * 1024 * 1024
"""Pixels of a batch on a GPU in bfloat16, about 12 GB of features of the published network.

In float32 it is half of that.
"""

_ASKING = threading.Lock()
"""Held while a device is asked for work, which takes no longer than Python needs to say it."""


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
        Out of memory halves it for good; ``MemoryError`` where one pair is too much.
    link
        Copies to the device and back; by default copies that wait.
    turned
        Networks that give what `network` makes of a view, turned back, without turning planes.
    limit
        The largest batch that has not yet run out of memory; it is found on the way.

    Examples
    --------
    >>> from nimbus.model import UNet
    >>> net = UNet(depth=2, root_filters=2).eval().requires_grad_(False)
    >>> predictor = NetPredictor(net, torch.device("cpu"), batch_size=4)
    >>> predictor.fitting(512 * 512)  # tiles of this size that it takes at once
    4
    >>> predictor.predict(np.zeros((6, 2, 8, 8), np.float32)).shape
    (6, 1, 8, 8)
    """

    network: Network
    device: torch.device
    dtype: torch.dtype = torch.float32
    batch_size: int | None = None
    link: Link | None = None
    turned: Mapping[View, Network] = field(default_factory=dict, repr=False, compare=False)
    limit: BatchLimit = field(default_factory=BatchLimit, repr=False, compare=False)

    def each_view(
        self, planes: NDArray[np.float32], views: Sequence[View]
    ) -> Iterator[NDArray[np.float32]]:
        """Probabilities of one view after the other, turned back, axes ``(n, y, x)``.

        A device that takes work ahead is asked for all views at once, and nothing waits for it
        but the values: the next tile is asked for while those of this one are used.
        """
        link = self.link or PlainLink(self.device)
        if link.queues:
            for wait in self._asked(link, planes, views):
                yield wait()
            return
        there = link.up(planes, self.dtype)
        for view in views:
            yield link.back(self._alone(there, view))()

    def fitting(self, n_pixels: int) -> int:
        """Pairs of planes of so many pixels that go to the device at once."""
        if self.batch_size is not None:
            size = self.batch_size
        elif self.device.type == "cpu":
            size = 1
        else:
            size = max(1, GPU_BATCH_PIXELS * 2 // (n_pixels * self.dtype.itemsize))
        return size if self.limit.size is None else min(size, self.limit.size)

    @property
    def lock(self) -> AbstractContextManager[object]:
        """That of the processor; none where the device takes work ahead."""
        return nullcontext() if self.link is not None and self.link.queues else HOST_LOCK

    def _asked(
        self, link: Link, planes: NDArray[np.float32], views: Sequence[View]
    ) -> list[Waiting]:
        """All views, asked for: those of one shape fill batches together."""
        waiting: dict[int, Waiting] = {}
        with _ASKING, _exact():
            there = link.up(planes, self.dtype)
            for group in _of_one_shape(planes.shape[-2:], views):
                seen = self._together(there, [views[k] for k in group])
                waiting |= {k: link.back(one) for k, one in zip(group, seen, strict=True)}
        return [waiting[k] for k in range(len(views))]

    def _alone(self, planes: Tensor, view: View) -> Tensor:
        """Probabilities ``(n, y, x)`` of one view, on the device."""
        if view not in self.turned:
            return self._together(planes, [view])[0]
        with torch.inference_mode():
            return _joined(self._in_batches(planes, self.turned[view]))[:, 0]

    def _together(self, planes: Tensor, views: Sequence[View]) -> list[Tensor]:
        """Probabilities ``(n, y, x)`` of views of one shape, on the device."""
        with torch.inference_mode():
            seen = _joined([turned(planes, view) for view in views])
            parts = torch.split(_joined(self._in_batches(seen, self.network))[:, 0], len(planes))
            return [turned_back(part, view) for part, view in zip(parts, views, strict=True)]

    def _in_batches(self, planes: Tensor, network: Network) -> list[Tensor]:
        parts: list[Tensor] = []
        start, size = 0, self.fitting(planes.shape[-2] * planes.shape[-1])
        while start < len(planes):
            batch = planes[start : start + size]
            try:
                parts.append(torch.sigmoid(network(batch).float()))
            except RuntimeError as error:
                if not is_out_of_memory(error):
                    raise
                # The error holds the frames of the network, and they hold its features.
                traceback.clear_frames(error.__traceback__)
                if len(batch) == 1:
                    raise MemoryError(
                        f"{self.device} is out of memory with a single tile; a smaller tile_size "
                        "needs less"
                    ) from error
                size = self._halved(len(batch))
                continue
            start += len(batch)
        return parts

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
        elif self.device.type == "mps":
            torch.mps.empty_cache()
        return size // 2


@contextmanager
def _exact() -> Iterator[None]:
    """Convolutions of cuDNN without TF32, in a reproducible way; the user's settings come back.

    TF32 would make float32 as coarse as float16. The older switch ``allow_tf32`` cannot even be
    read where the user has set the newer ones.
    """
    cudnn: Any = torch.backends.cudnn
    before = cudnn.enabled, cudnn.deterministic, cudnn.benchmark, cudnn.conv.fp32_precision
    cudnn.enabled, cudnn.deterministic, cudnn.benchmark = True, True, False
    cudnn.conv.fp32_precision = "ieee"
    try:
        yield
    finally:
        cudnn.enabled, cudnn.deterministic, cudnn.benchmark, cudnn.conv.fp32_precision = before


def _joined(parts: Sequence[Tensor]) -> Tensor:
    """One batch of all; of one part, that part without a copy."""
    return torch.cat(list(parts)) if len(parts) > 1 else parts[0]


def _of_one_shape(shape: Sequence[int], views: Sequence[View]) -> list[list[int]]:
    """Positions of views whose images have one shape: all of them where images are square."""
    if shape[0] == shape[1]:
        return [list(range(len(views)))]
    groups = [[k for k, view in enumerate(views) if view.transpose == t] for t in (False, True)]
    return [group for group in groups if group]
