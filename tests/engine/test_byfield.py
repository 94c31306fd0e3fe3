"""Sums of one field at a time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nimbus.core.cellsums import CellSums
from nimbus.engine.byfield import each_field


@dataclass
class Done:
    field: int


def sums(number):
    return CellSums(np.array([number]), {})


def test_a_field_comes_when_its_last_tile_is_done_and_before_the_next_is_asked_for():
    asked = []

    def tiles():
        for field, number in ((0, 1), (0, None), (0, 2), (1, None), (3, 3)):
            asked.append(field)
            yield Done(field), None if number is None else sums(number)

    fields = each_field(tiles(), n_fields=5)
    found = []
    for held in fields:
        found.append([int(ids[0]) for ids in held.parts])
        if len(found) == 1:
            assert asked == [0, 0, 0, 1]
    assert found == [[1, 2], [], [], [3], []]
