"""Label images as a segmentation would give them: not quite where the cells are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from nimbus._types import IntArray

from .layout import Layout

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
    missed
        Part of the cells that have no label.
    """

    kind: MaskKind = "whole_cell"
    grow_um: float = 0.0
    missed: float = 0.0


EXPANSION_UM = 3.0
"""By how much nuclei are expanded in kind ``"expanded"``, before `grow_um`."""


def draw_segmentation(rng: np.random.Generator) -> SegmentationSettings:
    """Settings of one field, over what users have."""
    kind: MaskKind = ("whole_cell", "nuclear", "expanded")[int(rng.choice(3, p=[0.45, 0.33, 0.22]))]
    return SegmentationSettings(
        kind=kind,
        grow_um=float(np.clip(rng.normal(0.15, 0.5), -0.8, 1.2)),
        missed=float(rng.choice([0.0, rng.uniform(0, 0.12)])),
    )


def segment(
    layout: Layout, settings: SegmentationSettings, rng: np.random.Generator
) -> NDArray[np.int32]:
    """Labels of a layout: the ids of its cells, outlines as `settings` say.

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
    start = layout.cells if settings.kind == "whole_cell" else layout.nuclei
    grow_um = settings.grow_um + (EXPANSION_UM if settings.kind == "expanded" else 0.0)
    labels = moved(start, grow_um / layout.pixel_size_um)
    gone = rng.random(layout.n_cells + 1) < settings.missed
    gone[0] = False
    return np.where(gone[labels], 0, labels).astype(np.int32)


def moved(labels: IntArray, distance_px: float) -> IntArray:
    """Labels whose outlines went out by `distance_px` (in, where negative).

    Cells that grow stop where they meet; cells that shrink also part from their neighbours.
    """
    if distance_px == 0:
        return labels
    if distance_px < 0:
        border = np.zeros(labels.shape, dtype=bool)
        border[1:] |= labels[1:] != labels[:-1]
        border[:, 1:] |= labels[:, 1:] != labels[:, :-1]
        depth = ndimage.distance_transform_edt(~border)
        return np.where(depth > -distance_px, labels, 0)
    distance, (y, x) = ndimage.distance_transform_edt(labels == 0, return_indices=True)
    return np.where(distance <= distance_px, labels[y, x], labels)
