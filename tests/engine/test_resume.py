from __future__ import annotations

import numpy as np
import pytest

from nimbus.core.cellsums import CellSums
from nimbus.engine.resume import ResumeError, open_journal


def test_what_was_kept_comes_back_equal(tmp_path):
    journal = open_journal(tmp_path / "r", {"weights": "abc"})
    sums = CellSums(np.array([3, 9]), {"area": np.array([1.5, 2.5]), "score": np.ones((2, 1, 4))})
    journal.save(0, 7, sums)
    journal.save(1, 7, None)
    again = open_journal(tmp_path / "r", {"weights": "abc"})
    done, kept = again.load(0, 7)
    assert done
    np.testing.assert_array_equal(kept.ids, sums.ids)
    for name, values in sums.sums.items():
        np.testing.assert_array_equal(kept.sums[name], values)
    assert again.load(1, 7) == (True, None)
    assert again.load(0, 8) == (False, None)


@pytest.mark.parametrize("place", [0, 40, -1])
def test_a_flipped_byte_makes_the_tile_missing(tmp_path, place):
    journal = open_journal(tmp_path, {})
    journal.save(0, 0, CellSums(np.array([3]), {"area": np.array([1.5])}))
    (path,) = tmp_path.glob("field*.npz")
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    assert journal.load(0, 0) == (False, None)


def test_a_cut_file_makes_the_tile_missing(tmp_path):
    journal = open_journal(tmp_path, {})
    journal.save(0, 0, None)
    (path,) = tmp_path.glob("field*.npz")
    path.write_bytes(path.read_bytes()[:20])
    assert journal.load(0, 0) == (False, None)


def test_another_fingerprint_is_refused_with_what_differs(tmp_path):
    open_journal(tmp_path, {"weights": "abc", "views": [1, 2]})
    with pytest.raises(ResumeError, match="weights: 'abc' then, 'abd' now"):
        open_journal(tmp_path, {"weights": "abd", "views": [1, 2]})
