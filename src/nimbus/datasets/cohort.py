"""Several simulated fields of one panel as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from nimbus._types import AnyArray, FloatArray

from .effects import Effects
from .fields import Channel, cell_means, simulate_channel
from .judgement import judged
from .layout import LayoutSettings, simulate_layout
from .markers import Marker, named_marker
from .pattern_settings import PatternSettings, draw_pattern_settings
from .places import find_places
from .platforms import PLATFORMS, draw_effects
from .scales import field_scale
from .segmentation import MaskKind, SegmentationSettings, segment
from .switches import without


@dataclass(frozen=True, slots=True)
class CohortSettings:
    """What is simulated; see :func:`nimbus.datasets.tissue`.

    Parameters
    ----------
    shape, n_cells, markers, platform, pixel_size_um, masks
        As in :func:`nimbus.datasets.tissue`.
    n_fields
        Number of fields.
    layout
        The tissue.
    effects
        Strengths for all channels; None: each channel draws its own from the platform's range.
    without
        Names of effects (`nimbus.datasets.switches.EFFECTS`) that are left out.
    """

    shape: tuple[int, int] = (512, 512)
    n_cells: int | None = None
    markers: tuple[str, ...] = ("DAPI", "CD3", "CD20")
    n_fields: int = 1
    platform: str = "codex"
    pixel_size_um: float | None = None
    masks: MaskKind = "whole_cell"
    layout: LayoutSettings = field(default_factory=LayoutSettings)
    effects: Effects | None = None
    without: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedField:
    """One field and its cells; rows are the cells that the labels hold, by ascending id.

    Parameters
    ----------
    name
        ``fov0`` and so on.
    image
        ``(c, y, x)`` in the platform's type.
    labels
        int32 ``(y, x)``.
    pixel_size_um
        Edge of a pixel.
    instance_id, cell_type, area
        Of each cell, ``(n,)``; the area in pixels.
    centroid_um
        x, y ``(n, 2)``.
    mean
        Mean intensity ``(n, c)``, float32.
    truth
        1 positive, 0 negative ``(n, c)``, int8.
    visible
        What a careful observer would say: 1, 0, or -1 where no eye can tell, ``(n, c)``, int8.
    """

    name: str
    image: AnyArray
    labels: NDArray[np.int32]
    pixel_size_um: float
    instance_id: NDArray[np.int64]
    cell_type: NDArray[np.str_]
    area: NDArray[np.int64]
    centroid_um: NDArray[np.float64]
    mean: NDArray[np.float32]
    truth: NDArray[np.int8]
    visible: NDArray[np.int8]


@dataclass(frozen=True, slots=True)
class _ChannelSettings:
    """What all fields share about one channel."""

    marker: Marker
    patterns: PatternSettings
    effects: Effects


def simulate_cohort(settings: CohortSettings, *, random_state: int) -> list[SimulatedField]:
    """All fields of a cohort.

    A channel has the same marker, patterns and effects in all fields; the channel before it may
    bleed into it. Field ``i`` does not depend on how many fields there are, nor a channel on how
    many channels follow it.

    Examples
    --------
    >>> few = CohortSettings(shape=(64, 64), markers=("CD3",), n_fields=2)
    >>> [field.image.shape for field in simulate_cohort(few, random_state=0)]
    [(1, 64, 64), (1, 64, 64)]
    """
    panel = [
        _draw_channel(name, settings, np.random.default_rng([random_state, 0, index]))
        for index, name in enumerate(settings.markers)
    ]
    return [
        _simulate_field(settings, panel, number, random_state)
        for number in range(settings.n_fields)
    ]


def _draw_channel(
    name: str, settings: CohortSettings, rng: np.random.Generator
) -> _ChannelSettings:
    drawn = draw_effects(PLATFORMS[settings.platform], rng)
    effects = drawn if settings.effects is None else settings.effects
    return _ChannelSettings(
        marker=without(named_marker(name, rng), settings.without),
        patterns=without(draw_pattern_settings(rng), settings.without),
        effects=without(effects, settings.without),
    )


def _simulate_field(
    settings: CohortSettings, panel: list[_ChannelSettings], number: int, random_state: int
) -> SimulatedField:
    platform = PLATFORMS[settings.platform]
    pixel = settings.pixel_size_um or platform.pixel_sizes_um[0]
    rng = np.random.default_rng([random_state, 1, number])
    tissue = without(settings.layout, settings.without)
    layout = simulate_layout(settings.shape, pixel, tissue, rng, n_cells=settings.n_cells)
    labels = segment(layout, SegmentationSettings(settings.masks), rng)
    channels: list[Channel] = []
    before: FloatArray | None = None
    for index, c in enumerate(panel):
        chance = np.random.default_rng([random_state, 2, number, index])
        drawn = simulate_channel(layout, c.marker, c.patterns, c.effects, chance, other=before)
        channels.append(drawn)
        before = drawn.clean
    image = np.stack([_stored(c, platform.dtype) for c in channels])
    area = np.bincount(labels.ravel(), minlength=layout.n_cells + 1)[1:]
    there = np.flatnonzero(area)
    places = list(np.indices(labels.shape, dtype=np.float32)[::-1])
    planes = [*image.astype(np.float32), *places]
    means = cell_means(planes, labels, layout.n_cells)[:, there]
    members = find_places(labels, layout)
    seen = [
        judged(drawn, members, c.effects, field_scale(drawn))
        for drawn, c in zip(channels, panel, strict=True)
    ]
    return SimulatedField(
        name=f"fov{number}",
        image=image,
        labels=labels,
        pixel_size_um=pixel,
        instance_id=there + 1,
        cell_type=layout.cell_type[there],
        area=area[there],
        centroid_um=((means[-2:] + 0.5) * pixel).T,
        mean=means[:-2].T.astype(np.float32),
        truth=np.stack([c.positive[there] for c in channels], axis=1).astype(np.int8),
        visible=np.stack([s[there] for s in seen], axis=1),
    )


def _stored(channel: Channel, dtype: str) -> AnyArray:
    """Counts in the type of the platform's files."""
    counts = channel.recorded.image
    if dtype == "float32":
        return counts
    return np.clip(np.round(counts), 0, np.iinfo(dtype).max).astype(dtype)
