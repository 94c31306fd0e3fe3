"""Which device and which precision a network runs in."""

from __future__ import annotations

import warnings
from typing import Literal, get_args

import torch

from nimbus._check import listed

Precision = Literal["auto", "float32", "bfloat16", "float16"]


def choose_device(name: str | None) -> torch.device:
    """The device of that name; the best one there is for None (cuda, mps, cpu).

    Parameters
    ----------
    name
        As PyTorch spells it: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``.

    Warns
    -----
    UserWarning
        For None, where there is a GPU that PyTorch cannot use.

    Raises
    ------
    ValueError
        No device of that name on this machine; nothing else is taken instead.

    Examples
    --------
    >>> choose_device("cpu")
    device(type='cpu')
    >>> choose_device("gpu")
    Traceback (most recent call last):
    ValueError: device 'gpu' is not known; there is: ...
    """
    there = available_devices()
    if name is None:
        if there[0] == "cpu" and torch.cuda.device_count() > 0:
            warnings.warn(
                "PyTorch cannot use the GPU of this machine, so the processor is taken; most often "
                "its driver is too old for this PyTorch. Update one of them, or give device='cpu'",
                UserWarning,
                stacklevel=2,
            )
        return torch.device(there[0].split(":")[0])
    if name not in there and name != there[0].split(":")[0]:
        known = name.split(":")[0] in ("cuda", "mps", "cpu")
        what = "is not on this machine" if known else "is not known"
        raise ValueError(f"device {name!r} {what}; there is: {listed(there)}")
    return torch.device(name)


def available_devices() -> list[str]:
    """Names of the devices of this machine, best first.

    Examples
    --------
    >>> available_devices()[-1]  # before it ``"cuda:0"`` and so on, or ``"mps"``
    'cpu'
    """
    # The count alone is also that of GPUs whose driver is too old for this PyTorch.
    n_gpus = torch.cuda.device_count() if torch.cuda.is_available() else 0
    names = [f"cuda:{index}" for index in range(n_gpus)]
    if torch.backends.mps.is_available():
        names.append("mps")
    return [*names, "cpu"]


def choose_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """The number format of the network.

    Parameters
    ----------
    precision
        ``"auto"`` is bfloat16 where the device multiplies it in hardware (`fast_bfloat16`),
        else float32.
    device
        Where the network runs.

    Raises
    ------
    ValueError
        An unknown precision.

    Examples
    --------
    >>> choose_dtype("float32", torch.device("cpu"))
    torch.float32
    """
    if precision not in get_args(Precision):
        raise ValueError(
            f"precision {precision!r} is not known; there is: {listed(get_args(Precision))}"
        )
    if precision == "auto":
        return torch.bfloat16 if fast_bfloat16(device) else torch.float32
    dtype: torch.dtype = getattr(torch, precision)
    return dtype


def feature_order(device: torch.device) -> torch.memory_format:
    """The order in memory that a network's features and kernels have on `device`.

    Channels last is what processors and tensor cores multiply fastest. On Apple's GPUs PyTorch 2.13
    cannot go back through batch norms in that order (mended by its pull request 188371).

    Examples
    --------
    >>> feature_order(torch.device("cuda")), feature_order(torch.device("mps"))
    (torch.channels_last, torch.contiguous_format)
    """
    return torch.contiguous_format if device.type == "mps" else torch.channels_last


def fast_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is faster than float32 on `device`.

    On a processor that is so with matrix tiles (AMX) alone: the AVX-512 instructions multiply
    bfloat16 at half the rate of float32 (docs/design/network.md).
    """
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device) >= (8, 0)
    return device.type == "cpu" and torch.cpu._is_amx_tile_supported()
