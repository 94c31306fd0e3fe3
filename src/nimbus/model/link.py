"""How planes get to a device and probabilities come back, and who waits for whom.

A CUDA device works through what it was told while the host goes on. So nothing here waits for it
until somebody asks for a value: planes are copied from pinned memory by one stream, the network
runs on the usual one, and a third copies back what is done::

    up     planes of tile 1 | planes of tile 2 |
    run                     | tile 1           | tile 2
    back                                       | tile 1     | tile 2
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Waiting: TypeAlias = Callable[[], NDArray[np.float32]]
"""Gives a value of the device, when it is there."""


class Link(ABC):
    """Copies between the host and a device."""

    @property
    @abstractmethod
    def queues(self) -> bool:
        """Whether the device takes work ahead: the host does not wait for what it asks for."""

    @abstractmethod
    def up(self, planes: NDArray[np.float32], dtype: torch.dtype) -> Tensor:
        """The planes on the device."""

    @abstractmethod
    def back(self, values: Tensor) -> Waiting:
        """What gives float32 `values` of the device on the host."""


@dataclass(frozen=True, slots=True)
class PlainLink(Link):
    """Copies that wait: the host's own memory, and devices without streams."""

    device: torch.device

    @property
    def queues(self) -> bool:
        """No."""
        return False

    def up(self, planes: NDArray[np.float32], dtype: torch.dtype) -> Tensor:
        """The planes on the device."""
        if self.device.type == "cpu" and dtype == torch.float32 and planes.flags.writeable:
            return torch.from_numpy(planes)  # no copy: nothing writes to planes
        return torch.tensor(planes, device=self.device, dtype=dtype)

    def back(self, values: Tensor) -> Waiting:
        """The values, copied now."""
        here: NDArray[np.float32] = values.contiguous().cpu().numpy()
        return lambda: here


@dataclass(frozen=True, slots=True)
class CudaLink(Link):
    """Copies beside the work of a CUDA device, each direction in a stream of its own.

    PyTorch keeps pinned memory until copies from it are done, and memory that ``record_stream``
    names until that stream is.
    """

    device: torch.device
    upwards: torch.cuda.Stream
    backwards: torch.cuda.Stream

    @classmethod
    def to(cls, device: torch.device) -> CudaLink:
        """A link with new streams."""
        up, back = (torch.cuda.Stream(device) for _ in range(2))  # type: ignore[no-untyped-call]
        return cls(device, up, back)

    @property
    def queues(self) -> bool:
        """Yes."""
        return True

    def up(self, planes: NDArray[np.float32], dtype: torch.dtype) -> Tensor:
        """The planes on the device, when its present stream gets there."""
        pinned = torch.empty(planes.shape, dtype=torch.float32, pin_memory=True)
        pinned.numpy()[...] = planes
        running = torch.cuda.current_stream(self.device)
        with torch.cuda.stream(self.upwards):
            there = pinned.to(self.device, non_blocking=True).to(dtype)
        running.wait_stream(self.upwards)
        there.record_stream(running)
        return there

    def back(self, values: Tensor) -> Waiting:
        """The values, copied when they are there; asking for them waits for that."""
        values = values.contiguous()
        self.backwards.wait_stream(torch.cuda.current_stream(self.device))
        with torch.cuda.stream(self.backwards):
            here = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
            here.copy_(values, non_blocking=True)
            # A thread that waits takes no processor.
            copied = torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
            copied.record(self.backwards)
        values.record_stream(self.backwards)

        def wait() -> NDArray[np.float32]:
            copied.synchronize()
            out: NDArray[np.float32] = here.numpy()
            return out

        return wait


def link_to(device: torch.device) -> Link:
    """The link to a device."""
    return CudaLink.to(device) if device.type == "cuda" else PlainLink(device)
