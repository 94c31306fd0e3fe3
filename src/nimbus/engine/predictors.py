"""Models as tasks carry them: a name or a path, loaded once in each process."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import nimbus.model as models
from nimbus.core.scalerule import ScaleRule
from nimbus.model import CallablePredictor, ModelCard, Predictor
from nimbus.model.callable import ModelFunction
from nimbus.model.manydevices import ManyDevices
from nimbus.model.registry import card_beside

from .files import here

Model: TypeAlias = str | Path | ModelFunction
"""A registered name, a path (``.safetensors`` or a published ``.pt``), or a callable."""

PAPER_RULE = ScaleRule(0.9999)
"""Rumberger, Greenwald et al. 2025: the 99.99th percentile over all pixels of the data set."""

CALLABLE_DEPTH = 5
"""Depth whose multiple (16) and halo (96) a callable gets: those of the published network."""


@dataclass(frozen=True, slots=True)
class PredictorSpec:
    """What a process needs to have a model ready.

    Parameters
    ----------
    model
        A path of weights, or a callable.
    sha256
        Hash that the weights must have; empty for a callable.
    device, precision, batch_size
        See :func:`nimbus.model.make_predictor`.
    """

    model: str | ModelFunction
    sha256: str
    device: str | None
    precision: str
    batch_size: int | None

    @property
    def files(self) -> tuple[str, ...]:
        """Weights and the card beside them, for workers that lack them; none for a callable."""
        if not isinstance(self.model, str):
            return ()
        path = Path(self.model)
        return tuple(str(p) for p in (path, path.with_suffix(".json")) if p.is_file())


class RunsOn(NamedTuple):
    """What a model runs on, such as ``("cpu", "float32")``; no precision for a callable."""

    device: str
    precision: str


@dataclass(frozen=True, slots=True)
class DescribedModel:
    """A model's card and where its weights are.

    Parameters
    ----------
    card
        What must be known besides the weights.
    sha256
        Hash of the weights; empty for a callable.
    source
        Path of the weights, or the callable itself.
    """

    card: ModelCard
    sha256: str
    source: str | ModelFunction


def describe_model(model: Model) -> DescribedModel:
    """Card, hash and place of a model; the weights are read only where there is no card yet.

    A callable has no card: it gets that of the published network's geometry (1 um per pixel,
    depth 5) with the scale rule of the paper.

    Raises
    ------
    ValueError, FileNotFoundError
        An unknown name, or a file that is refused.
    TypeError
        Neither a name, a path nor a callable.
    """
    if isinstance(model, (str, Path)):
        beside = card_beside(model)
        if beside is not None:
            card, path = beside
            return DescribedModel(card, card.sha256, str(path))
        loaded = _loaded(str(model))
        return DescribedModel(loaded.card, loaded.sha256, loaded.source)
    if callable(model):
        card = ModelCard(
            name=getattr(model, "__name__", type(model).__name__),
            depth=CALLABLE_DEPTH,
            root_filters=64,  # planned for as much memory as the published network takes
            pixel_size_um=1.0,
            scale=PAPER_RULE,
        )
        return DescribedModel(card, "", model)
    raise TypeError(
        f"model must be a registered name, a path or a callable, not {type(model).__name__}"
    )


def predictor_for(spec: PredictorSpec) -> Predictor:
    """The predictor of this process for `spec`; weights are loaded once.

    A Dask worker takes one GPU, the first that it sees, where none is chosen by its number:
    dask-cuda shows all GPUs to every worker, each worker's own first.
    """
    if callable(spec.model):
        return CallablePredictor(spec.model, spec.batch_size or 1)
    with _LOADING:
        return _net_predictor(replace(spec, device=_device_here(spec.device)))


def described_device(spec: PredictorSpec) -> RunsOn:
    """Device and number format that this process takes for `spec`."""
    if callable(spec.model):  # which must work where PyTorch is not installed
        return RunsOn("callable", "")
    predictor = predictor_for(spec)
    if isinstance(predictor, ManyDevices):
        predictor = predictor.predictors[0]
    if isinstance(predictor, models.NetPredictor):
        return RunsOn(predictor.device.type, str(predictor.dtype).removeprefix("torch."))
    return RunsOn(type(predictor).__name__, spec.precision)


def _device_here(device: str | None) -> str | None:
    """``"cuda:0"`` on a Dask worker where any GPU may be taken; else what was chosen."""
    if not _on_dask_worker():
        return device
    chosen = models.choose_device(device)
    return "cuda:0" if chosen.type == "cuda" and chosen.index is None else device


def _on_dask_worker() -> bool:
    """Whether this is a task on a worker of a Dask cluster."""
    distributed = sys.modules.get("distributed")
    if distributed is None:
        return False
    try:
        distributed.get_worker()
    except ValueError:
        return False
    return True


_LOADING = threading.Lock()


@lru_cache(maxsize=2)
def _net_predictor(spec: PredictorSpec) -> Predictor:
    loaded = _loaded(here(str(spec.model)))
    if loaded.sha256 != spec.sha256:
        raise ValueError(
            f"{spec.model} has sha256 {loaded.sha256} here, but the run began with {spec.sha256}; "
            "every worker must see the same weights"
        )
    precision: Any = spec.precision
    return models.predictor_of_all(
        loaded.net, device=spec.device, precision=precision, batch_size=spec.batch_size
    )


def _loaded(name_or_path: str) -> models.LoadedModel:
    path = Path(name_or_path)
    stamp = path.stat().st_mtime_ns if path.is_file() else 0  # a file may be trained again
    return _loaded_once(name_or_path, stamp)


@lru_cache(maxsize=2)
def _loaded_once(name_or_path: str, _stamp: int) -> models.LoadedModel:
    return models.load_model(name_or_path)
