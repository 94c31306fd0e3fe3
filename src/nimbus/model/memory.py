"""A device that has too little memory: how it is known, and told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

NO_MEMORY = (
    "out of memory",
    "CUDNN_STATUS_ALLOC_FAILED",
    "unable to find an engine to execute",
    "must fit into 32-bit index math",
)
"""What errors of too large a batch say that have no class of their own.

The first is of MPS, the next two are of cuDNN; the last is of CUDA's padding, which takes no tensor
of 2^31 values, however much memory there is.
"""


def is_out_of_memory(error: RuntimeError) -> bool:
    """Whether a device had too little memory, by the class of the error or by what it says.

    Examples
    --------
    >>> is_out_of_memory(RuntimeError("MPS backend out of memory (MPS allocated: 18.01 GB)"))
    True
    >>> is_out_of_memory(RuntimeError("sizes do not match"))
    False
    """
    return isinstance(error, torch.OutOfMemoryError) or any(w in str(error) for w in NO_MEMORY)


@contextmanager
def memory_told(device: torch.device | str, batch_size: int) -> Iterator[None]:
    """Raise ``MemoryError``, with what to do, where a step is too large for `device`."""
    try:
        yield
    except RuntimeError as error:
        if not is_out_of_memory(error):
            raise
        raise MemoryError(
            f"{device} is out of memory with a batch_size of {batch_size}; train with a smaller one"
        ) from error
