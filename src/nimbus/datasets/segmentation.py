"""Label images as a segmentation would give them: not quite where the cells are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from nimbus._types import IntArray

from .layout import Layout
from .outlines import cut_in_two, joined, moved, neighbours, shifted

MaskKind = Literal["whole_cell", "nuclear", "expanded"]


@dataclass(frozen=True, slots=True)
class SegmentationSettings:
    """How the labels differ from the true outlines.

    Parameters
    ----------
    kind
        Whole cells; nuclei; or nuclei that were expanded, as many tools do.
    grow_um
        The outlines are moved out by this much (in, where negative).
    expansion_um
        By how much nuclei are expanded in kind ``"expanded"``, before `grow_um`.
    missed
        Part of the cells that have no label.
    merged
        Part of the cells that share the label of a neighbour.
    split
        Part of the cells that are cut in two.
    shift_um
        All labels are shifted by this much.
    """

    kind: MaskKind = "whole_cell"
    grow_um: float = 0.0
    expansion_um: float = 3.0
    missed: float = 0.0
    merged: float = 0.0
    split: float = 0.0
    shift_um: float = 0.0


def draw_segmentation(rng: np.random.Generator) -> SegmentationSettings:
    """Settings of one field, over what users have."""
    kind: MaskKind = ("whole_cell", "nuclear", "expanded")[int(rng.choice(3, p=[0.45, 0.3, 0.25]))]
    has_errors = rng.random() < 0.6
    return SegmentationSettings(
        kind=kind,
        grow_um=float(np.clip(rng.normal(0.15, 0.5), -1.0, 1.4)),
        expansion_um=float(rng.uniform(0.5, 4.0)),
        missed=float(rng.choice([0.0, rng.uniform(0, 0.12)])),
        merged=float(rng.uniform(0, 0.08)) if has_errors else 0.0,
        split=float(rng.uniform(0, 0.05)) if has_errors else 0.0,
        shift_um=float(rng.choice([0.0, rng.uniform(0.3, 1.2)], p=[0.65, 0.35])),
    )


def segment(
    layout: Layout, settings: SegmentationSettings, rng: np.random.Generator
) -> NDArray[np.int32]:
    """Labels of a layout.

    Ids are those of the cells: a merged label has the lower id of its two cells, the second
    half of a split one an id above all cells.

    Examples
    --------
    >>> from nimbus.datasets.layout import LayoutSettings, simulate_layout
    >>> rng = np.random.default_rng(0)
    >>> layout = simulate_layout((60, 60), 0.5, LayoutSettings(lumen=0.0), rng)
    >>> sizes = [
    ...     int((segment(layout, SegmentationSettings(kind), rng) > 0).sum())
    ...     for kind in ("nuclear", "expanded", "whole_cell")
    ... ]
    >>> sizes[0] < sizes[1]
    True
    """
    turn, gone, cut, join = rng.spawn(4)
    pixel = layout.pixel_size_um
    start = layout.cells if settings.kind == "whole_cell" else layout.nuclei
    grow_um = settings.grow_um + (settings.expansion_um if settings.kind == "expanded" else 0.0)
    labels = moved(start, grow_um / pixel)
    is_gone = np.append(False, gone.random(layout.n_cells) < settings.missed)
    labels = np.where(is_gone[labels], 0, labels)
    if settings.split > 0:
        chosen = cut.random(layout.n_cells) < settings.split
        labels = cut_in_two(labels, chosen, layout.centre_px, cut)
    if settings.merged > 0:
        labels = joined(labels, _pairs(labels, settings, pixel, join))
    if settings.shift_um > 0:
        angle, reach = turn.uniform(0, 2 * np.pi), settings.shift_um / pixel
        labels = shifted(labels, (round(reach * np.sin(angle)), round(reach * np.cos(angle))))
    return labels.astype(np.int32)


def _pairs(
    labels: IntArray, settings: SegmentationSettings, pixel: float, rng: np.random.Generator
) -> IntArray:
    """Pairs of neighbours to be joined; no cell is in two of them."""
    near = neighbours(labels, max(round(1.0 / pixel), 1))
    near = near[rng.permutation(len(near))]
    n_wanted = round(settings.merged * labels.max(initial=0) / 2)
    used: set[int] = set()
    chosen: list[tuple[int, int]] = []
    for first, second in near.tolist():
        if len(chosen) == n_wanted:
            break
        if first not in used and second not in used:
            used |= {first, second}
            chosen.append((first, second))
    return np.array(chosen, dtype=int).reshape(-1, 2)
