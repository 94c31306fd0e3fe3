"""The published network's checkpoints: PyTorch state dicts without a card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import Tensor

from nimbus._check import listed
from nimbus.core.scalerule import ScaleRule

from .card import ModelCard
from .pickled import read_pickled
from .state import CheckpointError, State
from .unet import IN_PLANES

PUBLISHED_SCALE = ScaleRule(quantile=0.999, pixels="positive", pool="image_mean")
"""Nimbus-Inference 0.0.5, ``calculate_normalization``, with all images instead of some."""

PUBLISHED_PIXEL_SIZE_UM = 1.0
"""Magnification 10; 20x images of 0.5 um are halved (Nimbus-Inference 0.0.5, ``predict_fovs``)."""

NESTED_UNDER = ("state_dict", "model_state_dict", "model")
"""Keys under which training programs keep the state dict."""

ADVICE = "get it again, or save the state dict alone: torch.save(net.state_dict(), path)"

FIRST = "contracting_layers.0.conv2d_0.weight"


def read_published(path: Path) -> State:
    """Tensors of a ``.pt`` state dict, on the CPU.

    Raises
    ------
    OSError
        The file cannot be opened.
    CheckpointError
        Truncated or no checkpoint; holds more than tensors; no state dict inside.
    """
    content = read_pickled(path, advice=ADVICE)
    return _state_of(content, path)


def published_card(state: State, *, name: str = "nimbus-v1") -> ModelCard:
    """Card of a published state dict: architecture from its shapes, the rest as published.

    Examples
    --------
    >>> from nimbus.model.unet import UNet
    >>> card = published_card(UNet(depth=3, root_filters=4).state_dict())
    >>> card.depth, card.root_filters, card.pixel_size_um, card.scale.quantile
    (3, 4, 1.0, 0.999)
    """
    if FIRST not in state or state[FIRST].ndim != 4 or state[FIRST].shape[1] != IN_PLANES:
        raise CheckpointError(
            f"no weights of a nimbus network: expected {FIRST!r} with {IN_PLANES} input planes; "
            f"there is {listed(state)}"
        )
    starts, ends = "contracting_layers.", ".conv2d_0.weight"
    levels = sum(key.startswith(starts) and key.endswith(ends) for key in state)
    return ModelCard(
        name=name,
        depth=levels + 1,
        root_filters=state[FIRST].shape[0],
        pixel_size_um=PUBLISHED_PIXEL_SIZE_UM,
        scale=PUBLISHED_SCALE,
        aggregate="cell",
        training_data="as published with Nimbus-Inference (Rumberger, Greenwald et al. 2025)",
        licence="that of the file's author",
    )


def _state_of(content: Any, path: Path) -> State:
    if not isinstance(content, dict):
        raise CheckpointError(f"{path}: holds a {type(content).__name__}, not a state dict")
    for key in NESTED_UNDER:
        if isinstance(content.get(key), dict):
            content = content[key]
            break
    others = [str(key) for key, value in content.items() if not isinstance(value, Tensor)]
    if others or not content:
        raise CheckpointError(
            f"{path}: not a state dict; no tensors under {listed(others)} "
            f"(looked under {listed(NESTED_UNDER)} too)"
        )
    for key, tensor in content.items():  # strides of 0 make much of little
        if tensor.untyped_storage().nbytes() < tensor.numel() * tensor.element_size():
            raise CheckpointError(f"{path}: {key} declares more values than the file holds")
    return {str(key): tensor for key, tensor in content.items()}
