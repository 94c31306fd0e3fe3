"""The same passes on a GPU: what :mod:`nimbus.cluster.batchmap` does, in PyTorch."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch

from .assign import SpanNodes, span_nodes
from .batchmap import NodeSums, node_sums
from .codebook import Codebook, distances
from .grid import Grid
from .rows import Values, complete

_APPLE = threading.Lock()
"""Held while Apple's GPU works: operations of two threads at once end the process.

That is issue 197805 of PyTorch.
"""


@dataclass(frozen=True, slots=True, eq=False)
class TorchPass:
    """Finds the nearest nodes of a span of cells on a device, and sums the cells of each.

    Parameters
    ----------
    origin, products
        As in :class:`nimbus.cluster.batchmap.NumpyPass`, on the device.
    """

    origin: torch.Tensor
    products: torch.Tensor

    @classmethod
    def of(cls, codebook: Codebook, *, device: str) -> TorchPass:
        """A pass with these nodes."""
        return cls(*_tensors(codebook, device))

    def __call__(self, values: Values) -> NodeSums:
        """Sums of these cells.

        Only the nodes come from the device: adding to indices is not reproducible on a GPU, and
        Apple's have no float64.
        """
        there = values[complete(values)]
        with _alone(self.origin.device):
            near = _nearness(there, self.origin, self.products)
            node = near.argmax(dim=1).cpu().numpy()
        return node_sums(there, node, n_nodes=self.products.shape[1])


@dataclass(frozen=True, slots=True, eq=False)
class TorchAssign:
    """Finds the two nearest nodes of each cell of a span, on a device.

    Parameters
    ----------
    codebook, grid
        As in :class:`nimbus.cluster.assign.NumpyAssign`.
    origin, products
        As in :class:`TorchPass`.
    """

    codebook: Codebook
    grid: Grid
    origin: torch.Tensor
    products: torch.Tensor

    @classmethod
    def of(cls, codebook: Codebook, grid: Grid, *, device: str) -> TorchAssign:
        """Assignment to these nodes."""
        return cls(codebook, grid, *_tensors(codebook, device))

    def __call__(self, values: Values) -> SpanNodes:
        """Nodes of these cells."""
        whole = complete(values)
        there = values[whole]
        with _alone(self.origin.device):
            near = _nearness(there, self.origin, self.products)
            first = near.argmax(dim=1, keepdim=True)
            second = near.scatter_(1, first, -torch.inf).argmax(dim=1)
            nodes = torch.cat([first, second[:, None]], dim=1).cpu().numpy().astype(np.int32)
        own, other = nodes[:, 0], nodes[:, 1]
        return span_nodes(
            there, whole, (own, other, distances(there, self.codebook, own)), self.grid
        )


def make_passes(device: str) -> tuple[partial[TorchPass], partial[TorchAssign]]:
    """What :func:`train_som` and :func:`assign_nodes` take to run on a device."""
    return partial(TorchPass.of, device=device), partial(TorchAssign.of, device=device)


def _tensors(codebook: Codebook, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    origin, products = (torch.from_numpy(a) for a in (codebook.origin, codebook.products()))
    return origin.to(device), products.to(device)


def _nearness(values: Values, origin: torch.Tensor, products: torch.Tensor) -> torch.Tensor:
    """How near each node is, ``(cell, node)``, on the device; larger is nearer."""
    there = torch.from_numpy(values).to(origin.device)
    return torch.addmm(products[-1], there - origin, products[:-1])


def _alone(device: torch.device) -> AbstractContextManager[object]:
    """What is held while a device is used: nothing where threads may share it."""
    return _APPLE if device.type == "mps" else nullcontext()
