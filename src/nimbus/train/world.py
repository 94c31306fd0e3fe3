"""Processes that train one network together, by PyTorch's DistributedDataParallel.

``torchrun --nproc-per-node 4 -m ...`` starts them; nothing else has to be said. Each takes every
`size`-th sample of a batch. On GPUs batch norms are those of the whole batch; PyTorch has none
such for processors, where each process uses the statistics of its share.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, fields

import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from nimbus.model.device import choose_device

from .samples import Batch


@dataclass(frozen=True, slots=True)
class World:
    """This process among those that train together.

    Parameters
    ----------
    rank
        Its number, from 0; process 0 writes log and checkpoints.
    size
        Number of processes.
    device
        Its own device.
    """

    rank: int
    size: int
    device: torch.device


def joined(device: str) -> World:
    """The world that ``torchrun`` started; a world of one without it.

    Parameters
    ----------
    device
        ``"cuda"`` gives each process of a machine its own GPU.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return World(0, 1, choose_device(device))
    if device == "cuda":
        device = f"cuda:{os.environ['LOCAL_RANK']}"
    chosen = choose_device(device)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    return World(distributed.get_rank(), distributed.get_world_size(), chosen)


def spread(net: nn.Module, world: World) -> nn.Module:
    """`net` for the forward pass: its gradients are the mean over all processes."""
    if world.size == 1:
        return net
    if world.device.type == "cuda":
        net = nn.SyncBatchNorm.convert_sync_batchnorm(net)  # type: ignore[no-untyped-call]
        return DistributedDataParallel(net, device_ids=[world.device])
    return DistributedDataParallel(net)


def share(batch: Batch, world: World) -> Batch:
    """This process's samples of a batch."""
    if world.size == 1:
        return batch
    every = (getattr(batch, field.name) for field in fields(Batch))
    return Batch(*(tensor[world.rank :: world.size] for tensor in every))


def summed(values: Tensor, world: World) -> Tensor:
    """Sum of `values` over all processes."""
    out = values.detach().clone()
    if world.size > 1:
        distributed.all_reduce(out)
    return out
