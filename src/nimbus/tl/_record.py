"""What a run leaves in the table: scores, and all that repeats them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from anndata import AnnData
from numpy.typing import NDArray
from spatialdata.models import TableModel

from nimbus._check import listed, require_text
from nimbus._keys import Layers, Suffix
from nimbus.core.scales import ScaleTable
from nimbus.data.cellvalues import RegionRows, aligned, new_table
from nimbus.data.layers import dense
from nimbus.data.sources import OpenField, to_world
from nimbus.engine.score import CellScores
from nimbus.engine.spare import give_back

from ._prepare import Prepared
from ._runrecord import RunRecord, record_of

LARGEST_CELL_UM2 = 10_000.0
"""A disc of 113 um, which only the largest fat cells and muscle fibres have."""


@dataclass(slots=True, eq=False)
class Scored:
    """Fields and their scores, by labels element.

    Not frozen: what is in the table is let go. Of 15 million cells and 56 markers each measurement
    holds 3.4 GB.
    """

    fields: Mapping[str, OpenField]
    cells: dict[str, CellScores]

    def taken(
        self, what: Literal["score", "spread", "intensity"]
    ) -> Iterator[tuple[str, RegionRows]]:
        """One measurement, field by field; it is let go of when the next field is asked for.

        A spread that was not wanted is NaN.
        """
        for key, cells in self.cells.items():
            channels, values = self.fields[key].source.channels, getattr(cells, what)
            if values is None:
                values = np.full((cells.ids.size, len(channels)), np.nan, dtype=np.float32)
            yield key, RegionRows(cells.ids, channels, values)
            self.let_go(key, what)

    def areas(self) -> Iterator[NDArray[np.int64]]:
        """Label pixels of the cells, field by field; let go of as above."""
        for key, cells in self.cells.items():
            yield cells.area
            self.let_go(key, "area")

    def places(self) -> Iterator[NDArray[np.float64]]:
        """Centroids (x, y) in the coordinate system, field by field; let go of as above."""
        for key, cells in self.cells.items():
            yield to_world(self.fields[key].placement, cells.centroid)
            self.let_go(key, "centroid")

    def let_go(self, key: str, *names: str) -> None:
        """Hold some measurements of a field no longer."""
        self.cells[key] = replace(self.cells[key], **dict.fromkeys(names))  # type: ignore[arg-type]


def warn_of_labels(scored: Scored, *, model_pixel_size_um: float) -> None:
    """Warn of labels that hold no cell, or one that is larger than cells are."""
    _warn_without_cells(scored)
    _warn_of_giants(scored, model_pixel_size_um=model_pixel_size_um)


def _warn_without_cells(scored: Scored) -> None:
    empty = [key for key, cells in scored.cells.items() if cells.ids.size == 0]
    if empty:
        warnings.warn(f"there is no cell in the labels {listed(empty)}", stacklevel=4)


def _warn_of_giants(scored: Scored, *, model_pixel_size_um: float) -> None:
    """Warn of labels with a cell above `LARGEST_CELL_UM2`, which is hardly one."""
    giants = []
    for key, cells in scored.cells.items():
        label_area = scored.fields[key].placement.grid.label_area
        um2 = cells.area * label_area * model_pixel_size_um**2
        giants += [
            f"{key} (cell {cells.ids[k]}: {um2[k]:,.0f} um2)"
            for k in np.flatnonzero(um2 > LARGEST_CELL_UM2)[:1]
        ]
    if giants:
        warnings.warn(
            f"larger than a cell, above {LARGEST_CELL_UM2:,.0f} um2: {listed(giants)}; does the "
            "mask only tell where cells are (skimage.measure.label numbers them), has the "
            "background a number, or is pixel_size= (--pixel-size) wrong?",
            stacklevel=4,
        )


def make_table(scored: Scored) -> AnnData:
    """Table of all scored cells, with mean intensities in ``X`` and ``layers["integrated"]``."""
    table = new_table(
        {key: own.ids for key, own in scored.cells.items()},
        [name for field in scored.fields.values() for name in field.source.channels],
        areas=scored.areas(),
        spatial=scored.places(),
    )
    give_back()  # what made names and places would stay under the matrices that come now
    table.X = aligned(table, scored.taken("intensity"))
    table.layers[Layers.INTEGRATED] = table.X.copy()  # scanpy changes X in place
    return table


def score_keys(key_added: str, *, uncertainty: bool) -> dict[str, list[str]]:
    """Keys of the table that :func:`write_scores` writes.

    Raises
    ------
    ValueError
        They are those of mean intensities, or of SpatialData.
    """
    require_text("key_added", key_added)
    if key_added in (Layers.INTEGRATED, TableModel.ATTRS_KEY):
        raise ValueError(
            f"key_added={key_added!r}: scores would replace what the table holds under that name; "
            "give another name"
        )
    layers = [key_added, key_added + Suffix.STD] if uncertainty else [key_added]
    return {"layers": layers, "var": [key_added + Suffix.SCALE], "uns": [key_added]}


def write_scores(
    table: AnnData,
    scored: Scored,
    run: Prepared,
    *,
    earlier: RunRecord | None,
    key_added: str,
) -> dict[str, list[str]]:
    """Write scores, scales and settings into `table`; gives the touched keys.

    Scores of other regions and markers stay where `earlier` tells how they were made. A spread of
    scores that are replaced goes with them, also where none is wanted now.
    """
    layers: dict[str, Literal["score", "spread"]] = {key_added: "score"}
    spread = run.settings.uncertainty or key_added + Suffix.STD in table.layers
    if spread:
        layers[key_added + Suffix.STD] = "spread"
    for name, what in layers.items():
        held = None if earlier is None else table.layers.get(name)
        before = None if held is None else dense(held)
        table.layers[name] = aligned(table, scored.taken(what), before=before)
    record = record_of(run)
    if earlier is not None:
        record = record.with_earlier(earlier)
    table.var[key_added + Suffix.SCALE] = _common_scale(table, record.scales)
    table.uns[key_added] = record.to_uns()
    return score_keys(key_added, uncertainty=spread)


def _common_scale(table: AnnData, scales: ScaleTable) -> np.ndarray:
    """Scale of each marker: NaN where it was not scored, or differs between images."""
    values: dict[str, set[float]] = {}
    for own in scales.values():
        for channel, scale in own.items():
            values.setdefault(channel, set()).add(scale)
    common = {channel: next(iter(s)) for channel, s in values.items() if len(s) == 1}
    return np.array([common.get(str(name), np.nan) for name in table.var_names])
