"""Settings of a run, and the plan that follows from them and the model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from nimbus.engine.predict import Aggregate, ScorePlan
from nimbus.engine.predictors import DescribedModel, Model, PredictorSpec
from nimbus.model import ModelCard
from nimbus.model.views import views

TILE_SIZE = 1024
"""Network pixels: large enough that the halo costs little, small enough for 2 GB of memory."""


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
        if self.tile_size is not None and self.tile_size < 1:
            raise ValueError(f"tile_size must be at least 1 network pixel, not {self.tile_size}")
        if self.batch_size is not None and self.batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, not {self.batch_size}")
        return self

    def plan(self, card: ModelCard) -> ScorePlan:
        """What the engine does for this model."""
        return ScorePlan(
            multiple=card.multiple,
            halo=card.halo,
            tile_size=self.tile_size or TILE_SIZE * card.patch,
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
