"""Everything before the first tile: the model, the scales and the fields."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

from spatialdata import SpatialData

from nimbus.data.scales import GivenScales, UsedScales, warn_without_signal
from nimbus.data.sources import OpenField, Request, open_field, wanted_channels
from nimbus.data.storedscales import scales_to_use
from nimbus.engine.predict import Aggregate
from nimbus.engine.predictors import (
    DescribedModel,
    PredictorSpec,
    RunsOn,
    describe_model,
    described_device,
)
from nimbus.engine.resume import Journal, open_journal
from nimbus.engine.run import run_ordered
from nimbus.engine.score import ScoreTask

from ._fingerprint import fingerprint
from ._settings import Settings


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """A run that is ready to begin.

    Parameters
    ----------
    settings
        How the model is run.
    described
        The model.
    scales
        Divisor of each channel of each image.
    fields
        By labels element.
    runs_on
        Device, and the number format that the model takes there.
    """

    settings: Settings
    described: DescribedModel
    scales: UsedScales
    fields: Mapping[str, OpenField]
    runs_on: RunsOn

    @property
    def task(self) -> ScoreTask:
        """What runs on each tile."""
        return ScoreTask(
            tuple(field.source for field in self.fields.values()),
            self.settings.spec(self.described),
            self.settings.plan(self.described.card),
        )

    @property
    def aggregate(self) -> Aggregate:
        """Pixels of a cell that are averaged: as asked for, else as the model was made."""
        return self.settings.aggregate or self.described.card.aggregate

    def journal(self) -> AbstractContextManager[Journal | None]:
        """The resume folder, while it is open; ``None`` where none was asked for."""
        if self.settings.resume is None:
            return nullcontext()
        task = self.task
        return open_journal(
            self.settings.resume,
            {
                **fingerprint(list(self.fields.values()), task.predictor, task.plan),
                "device": " ".join(self.runs_on),
            },
        )


def prepare(
    sdata: SpatialData,
    request: Request,
    settings: Settings,
    scales: GivenScales | None,
    *,
    n_jobs: int,
    show_progress_bar: bool,
) -> Prepared:
    """Open the fields and find the scales; refuses bad input before any work on tiles."""
    described = describe_model(settings.model)
    runs_on = _runs_on(settings.spec(described))
    panels = wanted_channels(sdata, request)
    fields = {
        key: open_field(
            sdata, key, request, panels[image], model_pixel_size_um=described.card.pixel_size_um
        )
        for key, image in request.pairs.items()
    }
    used = scales_to_use(
        sdata,
        panels,
        described.card.scale,
        given=scales,
        nan=request.nan,
        n_jobs=n_jobs,
        show_progress_bar=show_progress_bar,
        keep=True,
    )
    warn_without_signal(used.table)
    scaled = {key: field.with_scales(used.table) for key, field in fields.items()}
    return Prepared(settings, described, used, scaled, runs_on)


def _runs_on(spec: PredictorSpec) -> RunsOn:
    """What the model runs on, here or on a worker; refuses weights and devices."""
    found = run_ordered(described_device, [spec], n_jobs=1, files=spec.files)
    return next(runs_on for _, runs_on in found)
