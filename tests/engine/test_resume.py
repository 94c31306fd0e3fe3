from __future__ import annotations

import errno
import platform

import numpy as np
import pytest

from nimbus._claim import ClaimedError
from nimbus.core.cellsums import CellSums
from nimbus.engine import recordlog
from nimbus.engine.resume import ResumeError, open_journal
from support.processes import held_by_another


def sums():
    return CellSums(
        np.array([3, 9]),
        {"area": np.array([1.5, 2.5]), "score": np.arange(8, dtype=float).reshape(2, 1, 4) / 7},
    )


def test_what_was_kept_comes_back_equal(tmp_path):
    with open_journal(tmp_path / "r", {"weights": "abc"}) as journal:
        journal.save(0, 7, sums())
        journal.save(1, 7, None)
    with open_journal(tmp_path / "r", {"weights": "abc"}) as again:
        kept = again.load(0, 7)
        np.testing.assert_array_equal(kept.ids, sums().ids)
        for name, values in sums().sums.items():
            np.testing.assert_array_equal(kept.sums[name], values)
        assert list(kept.sums) == ["area", "score"]
        assert again.has(1, 7)
        assert again.load(1, 7) is None
        assert not again.has(0, 8)


def test_a_flipped_byte_makes_the_tile_missing(tmp_path):
    with open_journal(tmp_path, {}) as journal:
        journal.save(0, 0, sums())
        journal.save(0, 1, sums())
    (path,) = tmp_path.glob("*.log")
    data = bytearray(path.read_bytes())
    data[60] ^= 1
    path.write_bytes(data)
    with open_journal(tmp_path, {}) as again:
        assert [again.has(0, tile) for tile in (0, 1)] == [False, True]


def test_another_fingerprint_is_refused_with_what_differs_and_nothing_else(tmp_path):
    first = {"weights": "abc", "views": [1, 2], "input of 'a'": {"dtype": "uint8", "nan": "raise"}}
    with open_journal(tmp_path, first):
        pass
    second = {**first, "weights": "abd", "input of 'a'": {"dtype": "uint16", "nan": "raise"}}
    with pytest.raises(ResumeError) as caught, open_journal(tmp_path, second):
        pass
    assert "weights: 'abc' then, 'abd' now" in str(caught.value)
    assert "input of 'a', dtype: 'uint8' then, 'uint16' now" in str(caught.value)
    assert "views" not in str(caught.value)
    assert "nan" not in str(caught.value)


@pytest.mark.parametrize("content", ["{", "null", "[]", "7"])
def test_a_damaged_fingerprint_is_told(tmp_path, content):
    (tmp_path / "fingerprint.json").write_text(content)
    with pytest.raises(ResumeError, match="json is damaged"), open_journal(tmp_path, {}):
        pass


def test_a_full_disk_stops_the_run_and_keeps_what_was_there(tmp_path, monkeypatch, caplog):
    def write_half(file, data):
        file.write(data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    with open_journal(tmp_path, {}) as journal:
        journal.save(0, 0, sums())
        with monkeypatch.context() as patch:
            patch.setattr(recordlog, "write_all", write_half)
            with pytest.raises(OSError, match="cannot be kept .No space left") as caught:
                journal.save(0, 1, sums())
        assert caught.value.errno == errno.ENOSPC
    with open_journal(tmp_path, {}) as again:
        assert [again.has(0, tile) for tile in (0, 1)] == [True, False]
        again.save(0, 1, sums())
    with open_journal(tmp_path, {}) as third:
        assert third.has(0, 1)
    assert caplog.text == "", "half a record was left behind"


def test_two_runs_cannot_share_a_folder(tmp_path):
    with (
        held_by_another(tmp_path) as process,
        pytest.raises(ClaimedError, match=f"process {process} on {platform.node()}, since 2"),
        open_journal(tmp_path, {}),
    ):
        pass
    with open_journal(tmp_path, {}):  # what a killed process held is free
        assert (tmp_path / ".nimbus-lock").exists()
    assert not (tmp_path / ".nimbus-lock").exists()
