"""Effects by name, and settings without some of them: what an ablation needs."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from typing import Any, TypeVar

from .effects import Effects
from .layout import LayoutSettings
from .markers import Marker
from .pattern_settings import PatternSettings
from .segmentation import SegmentationSettings

_NONE: dict[type, dict[str, tuple[str, ...]]] = {
    Effects: {
        "blur": ("psf_um",),
        "spillover": ("spillover",),
        "misregistration": ("shift_um",),
        "bleed": ("bleed",),
        "out_of_plane": ("ghosts", "overhang", "overlap"),
        "haze": ("haze",),
        "nuclear_haze": ("nuclear_haze",),
        "cell_haze": ("cell_haze",),
        "autofluorescence": ("blobs", "granules", "red_cells", "elastin", "holes"),
        "debris": ("debris",),
        "illumination": ("shading", "gain_jitter"),
        "seams": ("seams",),
        "speckle": ("speckle",),
        "uneven_counts": ("flicker", "counts_per_ion"),
        "camera": ("read_noise", "row_noise", "offset"),
        "hot_pixels": ("hot_pixels",),
        "aggregates": ("aggregates",),
        "lines": ("lines",),
        "denoising": ("denoise",),
        "coarse_values": ("step",),
    },
    PatternSettings: {
        "patchiness": ("patchiness",),
        "polarity": ("polarity", "capped", "aligned", "gaps"),
        "ruffles": ("ruffle_um",),
        "fibres": ("fibres",),
    },
    Marker: {"processes": ("process",), "dim_cells": ("dim",)},
    LayoutSettings: {
        "giants": ("giants",),
        "follicles": ("follicles",),
        "glands": ("glands",),
        "vessels": ("vessels",),
    },
    SegmentationSettings: {
        "wrong_outlines": ("grow_um",),
        "missed_cells": ("missed",),
        "merges": ("merged",),
        "splits": ("split",),
        "shifts": ("shift_um",),
    },
}

EFFECTS = (*(name for group in _NONE.values() for name in group), "saturation")
"""Names of all effects that can be left out."""

SettingsT = TypeVar(
    "SettingsT", Effects, PatternSettings, Marker, LayoutSettings, SegmentationSettings
)


def without(settings: SettingsT, names: Collection[str]) -> SettingsT:
    """`settings` with the named effects at strength 0; names of other settings change nothing.

    Examples
    --------
    >>> without(Effects(haze=0.3, bleed=0.1), {"haze", "merges"}).haze
    0.0
    >>> without(SegmentationSettings(merged=0.1), {"haze", "merges"}).merged
    0.0
    """
    groups = _NONE[type(settings)]
    change: dict[str, Any] = {field: 0.0 for name in names for field in groups.get(name, ())}
    if isinstance(settings, Effects) and "saturation" in names:
        change["saturation"] = float("inf")
    return dataclasses.replace(settings, **change)
