"""A few hundred damaged files of every kind: the named error, or something that can be read.

The long version is ``benchmarks/fuzz.py``; its numbers stand in docs/reliability.md.
"""

from __future__ import annotations

import logging
import zlib
from dataclasses import replace

import numpy as np
import pytest

from support.corpora import damaged, outcome, readers

COPIES = {"store": 24}
"""Of each reader, where it is not `_MOST`: a store takes a twentieth of a second."""
_MOST = 48

NAMES = [
    "tiff", "ome-tiff", "companion", "labels", "label-arrays", "geojson", "cluster-map", "gold",
    "assignment", "store", "safetensors", "published",
]  # fmt: skip


def reader_of(name):
    if name in ("safetensors", "published"):
        pytest.importorskip("torch")
    return readers()[name]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.filterwarnings("ignore")
def test_a_damaged_copy_gives_a_named_error_or_is_read(tmp_path, name, caplog):
    caplog.set_level(logging.CRITICAL)
    reader = reader_of(name)
    cases = reader.cases(tmp_path)
    assert [outcome(reader, case.path)[0] for case in cases] == ["read"] * len(cases)
    good, told = {}, []
    for index in range(COPIES.get(name, _MOST)):
        rng = np.random.default_rng([0, zlib.crc32(name.encode()), index])
        case = cases[index % len(cases)]
        victim = damaged(case, good, rng)
        told.append(outcome(reader, case.path))
        victim.write_bytes(good[victim])
    assert [one for one in told if one[0] == "unnamed"] == []
    n_refused = sum(one[0] == "named" for one in told)
    assert n_refused > len(told) // 10, "proves nothing: no copy was damaged enough"


def test_every_reader_is_tried():
    assert set(readers()) <= set(NAMES)


def test_an_error_that_a_library_raised_counts_as_unnamed(tmp_path):
    reader = reader_of("gold")
    [case, *_] = reader.cases(tmp_path)
    by_library = replace(reader, read=lambda path: int("not a number"), named=(ValueError,))
    assert outcome(by_library, case.path)[0] == "unnamed"


def test_files_of_images_name_themselves_in_the_error(tmp_path):
    for name in ("tiff", "ome-tiff", "companion", "labels", "label-arrays"):
        reader = reader_of(name)
        folder = tmp_path / name
        folder.mkdir()
        for case in reader.cases(folder):
            [victim] = case.victims
            victim.write_bytes(victim.read_bytes()[:40])
            kind, told = outcome(reader, case.path)
            assert kind == "named"
            assert str(victim) in told
