"""Channels of the real sets and of simulated tissue like them, for `realism.py`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tifffile
from numpy.typing import NDArray
from scipy import ndimage

from nimbus.datasets.fields import simulate_channel
from nimbus.datasets.layout import simulate_layout
from nimbus.datasets.platforms import PLATFORMS, VARIANTS
from nimbus.datasets.segmentation import draw_segmentation, segment
from nimbus.datasets.training_tiles import draw_layout_settings, draw_recipe

RING_UM = 1.0
"""Width of the outer ring of a cell."""

QUANTILE = 0.99
"""Of the positive pixels: the scale of a channel."""


@dataclass(frozen=True, slots=True)
class Set:
    """A real set and what is simulated beside it."""

    name: str
    platform: str
    pixel_um: float
    n_fields: int = 1


SETS = (
    Set("lymphoma_codex", "codex", 0.5),
    Set("breast_mibi_noisy", "mibi", 0.39),
    Set("dcis_mibi", "mibi_denoised", 0.49, n_fields=3),
    Set("bcell_vectra", "vectra", 0.5),
    Set("pancreas_imc", "imc_noisy", 1.0, n_fields=3),
)

CROP = 400
"""Real fields are cut to this many pixels a side."""


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """Labels of one field, and what all its channels need of them."""

    labels: NDArray[np.int32]
    is_ring: NDArray[np.bool_]


def outlined(labels: NDArray[np.int32], pixel_um: float) -> Cells:
    border = np.zeros(labels.shape, dtype=bool)
    border[1:] |= labels[1:] != labels[:-1]
    border[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    return Cells(labels, ndimage.distance_transform_edt(~border) * pixel_um <= RING_UM)


@dataclass(frozen=True, slots=True, eq=False)
class Channel:
    """One channel of one field over its scale, with the labels of the field."""

    name: str
    image: NDArray[np.float32]
    cells: Cells
    pixel_um: float


def scaled(image: NDArray[np.floating]) -> NDArray[np.float32]:
    """`image` over its scale, clipped to 0-1."""
    lit = image[image > 0]
    scale = float(np.quantile(lit, QUANTILE)) if lit.size else 1.0
    return np.clip(image / np.float32(max(scale, 1e-9)), 0, 1).astype(np.float32)


def real_channels(data: Path, wanted: Set) -> list[Channel]:
    """All channels of the first fields of a set."""
    out = []
    for image, labels, name in _fields(data / wanted.name, wanted.n_fields):
        start = [max((n - CROP) // 2, 0) for n in labels.shape]
        middle = tuple(slice(s, s + CROP) for s in start)
        cells = outlined(labels[middle], wanted.pixel_um)
        for number, plane in enumerate(image):
            cut = plane[middle].astype(np.float32)
            out.append(Channel(f"{name} {number}", scaled(cut), cells, wanted.pixel_um))
    return out


def _fields(folder: Path, n_fields: int) -> Iterator[tuple[NDArray, NDArray[np.int32], str]]:
    for place in sorted((folder / "image_data").iterdir())[:n_fields]:
        name = place.name.split(".")[0]
        if place.is_dir():
            image = np.stack([tifffile.imread(p) for p in sorted(place.glob("*.tif*"))])
        else:
            image = tifffile.imread(place)
        labels = tifffile.imread(folder / "segmentation" / f"{name}_whole_cell.tiff").squeeze()
        yield image, labels.astype(np.int32), name


def simulated_channels(wanted: Set, n_fields: int, n_channels: int, seed: int) -> list[Channel]:
    """Channels with the draws of training, at the pixel size of the real set."""
    platform = {**PLATFORMS, **VARIANTS}[wanted.platform]
    side = round(160 / wanted.pixel_um)
    out = []
    for number in range(n_fields):
        rng = np.random.default_rng([seed, number])
        layout = simulate_layout((side, side), wanted.pixel_um, draw_layout_settings(rng), rng)
        labels = segment(layout, draw_segmentation(rng), rng)
        cells = outlined(labels, wanted.pixel_um)
        before = None
        for index, chance in enumerate(rng.spawn(n_channels)):
            recipe = draw_recipe(platform, (), chance)
            drawn = simulate_channel(
                layout, recipe.marker, recipe.patterns, recipe.effects, chance, other=before
            )
            before = drawn.clean
            name = f"simulated {number} {index}"
            out.append(Channel(name, scaled(drawn.recorded.image), cells, wanted.pixel_um))
    return out
