"""MiniSom in the place of the batch map: for those who want that reference."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np

from nimbus._check import listed
from nimbus._optional import required_module
from nimbus._types import FloatArray

from .codebook import Codebook
from .grid import Grid
from .rows import Values, complete
from .som import Som

Training = Literal["train_random", "train_batch", "train_batch_offline"]
Start = Literal["pca", "random"]

OWN_OPTIONS = ("training", "num_iteration", "start")
"""Options beside those of MiniSom's constructor."""

DECIDED = ("self", "x", "y", "input_len", "random_seed")
"""Arguments of MiniSom's constructor that are given by others of ours."""


def train_minisom(
    values: Values,
    grid: Grid,
    *,
    options: Mapping[str, Any] | None = None,
    importance: FloatArray | None = None,
    random_state: int = 0,
) -> Som:
    """Train MiniSom.

    Parameters
    ----------
    values
        Cells, ``(cell, marker)``; those that miss a value are left out.
    grid
        Its rows are MiniSom's ``x``, its columns ``y``.
    options
        Those of MiniSom's constructor (``sigma``, ``learning_rate``, ``decay_function``, ...), and
        ``training`` (``"train_random"``, ``"train_batch"`` or ``"train_batch_offline"``),
        ``num_iteration`` (one for each cell) and ``start`` (``"random"`` or ``"pca"``).
    importance
        By what each marker is multiplied, shape ``(marker,)``.
    random_state
        MiniSom's seed.

    Raises
    ------
    ImportError
        MiniSom is not installed.
    ValueError
        An unknown option, another distance than euclidean, or hexagons: cells are assigned and
        errors are counted by ours.
    """
    library = required_module("minisom", extra="cluster")
    given = dict(options or {})
    training, start = given.pop("training", "train_random"), given.pop("start", "random")
    n_iterations = given.pop("num_iteration", None)
    _require_known(given, library.MiniSom, training, start)
    scale = np.ones(values.shape[1]) if importance is None else np.asarray(importance, np.float64)
    whole = values[complete(values)].astype(np.float64)
    scaled = whole * scale
    som = library.MiniSom(
        grid.rows, grid.columns, values.shape[1], random_seed=random_state, **given
    )
    getattr(som, f"{start}_weights_init")(scaled)
    getattr(som, training)(scaled, len(scaled) if n_iterations is None else n_iterations)
    mean = whole.mean(axis=0)
    found = som.get_weights().reshape(grid.n_nodes, -1)
    profiles = np.where(scale > 0, found / np.where(scale > 0, scale, 1.0), mean)
    book = Codebook(profiles, mean.astype(np.float32), scale.astype(np.float32))
    return Som(grid, book, book)


def _require_known(given: Mapping[str, Any], minisom: type, training: str, start: str) -> None:
    names = [name for name in inspect.signature(minisom).parameters if name not in DECIDED]
    for name in given:
        if name not in names:
            raise ValueError(
                f"solver 'minisom' has no option {name!r}; there is: "
                f"{listed([*OWN_OPTIONS, *names])}"
            )
    for what, choice, there in (
        ("training", training, get_args(Training)),
        ("start", start, get_args(Start)),
        ("activation_distance", given.get("activation_distance", "euclidean"), ("euclidean",)),
        ("topology", given.get("topology", "rectangular"), ("rectangular",)),
    ):
        if choice not in there:
            raise ValueError(f"{what}={choice!r} does not work here; there is: {listed(there)}")
