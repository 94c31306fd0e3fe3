"""Networks: architecture, weights and prediction.

What needs PyTorch is loaded on first use, so that a callable model works without it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from .callable import CallablePredictor
from .card import CardError, ModelCard
from .download import DownloadError
from .predicting import Predictor
from .registry import ModelRow, list_models
from .views import IDENTITY, VIEWS, View

if TYPE_CHECKING:
    from .checkpoint import convert, load_checkpoint, save_checkpoint
    from .device import available_devices, choose_device, choose_dtype
    from .load import LoadedModel, load_model
    from .onnx import export_onnx
    from .predictor import NetPredictor
    from .ready import make_predictor, predictor_of_all
    from .state import CheckpointError
    from .unet import UNet

_LAZY = {
    "CheckpointError": "state",
    "LoadedModel": "load",
    "NetPredictor": "predictor",
    "UNet": "unet",
    "available_devices": "device",
    "choose_device": "device",
    "choose_dtype": "device",
    "convert": "checkpoint",
    "export_onnx": "onnx",
    "load_checkpoint": "checkpoint",
    "load_model": "load",
    "make_predictor": "ready",
    "predictor_of_all": "ready",
    "save_checkpoint": "checkpoint",
}

__all__ = [
    "IDENTITY",
    "VIEWS",
    "CallablePredictor",
    "CardError",
    "CheckpointError",
    "DownloadError",
    "LoadedModel",
    "ModelCard",
    "ModelRow",
    "NetPredictor",
    "Predictor",
    "UNet",
    "View",
    "available_devices",
    "choose_device",
    "choose_dtype",
    "convert",
    "export_onnx",
    "list_models",
    "load_checkpoint",
    "load_model",
    "make_predictor",
    "predictor_of_all",
    "save_checkpoint",
]


def __getattr__(name: str) -> Any:
    """Import what needs PyTorch on first use (PEP 562)."""
    if name in _LAZY:
        return getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module 'nimbus.model' has no attribute {name!r}")
