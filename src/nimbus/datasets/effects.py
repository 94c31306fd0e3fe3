"""What microscope, chemistry and detector do to the clean signal of one marker.

In front of the detector everything is in units of a typical positive cell (1.0); behind it, in
counts. Each effect is one function of `optics`, `background` or `detector`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nimbus._types import FloatArray

from . import background, detector, optics
from .layout import Layout
from .patterns import Signal


@dataclass(frozen=True, slots=True)
class Effects:
    """Strength of every effect on one channel; 0 switches one off.

    Parameters
    ----------
    psf_um
        Deviation of the blur.
    spillover, spillover_um
        Part of the light that spreads wide, and how wide.
    shift_um
        Registration error of the channel against the labels.
    bleed
        Part of another channel's signal that shines through.
    ghosts
        Light from cells above or below the section.
    overhang
        Light of parts of cells that reach over their neighbours, out of focus.
    overlap
        Light of a second layer of cells in the section, in focus.
    haze, haze_um
        Background over the whole field, in units of a positive cell, and the size of its waves.
    matrix
        Factor on the haze between the cells.
    nuclear_haze
        Unspecific signal that fills all nuclei.
    cell_haze
        Unspecific signal or autofluorescence of all cells.
    blobs
        Autofluorescent blobs per 10,000 square um.
    granules, granule_light
        Part of the cells with autofluorescent granules, and how bright these are.
    red_cells, elastin
        Autofluorescence of blood and of elastic fibres.
    debris
        Brightness of a large piece of dirt.
    shading
        Deviation of the gain over the field.
    seams
        Deviation of the logarithm of the gain between stitched tiles.
    gain_jitter
        Deviation of the logarithm of the gain from field to field.
    photons
        Counts per pixel of a typical positive cell.
    flicker
        Deviation of the gain from pixel to pixel, relative to it.
    counts_per_ion
        Counts that one particle gives; 0: a particle is a count.
    speckle
        Counts per pixel that come from nowhere.
    read_noise, row_noise
        Deviation of the camera's noise, by pixel and by row, in counts.
    offset
        Counts that the camera adds; negative: background was subtracted, values end at 0.
    holes
        1: pixels of bright autofluorescence are 0, because too much was subtracted.
    hot_pixels
        Part of the pixels that are far too bright.
    aggregates
        Bright aggregates of antibody per 10,000 square um.
    lines
        Lines of the scan that are saturated, per 1000 lines.
    denoise
        Isolated counts below this local density are removed.
    step
        Values are multiples of this many counts; 0: all values.
    saturation
        Counts at which the detector ends; infinity: never.
    """

    psf_um: float = 0.5
    spillover: float = 0.08
    spillover_um: float = 2.5
    shift_um: float = 0.0
    bleed: float = 0.0
    ghosts: float = 0.03
    overhang: float = 0.0
    overlap: float = 0.0
    haze: float = 0.04
    haze_um: float = 30.0
    matrix: float = 1.0
    nuclear_haze: float = 0.03
    cell_haze: float = 0.03
    blobs: float = 1.0
    granules: float = 0.0
    granule_light: float = 0.5
    red_cells: float = 0.0
    elastin: float = 0.0
    debris: float = 0.0
    shading: float = 0.05
    seams: float = 0.0
    gain_jitter: float = 0.15
    photons: float = 60.0
    flicker: float = 0.0
    counts_per_ion: float = 0.0
    speckle: float = 0.02
    read_noise: float = 1.0
    row_noise: float = 0.0
    offset: float = 0.0
    holes: float = 0.0
    hot_pixels: float = 1e-5
    aggregates: float = 0.3
    lines: float = 0.0
    denoise: float = 0.0
    step: float = 0.0
    saturation: float = float("inf")


@dataclass(frozen=True, slots=True)
class Recorded:
    """What the detector wrote and what it wrote it of.

    Parameters
    ----------
    image
        Counts, float32 ``(y, x)``.
    own
        Counts that each cell's own molecules would give in its place: before blur and noise.
    mimic
        Expected counts of light that looks like a cell's own and is not.
    filled
        Expected counts of the light that fills all nuclei or cells.
    """

    image: NDArray[np.float32]
    own: NDArray[np.float32]
    mimic: NDArray[np.float32]
    filled: NDArray[np.float32]


def record(
    signal: Signal,
    layout: Layout,
    effects: Effects,
    rng: np.random.Generator,
    *,
    other: FloatArray | None = None,
) -> Recorded:
    """Apply all effects in the order in which they happen.

    Parameters
    ----------
    signal
        Signal of the marker; a typical positive cell has 1.
    layout
        The cells.
    effects
        Strength of each effect.
    rng
        Source of chance. Each effect has its own part of it, so that one that is switched off
        changes nothing else.
    other
        Signal of the channel that bleeds through; None: there is none.
    """
    pixel = layout.pixel_size_um
    turn, beside, behind, waves, strands, detected = rng.spawn(6)
    angle = turn.uniform(0, 2 * np.pi)
    own, total = (
        optics.misplaced(image, effects.shift_um, angle, pixel)
        for image in (signal.own, signal.total)
    )
    filled = unspecific(layout, effects, behind)
    mimic = lookalikes(total, other, layout, effects, beside)
    sharp = total + mimic + filled + background.elastin(layout, effects.elastin, strands)
    light: FloatArray = optics.blur(sharp, effects.psf_um / pixel)
    light = light + optics.spill(total, effects.spillover, effects.spillover_um, pixel)
    light = light + background.haze(layout, effects.haze, effects.haze_um, effects.matrix, waves)
    gain_chance, clump_chance, counts_chance = detected.spawn(3)
    uneven = detector.shading(layout.shape, effects.shading, effects.gain_jitter, gain_chance)
    stitched = detector.seams(layout.shape, effects.seams, pixel, gain_chance)
    gain = effects.photons * uneven * stitched
    expected = light * gain + effects.speckle
    clumps = aggregates(layout, effects, clump_chance)
    image = detect(np.maximum(expected, 0), clumps, effects, counts_chance)
    if effects.holes > 0:
        image = np.where(mimic > 0.4, 0, image)
    return Recorded(
        image=np.asarray(image, dtype=np.float32),
        own=np.asarray(own * gain, dtype=np.float32),
        mimic=np.asarray((mimic + outstanding(filled, effects)) * gain + clumps, dtype=np.float32),
        filled=np.asarray(filled * gain, dtype=np.float32),
    )


def lookalikes(
    total: NDArray[np.float32],
    other: FloatArray | None,
    layout: Layout,
    effects: Effects,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """Light that looks like a cell's own: of another marker, another layer, or autofluorescence."""
    layer, blob, granule, red, dirt = rng.spawn(5)
    light = optics.out_of_focus(total, layout, effects.ghosts, effects.overhang, layer)
    light = light + optics.second_layer(total, effects.overlap, layer)
    if other is not None and effects.bleed > 0:
        light = light + effects.bleed * other
    light = light + background.spots(layout, effects.blobs, (0.6, 2.6), (0.2, 4.0), blob)
    light = light + background.granules(layout, effects.granules, effects.granule_light, granule)
    light = light + background.red_cells(layout, effects.red_cells, red)
    light = light + background.debris(layout, effects.debris, dirt)
    return np.asarray(light, dtype=np.float32)


def unspecific(layout: Layout, effects: Effects, rng: np.random.Generator) -> NDArray[np.float32]:
    """Light that fills every cell or nucleus, whatever it has of the marker."""
    nuclear, whole, grain = rng.spawn(3)
    n = layout.n_cells
    light = background.cell_levels(layout.nuclei, n, effects.nuclear_haze, 0.25, nuclear)
    light = light + background.cell_levels(layout.cells, n, effects.cell_haze, 0.3, whole)
    return background.grained(light, 1.0, layout.pixel_size_um, grain)


def outstanding(filled: NDArray[np.float32], effects: Effects) -> NDArray[np.float32]:
    """What of unspecific light is far above that of other cells, so that it looks like signal."""
    usual = np.float32(2.0 * (effects.nuclear_haze + effects.cell_haze))
    return np.asarray(np.maximum(filled - usual, 0), dtype=np.float32)


def aggregates(layout: Layout, effects: Effects, rng: np.random.Generator) -> FloatArray:
    """Small and very bright aggregates of antibody, in counts."""
    bright = background.spots(layout, effects.aggregates, (0.3, 1.6), (1.0, 12.0), rng)
    return np.round(bright * max(effects.photons, 3.0))


def detect(
    expected: FloatArray, clumps: FloatArray, effects: Effects, rng: np.random.Generator
) -> FloatArray:
    """Counts of the detector for the expected ones, with its faults."""
    counting, noise, hot, scan = rng.spawn(4)
    uneven = detector.flickering(expected, effects.flicker, counting)
    if effects.counts_per_ion > 0:
        counts = detector.counted_ions(uneven, effects.counts_per_ion, counting)
    else:
        counts = detector.counted(uneven, counting)
    counts = detector.camera(counts, effects.read_noise, effects.row_noise, effects.offset, noise)
    counts = detector.hot_pixels(counts + clumps, effects.hot_pixels, hot)
    counts = detector.isolated_removed(counts, effects.denoise)
    counts = detector.saturated_lines(counts, effects.lines, scan)
    return np.minimum(detector.coarse(counts, effects.step), effects.saturation)
