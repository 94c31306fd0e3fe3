"""Settings of a run, and the plan that follows from them and the model."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from nimbus._check import require_whole
from nimbus.engine.predict import Aggregate, ScorePlan
from nimbus.engine.predictors import DescribedModel, Model, PredictorSpec
from nimbus.model import ModelCard
from nimbus.model.views import views

FEATURES = 1024 * 1024 * 64
"""Values of the first level of a tile: those of the published network on 1024 x 1024 pixels, which
need about 1.3 GB with all that belongs to them."""

LARGEST_TILE = 2560
"""Network pixels: planes and sums of a tile take memory too, and beyond it the halo costs little.

A field of 2048 x 2048 pixels of 0.5 um is one tile of 0.4 um."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a model is run; the fields are arguments of :func:`nimbus.tl.score`."""

    model: Model
    tta: bool
    uncertainty: bool
    aggregate: Aggregate | None
    device: str | None
    precision: str
    tile_size: int | None
    batch_size: int | None
    resume: str | Path | None

    def checked(self) -> Settings:
        """The same settings, or an error for those that contradict each other."""
        if self.aggregate is not None and self.aggregate not in get_args(Aggregate):
            raise ValueError(
                f"aggregate={self.aggregate!r} is not one of {get_args(Aggregate)} or None (the "
                "model's own)"
            )
        if self.uncertainty and not self.tta:
            raise ValueError("uncertainty=True is the spread over the views and needs tta=True")
        for name in ("tile_size", "batch_size"):
            if (count := getattr(self, name)) is not None:
                require_whole(name, count)
        if self.tile_size is not None and self.tile_size < 1:
            raise ValueError(f"tile_size must be at least 1 network pixel, not {self.tile_size}")
        if self.batch_size is not None and self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {self.batch_size}")
        if self.resume is not None:
            self._require_resumable(Path(self.resume))
        return self

    def _require_resumable(self, folder: Path) -> None:
        if callable(self.model):
            raise ValueError(
                "resume= needs a model with weights, because a callable cannot be told apart from "
                "another one; pass the name or path of a model, or no resume="
            )
        if folder.exists() and not folder.is_dir():
            raise NotADirectoryError(f"resume={str(folder)!r} is a file; name a folder")

    def plan(self, card: ModelCard) -> ScorePlan:
        """What the engine does for this model."""
        return ScorePlan(
            multiple=card.multiple,
            halo=card.halo,
            tile_size=self.tile_size
            or default_tile_size(root_filters=card.root_filters, patch=card.patch),
            clip=card.clip,
            views=views(self.tta),
            each_view=self.uncertainty,
            group_size=self.batch_size or 1,
        )

    def spec(self, described: DescribedModel) -> PredictorSpec:
        """What a process needs to run the model."""
        return PredictorSpec(
            described.source, described.sha256, self.device, self.precision, self.batch_size
        )


def default_tile_size(*, root_filters: int, patch: int) -> int:
    """Side of a tile in network pixels: large, so that the halo costs little, in bounded memory.

    Examples
    --------
    >>> default_tile_size(root_filters=64, patch=1), default_tile_size(root_filters=16, patch=2)
    (1024, 2560)
    """
    places = math.isqrt(FEATURES // root_filters)
    return min(patch * places, LARGEST_TILE)
