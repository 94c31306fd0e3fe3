"""What ``nimbus train`` reads: one TOML file that makes a model again."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nimbus._check import require_known
from nimbus.core.scalerule import ScaleRule
from nimbus.datasets import TileSettings
from nimbus.model.card import Aggregate
from nimbus.train import AugmentSettings, FitSettings

from ._toml import read_toml, settings_from

SCALE = ScaleRule(quantile=0.99, pixels="positive", pool="dataset")
"""How a model trained on simulated tissue wants its channels scaled."""


@dataclass(frozen=True, slots=True)
class TileSource:
    """Tiles to learn from: simulated for this training, or a folder that exists.

    Parameters
    ----------
    folder
        Of :func:`nimbus.datasets.write_training_set`, or of another training. With `simulate`:
        where the simulated tiles are written, or found (those of other settings or another seed are
        refused); none: in the folder of the training.
    simulate
        Tissue to simulate.
    seed
        Of the simulation.
    share
        Part of the samples that is drawn from here, relative to the others.
    """

    folder: str = ""
    simulate: TileSettings | None = None
    seed: int = 0
    share: float = 1.0

    def __post_init__(self) -> None:
        if not self.folder and self.simulate is None:
            raise ValueError("needs a folder of tiles that exist, or a table [tiles.simulate]")


@dataclass(frozen=True, slots=True)
class TrainConfig:
    """A training from tiles to a model.

    Parameters
    ----------
    name
        Name of the model.
    out
        Folder for tiles, checkpoint, log and model.
    tiles
        What it learns from; the model is calibrated on the simulated ones' held-out shards, or on
        all where none are simulated.
    start
        ``checkpoint.pt`` of a training to begin with, or the ``.safetensors`` of a model of the
        same size (its patch may be 1); none: untrained weights.
    teachers
        Models, of any size, that ``fit.taught`` lets have a word on what cells are to score.
    pixel_size_um
        Of the network's grid in scoring; usually what the tiles were cut at.
    scale
        The rule that the model wants its channels scaled by.
    aggregate
        Pixels that a score averages: ``"interior"`` or ``"cell"``.
    fit, augment
        Of the training.
    about, licence
        Sentences of the model card.
    """

    name: str
    out: str
    tiles: tuple[TileSource, ...]
    start: str = ""
    teachers: tuple[str, ...] = ()
    pixel_size_um: float = 1.0
    scale: ScaleRule = SCALE
    aggregate: Aggregate = "interior"
    fit: FitSettings = field(default_factory=FitSettings)
    augment: AugmentSettings = field(default_factory=AugmentSettings)
    about: str = "Simulated tissue alone."
    licence: str = "BSD-3-Clause"


def read_config(path: Path) -> TrainConfig:
    """The training that a TOML file describes.

    Raises
    ------
    FileNotFoundError, ValueError
        No such file, or one that is not TOML; a key that does not exist or a value of the wrong
        type, with its table.
    """
    content = read_toml(path)
    names = [one.name for one in dataclasses.fields(TrainConfig)]
    require_known(f"key of {str(path)!r}", list(content), names)
    tiles = content.pop("tiles", [])
    if not isinstance(tiles, list) or not tiles:
        raise ValueError(f"{str(path)!r} has no [[tiles]]: at least one is needed to learn from")
    sources = tuple(_source(table) for table in tiles)
    return settings_from({**content, "tiles": sources}, TrainConfig, where=path.name)


def _source(table: Mapping[str, Any]) -> TileSource:
    return settings_from(table, TileSource, where="tiles")
