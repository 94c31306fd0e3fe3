"""Sums of tiles, gathered field by field."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from nimbus.core.cellsums import CellSums
from nimbus.core.heldsums import HeldSums


class OfField(Protocol):
    """An item of work that belongs to a field."""

    @property
    def field(self) -> int:
        """Number of the field."""


def each_field(
    results: Iterable[tuple[OfField, CellSums | None]], *, n_fields: int
) -> Iterator[HeldSums]:
    """Sums of the tiles of each field, once its last tile is done.

    Sums are float64 and of several kinds, what becomes of them is a third of that or less; so
    only those of one field are held.

    Parameters
    ----------
    results
        Tiles and their sums (``None``: without cells), field by field.
    n_fields
        Number of fields; one without cells gives sums without parts.

    Examples
    --------
    >>> from nimbus.engine.score import TileItem
    >>> import numpy as np
    >>> sums = CellSums(np.array([7]), {})
    >>> first, last = TileItem(0, None, "fov0"), TileItem(2, None, "fov2")
    >>> done = [(first, sums), (first, None), (last, sums)]
    >>> [len(held.parts) for held in each_field(done, n_fields=3)]
    [1, 0, 1]
    """
    held, now = HeldSums(), 0
    for item, sums in results:
        while now < item.field:
            yield held
            held, now = HeldSums(), now + 1
        if sums is not None:
            held.add(sums)
    while now < n_fields:
        yield held
        held, now = HeldSums(), now + 1
