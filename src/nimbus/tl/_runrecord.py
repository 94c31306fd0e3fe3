"""What repeats the scores of a table: ``uns["nimbus"]``, written and read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any, NamedTuple

import pandas as pd

from nimbus.core.scales import ScaleTable
from nimbus.data.sources import OpenField

from ._prepare import Prepared


class FieldRow(NamedTuple):
    """How the field of some labels was read."""

    image: str
    level: str
    coordinate_system: str
    pixel_size_um: float


@dataclass(frozen=True, slots=True, eq=False)
class RunRecord:
    """Settings, scales and fields, in forms that survive zarr and h5ad.

    Parameters
    ----------
    settings
        Model, its hash and card, version, and how the model was run.
    scale_rules
        Where scales come from, each as text.
    scales
        Divisor by image and channel.
    fields
        By labels element.
    """

    settings: Mapping[str, Any]
    scale_rules: Sequence[str]
    scales: ScaleTable
    fields: Mapping[str, FieldRow]

    def with_earlier(self, earlier: RunRecord) -> RunRecord:
        """The same run beside fields and scales of an earlier one."""
        scales = {image: dict(own) for image, own in earlier.scales.items()}
        for image, own in self.scales.items():
            scales.setdefault(image, {}).update(own)
        return replace(
            self,
            scale_rules=list(dict.fromkeys([*earlier.scale_rules, *self.scale_rules])),
            scales=scales,
            fields={**earlier.fields, **self.fields},
        )

    def to_uns(self) -> dict[str, Any]:
        """Plain values and long tables."""
        scales = [
            (image, c, scale) for image, own in self.scales.items() for c, scale in own.items()
        ]
        fields = [(labels, *row) for labels, row in self.fields.items()]
        return {
            **self.settings,
            "scale_rule": "; ".join(self.scale_rules),
            "scales": _frame(scales, ("image", "channel", "scale")),
            "fields": _frame(fields, ("labels", *FieldRow._fields)),
        }


def record_of(run: Prepared) -> RunRecord:
    """The record of a run."""
    settings = {
        "model": run.described.card.name,
        "sha256": run.described.sha256,
        "card": run.described.card.to_json(),
        "version": version("nimbus-spatial"),
        "aggregate": run.aggregate,
        "n_views": 8 if run.settings.tta else 1,
        "precision": run.runs_on.precision,  # what "auto" is on another device
    }
    fields = {labels: _field_row(field) for labels, field in run.fields.items()}
    return RunRecord(settings, run.scales.origins, run.scales.table, fields)


def read_record(kept: object) -> RunRecord | None:
    """The record that stands in ``uns``; ``None`` where there is none that nimbus wrote."""
    if not isinstance(kept, Mapping) or not {"scale_rule", "scales", "fields"} <= set(kept):
        return None
    scales: ScaleTable = {}
    for image, channel, scale in _rows(kept["scales"], ("image", "channel", "scale")):
        scales.setdefault(str(image), {})[str(channel)] = float(scale)
    fields = {
        str(labels): FieldRow(str(image), str(level), str(system), float(size))
        for labels, image, level, system, size in _rows(
            kept["fields"], ("labels", *FieldRow._fields)
        )
    }
    settings = {name: kept[name] for name in kept if name not in ("scale_rule", "scales", "fields")}
    return RunRecord(settings, str(kept["scale_rule"]).split("; "), scales, fields)


def _field_row(field: OpenField) -> FieldRow:
    placement = field.placement
    return FieldRow(
        field.source.image_name,
        placement.scale or "scale0",
        placement.coordinate_system,
        placement.pixel_size_um,
    )


def _frame(rows: Sequence[tuple[object, ...]], columns: tuple[str, ...]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(columns))
    frame.index = frame.index.astype(str)  # what AnnData writes, so that reading gives it back
    return frame


def _rows(frame: pd.DataFrame, columns: tuple[str, ...]) -> Any:
    return frame[list(columns)].itertuples(index=False, name=None)
