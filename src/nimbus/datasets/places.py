"""Which cells a label stands for, and where an observer looks for their signal."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nimbus._types import FloatArray, IntArray

from .layout import Layout
from .outlines import moved

REACH_UM = 2.0
"""So far outside its label a cell's signal is looked for: membranes around a nuclear mask."""

MIN_SHARE = 0.25
"""A cell that fills less of a label than this is no member of it."""


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """The members of each label and their places.

    Parameters
    ----------
    image
        1 to m: place of a member; 0: none. int32 ``(y, x)``.
    label, cell
        Ids of each member's label and cell, ``(m,)``.
    share
        Part of the label that the member fills, ``(m,)``.
    n_labels
        Largest id of the labels.
    """

    image: NDArray[np.int32]
    label: IntArray
    cell: IntArray
    share: FloatArray
    n_labels: int

    def __len__(self) -> int:
        return len(self.label)

    def sums(self, values: FloatArray) -> FloatArray:
        """Sum of an image ``(y, x)`` over each place, ``(m,)``."""
        out = np.bincount(self.image.ravel(), weights=values.ravel(), minlength=len(self) + 1)
        return np.asarray(out[1:])


def find_places(labels: IntArray, layout: Layout) -> Places:
    """Members and places of all labels of a layout.

    A member's place is the label, grown by `REACH_UM` and cut to the member's true cell: a ring
    just outside a nuclear mask counts, a neighbour's membrane inside it does not.

    Examples
    --------
    >>> from nimbus.datasets.layout import LayoutSettings, simulate_layout
    >>> rng = np.random.default_rng(0)
    >>> layout = simulate_layout((60, 60), 0.5, LayoutSettings(), rng)
    >>> places = find_places(layout.nuclei, layout)
    >>> bool((places.label == places.cell).all()), len(places) == layout.n_cells
    (True, True)
    """
    n_labels, base = int(labels.max(initial=0)), layout.n_cells + 1
    pairs = labels.astype(np.int64) * base + layout.cells
    both = pairs[(labels > 0) & (layout.cells > 0)]
    key, n_px = np.unique(both, return_counts=True)
    label, cell = np.divmod(key, base)
    share = n_px / np.maximum(np.bincount(labels.ravel(), minlength=n_labels + 1)[label], 1)
    kept = share >= MIN_SHARE
    label, cell, share = label[kept], cell[kept], share[kept]
    grown = moved(labels, REACH_UM / layout.pixel_size_um)
    wanted = label * base + cell
    found = grown.astype(np.int64) * base + layout.cells
    index = np.searchsorted(wanted, found).clip(0, max(len(wanted) - 1, 0))
    hit = wanted[index] == found if len(wanted) else np.zeros(labels.shape, dtype=bool)
    return Places(np.where(hit, index + 1, 0).astype(np.int32), label, cell, share, n_labels)
