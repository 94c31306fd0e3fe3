"""How the molecules of one marker lie in its cells: the numbers, and the range of each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class PatternSettings:
    """How the patterns of one channel are drawn.

    Parameters
    ----------
    ring_um
        Width of the membrane.
    cap
        Membrane above and below the nucleus that the section holds.
    patchiness
        Deviation of the logarithm of the density within a cell.
    patch_um
        Size of a patch.
    leak
        Part of a nuclear marker in the cytoplasm, and of a cytoplasmic one in the nucleus.
    chromatin, chromatin_um
        Deviation of the logarithm of the density within a nucleus, and the size of its grain.
    lamina
        How much brighter the rim of a nucleus is.
    granules
        Granules per cell.
    granule_um
        Radius of a granule.
    polarity
        How much brighter one side of a cell is.
    capped
        Part of the cells whose signal lies on one side alone.
    aligned
        Probability that neighbours have the same bright side.
    gaps
        Part of the membrane that is missing.
    process_um
        Length of thin processes.
    fibre_um
        Length of fibres.
    fibre_width_um
        Width of fibres.
    fibres
        Fibres per 1000 square um of stroma.
    ruffle_um
        How far the signal strays from the outlines that the labels follow.

    Examples
    --------
    A membrane of 1.2 um of which a third is missing, else as usual:

    >>> settings = PatternSettings(ring_um=1.2, gaps=1 / 3)
    >>> settings.ring_um, settings.granules
    (1.2, 9.0)
    """

    ring_um: float = 0.8
    cap: float = 0.15
    patchiness: float = 0.35
    patch_um: float = 0.8
    leak: float = 0.15
    chromatin: float = 0.25
    chromatin_um: float = 1.2
    lamina: float = 0.0
    granules: float = 9.0
    granule_um: float = 0.5
    polarity: float = 0.3
    capped: float = 0.05
    aligned: float = 0.3
    gaps: float = 0.0
    process_um: float = 12.0
    fibre_um: float = 60.0
    fibre_width_um: float = 1.0
    fibres: float = 4.0
    ruffle_um: float = 0.4


def draw_pattern_settings(rng: np.random.Generator) -> PatternSettings:
    """Settings of one channel, over the range that real markers show.

    Examples
    --------
    >>> drawn = [draw_pattern_settings(np.random.default_rng(seed)) for seed in range(100)]
    >>> 0.5 <= min(one.ring_um for one in drawn) < max(one.ring_um for one in drawn) <= 1.5
    True
    """
    return PatternSettings(
        ring_um=float(rng.uniform(0.5, 1.5)),
        cap=float(rng.uniform(0.03, 0.5)),
        patchiness=float(rng.uniform(0.1, 0.8)),
        patch_um=float(rng.uniform(0.5, 1.6)),
        leak=float(rng.uniform(0.02, 0.6)),
        chromatin=float(rng.uniform(0.1, 0.6)),
        chromatin_um=float(rng.uniform(0.8, 2.2)),
        lamina=float(rng.choice([0.0, rng.uniform(0.2, 2.5)], p=[0.7, 0.3])),
        granules=float(rng.uniform(3, 20)),
        granule_um=float(rng.uniform(0.3, 0.8)),
        polarity=float(rng.uniform(0.0, 0.8)),
        capped=float(rng.choice([0.0, rng.uniform(0.05, 0.3), 1.0], p=[0.6, 0.35, 0.05])),
        aligned=float(rng.choice([0.0, 1.0])),
        gaps=float(rng.choice([0.0, rng.uniform(0.05, 0.5)], p=[0.6, 0.4])),
        process_um=float(rng.uniform(6, 22)),
        fibre_um=float(rng.uniform(30, 150)),
        fibre_width_um=float(rng.uniform(0.5, 2.5)),
        fibres=float(rng.uniform(0.5, 10)),
        ruffle_um=float(rng.uniform(0.0, 1.0)),
    )
