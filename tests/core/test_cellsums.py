from __future__ import annotations

import numpy as np
import pytest

from nimbus.core.cellsums import compact_ids, ratio


@pytest.mark.parametrize("step", [1, 7, 10**9], ids=["dense", "gaps", "scattered"])
def test_positions_lead_back_to_the_ids(step):
    labels = np.random.default_rng(1).integers(0, 40, (20, 30)) * step
    ids, position = compact_ids(labels)
    assert 0 not in ids
    back = np.where(position < 0, 0, ids[np.maximum(position, 0)])
    np.testing.assert_array_equal(back, labels.ravel())
    np.testing.assert_array_equal(ids, np.unique(labels)[1:])


@pytest.mark.parametrize(
    "labels", [np.zeros((3, 3), int), np.full((3, 3), 9), np.zeros((0, 4), int)]
)
def test_positions_of_one_id_or_none(labels):
    ids, position = compact_ids(labels)
    assert ids.tolist() == ([9] if labels.any() else [])
    assert position.size == labels.size


def test_a_ratio_over_nothing_is_nan():
    got = ratio(np.array([[2.0], [0.0]]), np.array([[4.0], [0.0]]))
    np.testing.assert_array_equal(got, [[0.5], [np.nan]])
