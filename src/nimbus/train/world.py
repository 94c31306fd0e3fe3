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

    Raises
    ------
    ValueError
        A device that is not on this machine, or that several processes cannot train on; a number of
        processes without the number of this one on its machine.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return World(0, 1, choose_device(device))
    chosen = _own_device(device, size)
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    if not distributed.is_initialized():
        # NCCL is not made for Windows; gloo adds up what lies on GPUs too.
        fast = chosen.type == "cuda" and distributed.is_nccl_available()
        distributed.init_process_group("nccl" if fast else "gloo")
    return World(distributed.get_rank(), distributed.get_world_size(), chosen)


def left() -> None:
    """Leave the other processes, where there are some: what they wait for together is over."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.destroy_process_group()


def _own_device(device: str, size: int) -> torch.device:
    """The device of this one of `size` processes."""
    if device not in ("cuda", "cpu"):
        raise ValueError(
            f"{size} processes train on 'cuda', each on its own GPU, or on 'cpu', not on "
            f"{device!r}; give one of those, or start one process without torchrun"
        )
    if device == "cpu":
        return choose_device(device)
    if "LOCAL_RANK" not in os.environ:
        raise ValueError(
            f"WORLD_SIZE is {size}, but LOCAL_RANK, which says which GPU a process takes, is not "
            "set; start the processes with torchrun, or unset WORLD_SIZE to train in one"
        )
    return choose_device(f"cuda:{os.environ['LOCAL_RANK']}")


def require_shares(batch_size: int, world: World) -> None:
    """Raise ``ValueError`` where a process would get no sample of a batch.

    Examples
    --------
    >>> require_shares(8, World(0, 16, torch.device("cpu")))
    Traceback (most recent call last):
    ValueError: batch_size=8 leaves some of 16 processes without a sample; take a batch_size of at
        least 16, or fewer processes
    """
    if batch_size < world.size:
        raise ValueError(
            f"batch_size={batch_size} leaves some of {world.size} processes without a sample; take "
            f"a batch_size of at least {world.size}, or fewer processes"
        )


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
