"""Markers: where in a cell each sits and which cell types carry it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .niches import CELL_TYPES

PATTERNS = ("membrane", "nuclear", "cytoplasm", "granular", "fibre")

T_CELLS = ("helper_t", "cytotoxic_t", "regulatory_t")
IMMUNE = (*T_CELLS, "b_cell", "macrophage", "dendritic", "neutrophil", "plasma")
MESENCHYME = ("fibroblast", "smooth_muscle", "endothelial")


@dataclass(frozen=True, slots=True)
class Marker:
    """One marker.

    Parameters
    ----------
    name
        Name of the channel.
    pattern
        One of `PATTERNS`.
    positive
        Probability that a cell of a type is positive; types that are not named: never.
    process
        Part of the positive cells that send out thin processes.
    dim
        Part of the positive cells that are dim.
    spread
        Deviation of the logarithm of the positives' expression.
    """

    name: str
    pattern: str
    positive: tuple[tuple[str, float], ...]
    process: float = 0.0
    dim: float = 0.25
    spread: float = 0.45


def _of(types: Sequence[str], probability: float = 0.97) -> tuple[tuple[str, float], ...]:
    return tuple((name, probability) for name in types)


KNOWN = {
    marker.name.upper(): marker
    for marker in (
        Marker("DAPI", "nuclear", _of(CELL_TYPES, 1.0), dim=0.05, spread=0.25),
        Marker("HH3", "nuclear", _of(CELL_TYPES, 1.0), dim=0.05, spread=0.25),
        Marker("CD45", "membrane", _of(IMMUNE)),
        Marker("CD3", "membrane", _of(T_CELLS)),
        Marker("CD4", "membrane", (*_of(("helper_t", "regulatory_t")), ("macrophage", 0.3)),
               dim=0.4),
        Marker("CD8", "membrane", _of(("cytotoxic_t",))),
        Marker("CD20", "membrane", _of(("b_cell",))),
        Marker("CD138", "membrane", (*_of(("plasma",)), ("epithelial", 0.2))),
        Marker("CD11C", "membrane", (*_of(("dendritic",)), ("macrophage", 0.3)), process=0.8),
        Marker("CD163", "membrane", _of(("macrophage",), 0.7), process=0.7),
        Marker("CD31", "membrane", _of(("endothelial",)), process=0.4),
        Marker("HLADR", "membrane", _of(("dendritic", "macrophage", "b_cell"), 0.9), process=0.2),
        Marker("PANCK", "cytoplasm", _of(("epithelial",))),
        Marker("ECAD", "membrane", _of(("epithelial",))),
        Marker("FOXP3", "nuclear", _of(("regulatory_t",)), dim=0.4),
        Marker("KI67", "nuclear", (("epithelial", 0.25), ("b_cell", 0.2), ("cytotoxic_t", 0.05)),
               spread=0.7),
        Marker("PAX5", "nuclear", _of(("b_cell",))),
        Marker("CD68", "granular", _of(("macrophage",)), process=0.2),
        Marker("GZMB", "granular", (("cytotoxic_t", 0.4),)),
        Marker("MPO", "granular", _of(("neutrophil",))),
        Marker("VIM", "cytoplasm", _of((*MESENCHYME, *T_CELLS, "macrophage"), 0.9), process=0.3),
        Marker("SMA", "fibre", _of(("smooth_muscle",))),
        Marker("COLLAGEN", "fibre", (("fibroblast", 0.4),)),
    )
}  # fmt: skip
"""Markers whose name tells what they look like, by upper-case name without signs."""

_SAME = {
    "PANKRT": "PANCK", "PANKERATIN": "PANCK", "CYTOKERATIN": "PANCK", "CK": "PANCK",
    "ECADHERIN": "ECAD", "CDH1": "ECAD", "H3": "HH3", "HISTONEH3": "HH3", "HOECHST": "DAPI",
    "DNA": "DAPI", "VIMENTIN": "VIM", "GRANZYMEB": "GZMB", "COLLAGENIV": "COLLAGEN",
    "COL1": "COLLAGEN", "ACTA2": "SMA", "ASMA": "SMA", "HLADRDPDQ": "HLADR",
}  # fmt: skip

DEFAULT_PANEL = (
    "DAPI", "CD45", "CD3", "CD4", "CD8", "CD20", "FOXP3", "CD68", "PANCK", "SMA",
)  # fmt: skip


def named_marker(name: str, rng: np.random.Generator) -> Marker:
    """The known marker of that name, or a random one that carries the name.

    Case and signs do not matter: ``"Ki-67"`` is ``"KI67"``.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> named_marker("Ki-67", rng).pattern, named_marker("E-Cadherin", rng).positive
    ('nuclear', (('epithelial', 0.97),))
    >>> named_marker("XYZ", rng).name
    'XYZ'
    """
    plain = re.sub(r"[^A-Z0-9]", "", name.upper())
    known = KNOWN.get(_SAME.get(plain, plain))
    found = known if known is not None else random_marker(rng)
    return Marker(name, found.pattern, found.positive, found.process, found.dim, found.spread)


_PATTERN_WEIGHT = (0.42, 0.22, 0.14, 0.12, 0.10)
"""How often a random marker has each of `PATTERNS`: as in common panels."""

ABSENT = 0.08
"""Part of the random markers that no cell carries."""

UBIQUITOUS = 0.14
"""Part of the random markers that nearly every cell carries."""

_UBIQUITOUS_WEIGHT = (0.27, 0.55, 0.15, 0.03, 0.0)
"""How often these have each of `PATTERNS`: histones and DNA, then pumps, HLA and junctions."""

SCATTERED = 0.25
"""Part of the random markers that cells carry whatever their type: positives among negatives."""

SCATTERED_SHARE = (0.01, 0.7)
"""Range of the part of the cells that are positive then, drawn on the logarithm."""

ALIKE = 0.5
"""Part of the random markers whose positives are about equally bright, as those of a follicle are:
where no stain is even, a network takes whatever is even for background."""

ALL_DIM = 0.08
"""Part of the random markers whose positives are all dim."""


def random_marker(rng: np.random.Generator) -> Marker:
    """A marker of random pattern on random cell types: what a network is trained on."""
    if rng.random() < UBIQUITOUS:
        return _ubiquitous_marker(rng)
    pattern = str(rng.choice(PATTERNS, p=_PATTERN_WEIGHT))
    positive = tuple((name, float(p)) for name, p in _random_positive(pattern, rng) if p > 0)
    alike = rng.random() < ALIKE
    usual = rng.uniform(0.0, 0.08) if alike else rng.uniform(0.1, 0.6)
    return Marker(
        name="random",
        pattern=pattern,
        positive=positive,
        process=float(rng.choice([0.0, 0.3, 0.8], p=[0.6, 0.25, 0.15])),
        dim=float(rng.choice([usual, 1.0], p=[1 - ALL_DIM, ALL_DIM])),
        spread=float(rng.uniform(0.08, 0.3) if alike else rng.uniform(0.25, 0.8)),
    )


def _ubiquitous_marker(rng: np.random.Generator) -> Marker:
    """A marker of all cells, or of all but a few: even, or as uneven as other markers."""
    least = float(rng.choice([1.0, rng.uniform(0.8, 1.0)], p=[0.6, 0.4]))
    return Marker(
        name="random",
        pattern=str(rng.choice(PATTERNS, p=_UBIQUITOUS_WEIGHT)),
        positive=tuple((name, float(rng.uniform(least, 1.0))) for name in CELL_TYPES),
        dim=float(rng.choice([rng.uniform(0.0, 0.05), rng.uniform(0.0, 0.3)])),
        spread=float(rng.choice([rng.uniform(0.08, 0.25), rng.uniform(0.12, 0.7)])),
    )


def _random_positive(pattern: str, rng: np.random.Generator) -> list[tuple[str, float]]:
    kind = rng.random()
    if kind < ABSENT:
        return []
    there = MESENCHYME if pattern == "fibre" else CELL_TYPES
    if kind < ABSENT + SCATTERED:
        share = float(np.exp(rng.uniform(*np.log(SCATTERED_SHARE))))
        return [(name, share) for name in there]
    n_types = min(1 + rng.geometric(0.45), len(there))
    chosen = rng.permutation(there)[:n_types]
    parts = [float(rng.choice([rng.uniform(0.03, 0.4), rng.uniform(0.7, 1.0)])) for _ in chosen]
    return [(str(name), p) for name, p in zip(chosen, parts, strict=True)]
