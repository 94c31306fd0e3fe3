"""What the figures of a heatmap are drawn from: columns, values, marks and the tree."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from bokeh.models import ColumnDataSource

from .blocks import Block, runs
from .style import counted


def _empty(*names: str) -> ColumnDataSource:
    return ColumnDataSource({name: [] for name in names})


@dataclass(frozen=True, slots=True, eq=False)
class HeatmapData:
    """Sources that several figures share.

    Parameters
    ----------
    columns
        Of each column its place, cells, colour and names.
    markers
        Names of the rows.
    image
        The values.
    marks
        Stretches of selected columns.
    hits
        Stretches of columns that the search finds.
    lines
        The tree above the columns.
    """

    columns: ColumnDataSource = field(
        default_factory=lambda: _empty("x", "cells", "top", "color", "label", "group", "note")
    )
    markers: ColumnDataSource = field(default_factory=lambda: _empty("marker"))
    image: ColumnDataSource = field(default_factory=lambda: _empty("image", "dw", "dh"))
    marks: ColumnDataSource = field(
        default_factory=lambda: _empty("left", "right", "share", "bottom")
    )
    hits: ColumnDataSource = field(default_factory=lambda: _empty("left", "right"))
    lines: ColumnDataSource = field(default_factory=lambda: _empty("xs", "ys"))

    def fill(self, block: Block, markers: Sequence[str]) -> None:
        """Take other columns or values."""
        self.columns.data = {
            "x": [k + 0.5 for k in range(block.n_columns)],
            "cells": [counted(n, "cell") for n in block.counts],
            "top": [max(float(n), 0.8) for n in block.counts],
            "color": block.colors,
            "label": block.labels,
            "group": _beside(block),
            "note": block.notes,
        }
        self.markers.data = {"marker": list(markers)}
        self.image.data = {"image": [block.values], "dw": [block.n_columns], "dh": [len(markers)]}
        self.lines.data = {"xs": block.tree[0], "ys": block.tree[1]}
        self.mark(block)

    def mark(self, block: Block) -> None:
        """Take another selection of the same columns."""
        hits = runs(block.found)
        self.hits.data = {"left": [a for a, _ in hits], "right": [b for _, b in hits]}
        # A metacluster that is selected in part is paler; whole neighbours are one stretch.
        part = (block.selected > 0) & (block.selected < 1)
        single = [(int(k), int(k) + 1) for k in np.flatnonzero(part)]
        marks = sorted([*runs(block.selected == 1), *single])
        self.marks.data = {
            "left": [a for a, _ in marks],
            "right": [b for _, b in marks],
            "bottom": [len(self.markers.data["marker"])] * len(marks),
            "share": [0.25 + 0.75 * float(block.selected[a]) for a, _ in marks],
        }


def _beside(block: Block) -> list[str]:
    """Name of the metacluster beside a node; nothing beside itself."""
    pairs = zip(block.groups, block.labels, strict=True)
    return ["" if group == label else f"in {group}" for group, label in pairs]
