"""Kinds of tissue: how tight their cells lie and of which types they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from nimbus._types import FloatArray, IntArray


@dataclass(frozen=True, slots=True)
class Niche:
    """A kind of tissue: how its cells are packed and which types they are.

    Parameters
    ----------
    name
        Word for the niche.
    spacing_um
        No two centres are closer.
    radius_um
        Radius a cell has where its neighbours leave it room.
    elongation
        Typical ratio of the axes.
    nucleus
        Size of the nucleus relative to the cell.
    cell_types
        Weight of each type.
    aligned
        The long axes of its cells follow the grain of the tissue.
    """

    name: str
    spacing_um: float
    radius_um: float
    elongation: float
    nucleus: float
    cell_types: tuple[tuple[str, float], ...]
    aligned: bool = False


LYMPHOID = Niche(
    "lymphoid", 5.2, 4.4, 1.15, 0.80,
    (("helper_t", 4), ("regulatory_t", 1), ("cytotoxic_t", 3), ("dendritic", 1),
     ("macrophage", 1), ("plasma", 0.5), ("b_cell", 7)),
)  # fmt: skip
EPITHELIAL = Niche(
    "epithelial",
    7.6,
    6.6,
    1.3,
    0.62,
    (("epithelial", 20), ("cytotoxic_t", 1), ("macrophage", 0.5), ("dendritic", 0.3)),
)
STROMA = Niche(
    "stroma", 8.0, 4.6, 2.2, 0.72,
    (("fibroblast", 7), ("smooth_muscle", 3), ("endothelial", 2), ("macrophage", 2),
     ("helper_t", 1), ("neutrophil", 0.7), ("plasma", 0.7)),
    aligned=True,
)  # fmt: skip
MIXED = Niche(
    "mixed", 6.0, 5.2, 1.3, 0.70,
    (("epithelial", 3), ("macrophage", 3), ("helper_t", 2), ("cytotoxic_t", 2),
     ("fibroblast", 2), ("neutrophil", 1), ("endothelial", 1), ("b_cell", 1)),
)  # fmt: skip
VESSEL = Niche(
    "vessel", 5.5, 3.4, 2.4, 0.72, (("endothelial", 6), ("smooth_muscle", 2)), aligned=True
)

NICHES = (LYMPHOID, EPITHELIAL, STROMA, MIXED)
"""Niches of the default tissue; sizes are those of common histology textbooks, rounded."""

CELL_TYPES = tuple(sorted({name for niche in NICHES for name, _ in niche.cell_types}))


def draw_types(
    kind: IntArray,
    niches: tuple[Niche, ...],
    wave: FloatArray,
    clustering: float,
    rng: np.random.Generator,
) -> NDArray[np.str_]:
    """Type of each cell.

    Parameters
    ----------
    kind
        Index of each cell's niche, ``(n,)``.
    niches
        The niches.
    wave
        A smooth normal field at each cell, ``(n,)``.
    clustering
        0: types alternate at random; 1: neighbours follow `wave` and lie in zones of one type.
    rng
        Source of chance.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> wave = np.repeat([-2.0, 2.0], 3)
    >>> draw_types(np.zeros(6, dtype=int), (LYMPHOID,), wave, 1.0, rng)
    array(['helper_t', 'helper_t', 'helper_t', 'b_cell', 'b_cell', 'b_cell'],
          dtype='<U24')
    """
    alone = rng.standard_normal(len(kind))
    draw = ndtr(np.sqrt(clustering) * wave + np.sqrt(1 - clustering) * alone)
    out = np.empty(len(kind), dtype="<U24")
    for index, niche in enumerate(niches):
        names, weight = zip(*niche.cell_types, strict=True)
        edges = np.cumsum(weight) / np.sum(weight)
        here = kind == index
        chosen = np.searchsorted(edges, draw[here], side="right")
        out[here] = np.array(names)[np.minimum(chosen, len(names) - 1)]
    return out
