"""Networks made ready: on one device, or on all GPUs."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch

from .device import (
    Precision,
    available_devices,
    choose_device,
    choose_dtype,
    fast_bfloat16,
    feature_order,
)
from .directnet import direct_unet
from .fastnet import fast_unet
from .fold import FoldedUNet
from .link import link_to
from .manydevices import ManyDevices
from .predicting import Predictor
from .predictor import NetPredictor
from .strips import Workspace
from .turning import turned_net
from .unet import UNet
from .views import VIEWS

DIRECT_FILTERS = 12
"""Up to so many features at the full resolution, a processor is quicker without Winograd."""


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
        In evaluation mode, on any device; it is not changed.
    device
        ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``; None takes the best there is. ``"cuda"`` is
        PyTorch's current one.
    precision
        ``"float32"`` is exact; ``"auto"`` takes bfloat16 where the device is fast in it.
    batch_size
        Pairs of planes at once.

    Raises
    ------
    ValueError
        An unknown precision, or a device that is not on this machine.

    Examples
    --------
    >>> import numpy as np
    >>> predictor = make_predictor(UNet(depth=3, root_filters=4), device="cpu")
    >>> predictor.predict(np.zeros((1, 2, 16, 20), np.float32)).shape
    (1, 1, 16, 20)
    """
    where = _numbered(choose_device(device))
    dtype = choose_dtype(precision, where)
    if where.type == "cpu" and dtype == torch.float32:
        return _on_host(net, batch_size)
    network = FoldedUNet(net).to(device=where, dtype=dtype).eval()
    network.to(memory_format=feature_order(where))  # type: ignore[call-overload]
    return NetPredictor(network, where, dtype, batch_size, link_to(where))


def _on_host(net: UNet, batch_size: int | None) -> NetPredictor:
    """On the processor, in float32: the way that is quicker for so many features."""
    host = torch.device("cpu")
    if next(net.parameters()).device != host:
        net = copy.deepcopy(net).cpu()
    if net.root_filters > DIRECT_FILTERS:
        return NetPredictor(fast_unet(net), host, batch_size=batch_size)
    space = Workspace()
    others = {view: direct_unet(turned_net(net, view), space) for view in VIEWS[1:]}
    return NetPredictor(direct_unet(net, space), host, batch_size=batch_size, turned=others)


def predictor_of_all(
    net: UNet, *, device: str | None, precision: Precision, batch_size: int | None
) -> Predictor:
    """:func:`make_predictor`; on all GPUs in turn where there are some and none is chosen.

    Parameters
    ----------
    net, precision, batch_size
        As in :func:`make_predictor`; ``"auto"`` is bfloat16 where all devices are fast in it.
    device
        One device; None or ``"cuda"`` takes all GPUs, each for the tile that comes next.

    Raises
    ------
    ValueError
        An unknown precision, or a device that is not on this machine.

    Examples
    --------
    >>> import numpy as np
    >>> net = UNet(depth=2, root_filters=2).eval()
    >>> one = predictor_of_all(net, device="cpu", precision="float32", batch_size=None)
    >>> one.predict(np.zeros((1, 2, 8, 8), np.float32)).shape
    (1, 1, 8, 8)
    """
    chosen = choose_device(device)
    every = chosen.type == "cuda" and chosen.index is None
    gpus = [torch.device(name) for name in available_devices() if name.startswith("cuda:")]
    where = gpus if every else [chosen]
    common = _common(precision, where)
    each = [
        make_predictor(net, device=str(one), precision=common, batch_size=batch_size)
        for one in where
    ]
    return each[0] if len(each) == 1 else ManyDevices(tuple(each))


def _numbered(device: torch.device) -> torch.device:
    """A GPU with its number: which one is the current one differs between threads."""
    if device.type != "cuda" or device.index is not None:
        return device
    return torch.device("cuda", torch.cuda.current_device())


def _common(precision: Precision, devices: Sequence[torch.device]) -> Precision:
    """One precision for all: scores must not depend on which device a tile came to."""
    if precision != "auto":
        return precision
    return "bfloat16" if all(map(fast_bfloat16, devices)) else "float32"
