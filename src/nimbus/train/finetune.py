"""Fine-tuning: a model goes on learning from a user's few labelled cells."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from nimbus._keys import Layers
from nimbus._optional import required_module
from nimbus.core.shards import INDEX, ShardFolder, open_shards
from nimbus.model.card import ModelCard
from nimbus.model.checkpoint import save_checkpoint
from nimbus.model.device import choose_device
from nimbus.model.load import LoadedModel, load_model

from .advice import warn_of_other_input, warn_of_outcome, warn_of_shared_cells
from .augment import AugmentSettings
from .begin import require_tile_size
from .holdout import Parts, held_out, labelled
from .loss import UNDECIDED
from .samples import TileSampler
from .tuning import Best, FinetuneSettings, learned

LEARN, JUDGE = "train", "validation"
"""Folders that :func:`nimbus.datasets.write_training_set` makes."""


GENTLE = AugmentSettings(log_gain=(0.7, 1.4), offset=(-0.01, 0.01), noise=(0.0, 0.01), blurred=0.1)
"""Changes smaller than in training: the user's images are what the model shall fit."""


@dataclass(frozen=True, slots=True)
class Finetuned:
    """What came of a fine-tuning.

    Parameters
    ----------
    path
        The new weights, to be given as ``model``; their card lies beside them.
    card
        The card.
    before, after
        Measures on the held-out cells: ``cross_entropy``, ``auroc``, ``average_precision``,
        ``f1_at_0.5`` and ``cells``; NaN where one class is missing.
    best_step
        Step whose weights were kept; 0: those of the start, because none was better.

    Examples
    --------
    >>> from nimbus.core.scalerule import ScaleRule
    >>> card = ModelCard(
    ...     name="lung", depth=3, root_filters=4, pixel_size_um=0.5, scale=ScaleRule(0.999)
    ... )
    >>> before, after = {"auroc": 0.91, "cells": 240}, {"auroc": 0.96, "cells": 240}
    >>> tuned = Finetuned(Path("models/lung.safetensors"), card, before, after, best_step=120)
    >>> f"{tuned.card.name}: AUROC {tuned.before['auroc']} to {tuned.after['auroc']}"
    'lung: AUROC 0.91 to 0.96'
    """

    path: Path
    card: ModelCard
    before: Mapping[str, float]
    after: Mapping[str, float]
    best_step: int


def finetune(  # noqa: PLR0913 - the public signature
    data: Any,
    out: str | Path,
    *,
    truth_layer: str = Layers.GOLD,
    model: str | Path = "nimbus-s",
    name: str | None = None,
    settings: FinetuneSettings | None = None,
    augment: AugmentSettings | None = None,
    device: str = "cpu",
    show_progress_bar: bool = True,
    **where: Any,
) -> Finetuned:
    """Train a model further on a few labelled cells of your own.

    Some labelled fields are held out (of one field some tiles; of one tile some cells). Training
    stops when the cross-entropy of the held-out cells' scores does not get better, and the weights
    that were best on them are kept. Batch norms keep the statistics that the model came with: a
    few tiles would give poor ones. Unlabelled cells and background are not learned from.

    Parameters
    ----------
    data
        A SpatialData object whose table has `truth_layer`; or a folder of tiles of
        :func:`nimbus.datasets.write_training_set`, cut at the model's pixel size and scale, or
        several: with ``train`` and ``validation`` in it the second is held out.
    out
        Folder for the new model; one of its name there is replaced.
    truth_layer
        Layer with 1 (positive), 0 (negative) and -1 (unlabelled); read from SpatialData alone.
    model
        Registered name, or path of a ``.safetensors`` or published ``.pt``, to begin with.
    name
        Of the new model; None: that of `model` with ``-finetuned``.
    settings, augment
        None: the defaults, and gentle changes.
    device
        Where to train.
    show_progress_bar
        Show one.
    **where
        With SpatialData: ``table_key``, ``image_key``, ``labels_key``, ``channels``,
        ``pixel_size`` and ``scales``, as in :func:`nimbus.tl.score`.

    Returns
    -------
    Path and card of the new model (``out/name.safetensors``), and measures before and after.

    Warns
    -----
    UserWarning
        Where tiles have another pixel size or scale than the model scores with, or some are held
        out of folders in which a cell may be labelled in several tiles. Where no step was better
        than the start: its weights are kept, under the new name. Where a measure (AUROC, average
        precision, F1 at 0.5) of the held-out cells fell although their cross-entropy got better.

    Raises
    ------
    FloatingPointError
        If the network diverges: the learning rate is too large.
    MemoryError
        If the device has too little memory for a batch.
    ValueError
        A device that is not on this machine, fewer than two labelled cells, labels of one class
        alone, tiles whose size does not fit the model, and all that loading it or cutting tiles
        refuses.
    TypeError
        For arguments of `where` that do not exist, or with tiles; for a table alone.

    Examples
    --------
    >>> import tempfile, warnings
    >>> from nimbus.datasets import tissue
    >>> sdata = tissue(shape=(96, 96), markers=["CD3", "CD20"], n_fovs=2, random_state=0)
    >>> few = FinetuneSettings(n_steps=2, batch_size=2, measure_every=1)
    >>> with warnings.catch_warnings(action="ignore"):  # two steps need not bring anything
    ...     tuned = finetune(
    ...         sdata,
    ...         tempfile.mkdtemp(),
    ...         truth_layer="truth",
    ...         settings=few,
    ...         show_progress_bar=False,
    ...     )
    >>> tuned.path.name, tuned.after["cross_entropy"] <= tuned.before["cross_entropy"]
    ('nimbus-s-finetuned.safetensors', True)
    """
    choose_device(device)  # before tiles are cut
    wanted = settings if settings is not None else FinetuneSettings()
    parent = load_model(model)
    with tempfile.TemporaryDirectory(prefix="nimbus-tiles-") as folder:
        if isinstance(data, str | Path | Sequence):
            if where:
                raise TypeError(f"{sorted(where)} belong to SpatialData, not to folders of tiles")
            opened = _opened([data] if isinstance(data, str | Path) else list(data))
            warn_of_other_input([*opened.learn, *opened.judge], parent.card)
        else:
            where |= {"layer": truth_layer, "show_progress_bar": show_progress_bar}
            opened = _opened(_cut(data, Path(folder), parent.card, wanted, where))
        parts = _parts(opened, wanted)
        warn_of_shared_cells(opened.learn, parts)
        require_tile_size(parts.learn.tile_shape, parent.card)
        _require_both_classes(parts)
        changes = augment if augment is not None else GENTLE
        best = learned(parent, parts, wanted, changes, device, show_progress_bar)
    warn_of_outcome(best)
    path = tuned_path(out, parent.card.name, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    net = copy.deepcopy(parent.net)
    net.load_state_dict(best.weights)
    card = save_checkpoint(path, net, _card(parent, path.stem, parts, best))
    return Finetuned(path, card, best.before, best.after, best.step)


def tuned_path(out: str | Path, parent: str, name: str | None) -> Path:
    """Where the model of that name goes, by default that of the `parent` with ``-finetuned``."""
    return Path(out) / f"{name if name is not None else f'{parent}-finetuned'}.safetensors"


def _cut(
    sdata: Any,
    folder: Path,
    card: ModelCard,
    settings: FinetuneSettings,
    where: Mapping[str, Any],
) -> list[Path]:
    """Tiles of the labelled fields. Imported late: training on tiles needs no SpatialData."""
    datasets = required_module("nimbus.datasets.finetuning_set", extra="train")
    datasets.write_finetuning_set(
        sdata,
        folder,
        rule=card.scale,
        pixel_size_um=card.pixel_size_um,
        multiple=card.multiple,
        judged=settings.judged,
        random_state=settings.seed,
        **where,
    )
    return [folder]


@dataclass(frozen=True, slots=True)
class _Folders:
    """Opened folders of tiles; without any to judge by, some tiles are held out."""

    learn: tuple[ShardFolder, ...]
    judge: tuple[ShardFolder, ...]


def _opened(given: Sequence[str | Path]) -> _Folders:
    learn: list[Path] = []
    judge: list[Path] = []
    for folder in map(Path, given):
        is_split = not (folder / INDEX).is_file() and (folder / LEARN / INDEX).is_file()
        learn.append(folder / LEARN if is_split else folder)
        if is_split and (folder / JUDGE / INDEX).is_file():
            judge.append(folder / JUDGE)
    return _Folders(tuple(map(open_shards, learn)), tuple(map(open_shards, judge)))


def _parts(folders: _Folders, settings: FinetuneSettings) -> Parts:
    """What is learned from and what judges: given as folders, or drawn."""
    tiles = labelled(folders.learn)
    if folders.judge:
        return Parts(TileSampler([tiles]), TileSampler([labelled(folders.judge)]), "field")
    return held_out(tiles, part=settings.judged, rng=np.random.default_rng([settings.seed, 2]))


def _require_both_classes(parts: Parts) -> None:
    negative, positive = np.add(_counts(parts.learn), _counts(parts.judge))
    if not (negative and positive):
        raise ValueError(
            "fine-tuning needs positive (1) and negative (0) labels; there are "
            f"{positive} positive and {negative} negative ones. Label cells of the other class too"
        )


def _card(parent: LoadedModel, name: str, parts: Parts, best: Best) -> ModelCard:
    learned, judged = _counts(parts.learn), _counts(parts.judge)
    told = (
        f"Fine-tuned from {parent.card.name!r} (sha256 {parent.sha256}) on {learned[1]} positive "
        f"and {learned[0]} negative cells; {judged[1]} and {judged[0]} held out by {parts.unit}. "
        f"Weights of step {best.step}. The parent: {parent.card.training_data}"
    )
    before, after = (
        {key: round(value, 4) for key, value in values.items() if np.isfinite(value)}
        for values in (best.before, best.after)
    )
    return replace(
        parent.card,
        name=name,
        training_data=told,
        metrics={"held-out cells before": before, "held-out cells after": after},
        sha256="",
    )


def _counts(sampler: TileSampler) -> tuple[int, int]:
    """Negative and positive labels; a cell counts once for each marker."""
    labels = np.concatenate([t.labels[t.labels != UNDECIDED] for t in sampler.shards])
    return int((labels == 0).sum()), int((labels == 1).sum())
