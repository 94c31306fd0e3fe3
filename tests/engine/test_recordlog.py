"""A log survives being cut off or damaged at any byte."""

from __future__ import annotations

import numpy as np
import pytest

from nimbus.engine import recordlog
from nimbus.engine.recordlog import HEADER_BYTES, open_log


def bodies(n, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.bytes(int(rng.integers(0, 60))) for _ in range(n)]


def written(folder, contents, *, close=True):
    log = open_log(folder)
    for k, body in enumerate(contents):
        log.append(k % 3, k, body)
    if close:
        log.close()
    return log


def kept(folder, contents):
    log = open_log(folder)
    read = [log.read(k % 3, k) for k in range(len(contents))]
    assert all(there is None or there == body for there, body in zip(read, contents, strict=True))
    return [there is not None for there in read]


def test_what_was_appended_comes_back_also_from_a_log_that_was_never_closed(tmp_path):
    contents = bodies(40)
    written(tmp_path, contents, close=False)
    assert all(kept(tmp_path, contents))
    assert [p.suffix for p in tmp_path.iterdir()] == [".log"], "closed by who found it"


@pytest.mark.parametrize("cut", range(1, HEADER_BYTES + 30, 5))
def test_a_torn_last_record_is_missing_and_what_follows_is_appended_elsewhere(tmp_path, cut):
    contents = [b"a" * 20, b"b" * 25, b"c" * 30]
    written(tmp_path, contents, close=False)
    (path,) = tmp_path.glob("*.open")
    path.write_bytes(path.read_bytes()[:-cut])
    assert kept(tmp_path, contents) == [True, True, False]
    log = open_log(tmp_path)
    log.append(2, 2, contents[2])
    log.close()
    assert kept(tmp_path, contents) == [True, True, True]


def test_every_flipped_byte_loses_one_record_and_never_gives_a_wrong_one(tmp_path, caplog):
    contents = bodies(6, seed=3)
    written(tmp_path, contents)
    (path,) = tmp_path.glob("*.log")
    whole = path.read_bytes()
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 0x10
        path.write_bytes(damaged)
        assert sum(kept(tmp_path, contents)) == len(contents) - 1, at
    assert "damaged" in caplog.text


def test_the_last_record_of_a_key_counts(tmp_path):
    for body in (b"first", b"second"):
        log = open_log(tmp_path)
        log.append(0, 5, body)
        log.close()
    assert open_log(tmp_path).read(0, 5) == b"second"
    assert open_log(tmp_path).read(0, 6) is None


def test_segments_are_closed_at_their_size(tmp_path, monkeypatch):
    monkeypatch.setattr(recordlog, "SEGMENT_BYTES", 200)
    contents = bodies(50)
    written(tmp_path, contents)
    assert len(list(tmp_path.glob("*.log"))) > 5
    assert all(kept(tmp_path, contents))


def test_a_tile_without_cells_costs_a_header(tmp_path):
    written(tmp_path, [b""] * 1000)
    (path,) = tmp_path.iterdir()
    assert path.stat().st_size == 1000 * HEADER_BYTES == 32_000
