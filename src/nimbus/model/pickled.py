"""Files of PyTorch, which are pickles: tensors and plain values are read, nothing else.

This is the only place that reads a pickle, and no code in it runs.
"""

from __future__ import annotations

import io
import pickle
import struct
from pathlib import Path
from typing import Any

import torch

from .state import CheckpointError

_DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
    struct.error,
)
"""What PyTorch's reader of weights was seen to raise on cut and altered files."""


def read_pickled(path: Path, *, advice: str) -> Any:
    """What ``torch.save`` wrote to `path`, on the CPU.

    Parameters
    ----------
    path
        The file.
    advice
        What to do where it cannot be read; the last words of the message.

    Raises
    ------
    OSError
        The file cannot be opened.
    CheckpointError
        It is truncated or altered, no PyTorch file, or holds more than tensors and plain values.
    """
    # From memory: a length that a damaged file states is then bounded by the file's own.
    data = io.BytesIO(path.read_bytes())
    try:
        return torch.load(data, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"{path}: holds pickled objects other than weights, or is no PyTorch file. Pickled "
            f"code is never run; {advice}"
        ) from error
    except _DAMAGE as error:
        first = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise CheckpointError(
            f"{path}: truncated, or not a PyTorch file ({first}); {advice}"
        ) from error
