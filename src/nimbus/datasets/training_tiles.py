"""Simulated tissue as training tiles: what the first model learned from.

Every field draws its own platform, pixel size, tissue and labels; every channel its own marker,
patterns and effects. Truth is known; a positive that nobody could see is undecided.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nimbus._check import require_known
from nimbus._progress import with_progress
from nimbus._types import FloatArray
from nimbus.core.boxes import Box
from nimbus.core.grid import same_grid
from nimbus.core.masks import cell_plane, mask_plane
from nimbus.core.resample import area_average
from nimbus.core.shards import PLANE_MAX, Tiles, merged, write_index, write_shard

from .effects import Effects
from .fields import Channel, simulate_channel
from .judgement import judged
from .layout import LayoutSettings, simulate_layout
from .markers import KNOWN, Marker, random_marker
from .niches import NICHES
from .pattern_settings import PatternSettings, draw_pattern_settings
from .places import find_places
from .platforms import PLATFORMS, VARIANTS, Platform, draw_effects
from .scales import draw_scale
from .segmentation import draw_segmentation, segment
from .switches import EFFECTS, without
from .tile_settings import TileSettings

KNOWN_SHARE = 0.2
"""Part of the channels whose marker is one of `KNOWN`; the others are random."""

MIN_VISIBLE = 0.4
"""A cell of which less than this part lies in the tile is undecided."""


def write_training_tiles(
    folder: str | Path,
    *,
    settings: TileSettings | None = None,
    random_state: int = 0,
    n_jobs: int = 1,
    show_progress_bar: bool = True,
) -> None:
    """Simulate fields of tissue and write them as shards of training tiles.

    Parameters
    ----------
    folder
        Where the shards and, last, their index are written.
    settings
        How many tiles and of which size; None: the defaults.
    random_state
        Seed; the same seed and settings give the same bytes, whatever `n_jobs` is.
    n_jobs
        Processes that simulate.
    show_progress_bar
        Show one.

    Raises
    ------
    ValueError
        For a platform or an effect that does not exist.

    Examples
    --------
    >>> import tempfile
    >>> from nimbus.core.shards import open_shards, read_shard
    >>> folder = tempfile.mkdtemp()
    >>> few = TileSettings(n_fields=1, n_channels=2, tile_size=32)
    >>> write_training_tiles(folder, settings=few, show_progress_bar=False)
    >>> read_shard(open_shards(folder), 0).planes.shape
    (8, 32, 32)
    """
    wanted = settings if settings is not None else TileSettings()
    require_known("platform", wanted.platforms, [*PLATFORMS, *VARIANTS])
    require_known("effect", wanted.without, EFFECTS)
    path = Path(folder)
    sums: list[dict[str, str]] = []
    pending: list[Tiles] = []
    fields = _simulated(wanted, random_state, n_jobs)
    each = with_progress(
        fields,
        total=wanted.n_fields,
        description="tissue",
        unit="fields",
        show=show_progress_bar,
    )
    for number, tiles in enumerate(each):
        pending.append(tiles)
        if len(pending) == wanted.fields_per_shard or number + 1 == wanted.n_fields:
            sums.append(write_shard(path, len(sums), merged(pending)))
            pending = []
    about = {
        "made_by": "nimbus.datasets.write_training_tiles",
        "random_state": random_state,
        "pixel_size_um": wanted.pixel_size_um,
        "settings": dataclasses.asdict(wanted),
        "sources": [{"dataset": f"simulated {p}", "marker": "random"} for p in wanted.platforms],
    }
    write_index(path, sums, about)


def _simulated(settings: TileSettings, random_state: int, n_jobs: int) -> Iterator[Tiles]:
    """The tiles of each field, in order."""
    task = partial(_field, settings, random_state)
    if n_jobs == 1:
        yield from map(task, range(settings.n_fields))
        return
    with ProcessPoolExecutor(n_jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(task, range(settings.n_fields))


def _field(settings: TileSettings, random_state: int, number: int) -> Tiles:
    return simulate_tiles(settings, np.random.default_rng([random_state, number]))


def simulate_tiles(settings: TileSettings, rng: np.random.Generator) -> Tiles:
    """All tiles of one field: every channel on every piece of its tissue."""
    name = str(rng.choice(list(settings.platforms)))
    platform = {**PLATFORMS, **VARIANTS}[name]
    pixel = float(rng.choice(platform.pixel_sizes_um)) * float(rng.uniform(0.9, 1.1))
    factor = settings.pixel_size_um * _log_uniform(settings.zoom, rng) / pixel
    side = settings.tile_size * settings.tiles_per_side
    n_pixels = int(np.ceil(side * factor)) + 1
    tissue = without(draw_layout_settings(rng), settings.without)
    layout = simulate_layout((n_pixels, n_pixels), pixel, tissue, rng)
    labels = segment(layout, without(draw_segmentation(rng), settings.without), rng)
    grid = same_grid(layout.shape, factor)
    box = Box(0, side, 0, side)
    mask = mask_plane(labels, grid, box, origin=Box(0, n_pixels, 0, n_pixels))
    ids = cell_plane(labels, grid, box, origin=Box(0, n_pixels, 0, n_pixels))
    places = find_places(labels, layout)
    planes, truths = [], []
    before: Channel | None = None
    for chance in rng.spawn(settings.n_channels):
        recipe = draw_recipe(platform, settings.without, chance)
        before = simulate_channel(
            layout, recipe.marker, recipe.patterns, recipe.effects, chance,
            other=None if before is None else before.clean,
        )  # fmt: skip
        scale = draw_scale(before, recipe.effects, chance)
        plane = np.clip(before.recorded.image / np.float32(scale), 0, 1)
        planes.append(area_average(plane, grid, box, origin=Box(0, n_pixels, 0, n_pixels)))
        truths.append(judged(before, places, recipe.effects, scale))
    source = settings.platforms.index(name)
    return cut(np.stack(planes), mask, ids, np.stack(truths), settings.tile_size, source=source)


def draw_layout_settings(rng: np.random.Generator) -> LayoutSettings:
    """Tissue of one field: from one niche to all, small cells to large, tight to loose."""
    n_niches = int(rng.integers(1, len(NICHES) + 1))
    chosen = rng.permutation(len(NICHES))[:n_niches]
    return LayoutSettings(
        niches=tuple(NICHES[i] for i in sorted(chosen)),
        niche_um=float(rng.uniform(25, 110)),
        size=_log_uniform((0.8, 1.6), rng),
        size_spread=float(rng.uniform(0.1, 0.35)),
        giants=float(rng.choice([0.0, rng.uniform(0.01, 0.12)], p=[0.5, 0.5])),
        lumen=float(rng.choice([0.0, rng.uniform(0, 0.3)])),
        crowding=float(rng.choice([1.0, rng.uniform(0.5, 1.0)])),
        warp_um=float(rng.uniform(0.3, 1.1)),
        nucleus=float(rng.uniform(0.9, 1.25)),
        rim_um=float(rng.uniform(0.1, 0.9)),
        clustering=float(rng.choice([0.0, rng.uniform(0.0, 0.9)])),
        follicles=float(rng.uniform(0, 4)),
        glands=float(rng.uniform(0, 3)),
        vessels=float(rng.uniform(0, 5)),
    )


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a channel is made of."""

    marker: Marker
    patterns: PatternSettings
    effects: Effects


def draw_recipe(platform: Platform, left_out: tuple[str, ...], rng: np.random.Generator) -> Recipe:
    """Marker, patterns and effects of one channel."""
    known = rng.random() < KNOWN_SHARE
    marker = KNOWN[str(rng.choice(list(KNOWN)))] if known else random_marker(rng)
    effects = draw_effects(platform, rng)
    patterns = draw_pattern_settings(rng)
    return Recipe(
        without(marker, left_out), without(patterns, left_out), without(effects, left_out)
    )


def cut(
    planes: FloatArray,
    mask: NDArray[np.uint8],
    ids: NDArray[np.int32],
    truth: NDArray[np.int8],
    size: int,
    *,
    source: int = 0,
) -> Tiles:
    """Square tiles of a field, the cells of each numbered from 1.

    Parameters
    ----------
    planes
        Channels in [0, 1], ``(channel, y, x)``.
    mask, ids
        Mask plane and cells, ``(y, x)``.
    truth
        1, 0 or -1, ``(channel, cell)``.
    size
        Edge of a tile.
    source
        Index of the field's platform among the sources.
    """
    full = np.bincount(ids.ravel(), minlength=truth.shape[1] + 1)
    stored = np.round(np.clip(planes, 0, 1) * PLANE_MAX).astype(np.uint16)
    parts = []
    for top in range(0, mask.shape[0] - size + 1, size):
        for left in range(0, mask.shape[1] - size + 1, size):
            here = np.s_[top : top + size, left : left + size]
            old, new = np.unique(ids[here], return_inverse=True)
            cells = old[old > 0]
            new = new.reshape(size, size) + (0 if old[0] == 0 else 1)
            count = np.bincount(new.ravel(), minlength=len(cells) + 1)[1:]
            labels = truth[:, cells - 1].copy()
            labels[:, count < MIN_VISIBLE * full[cells]] = -1
            geometry = np.zeros(len(planes), dtype=np.int32)
            parts.append(
                Tiles(
                    stored[:, *here], geometry, labels, mask[here][None],
                    new[None].astype(np.int32), np.full(len(planes), source, dtype=np.int32),
                )
            )  # fmt: skip
    return merged(parts)


def _log_uniform(bounds: tuple[float, float], rng: np.random.Generator) -> float:
    low, high = np.log(bounds)
    return float(np.exp(rng.uniform(low, high)))
