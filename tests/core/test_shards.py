import json
import re

import numpy as np
import pytest

from nimbus.core.shards import (
    INDEX,
    SIMULATED,
    Source,
    Tiles,
    open_shards,
    read_shard,
    write_index,
    write_shard,
)


def some_tiles():
    rng = np.random.default_rng(0)
    return Tiles(
        planes=rng.integers(0, 65535, (3, 4, 5)).astype(np.uint16),
        geometry=np.array([0, 1, 1], dtype=np.int32),
        labels=np.array([[1, 0], [0, -1], [1, 1]], dtype=np.int8),
        masks=rng.integers(0, 2, (2, 4, 5)).astype(np.uint8),
        ids=rng.integers(0, 3, (2, 4, 5)).astype(np.int32),
        source=np.array([1, 0, 1], dtype=np.int32),
    )


@pytest.fixture
def folder(tmp_path):
    sums = write_shard(tmp_path, 0, some_tiles())
    write_index(tmp_path, [sums], {"random_state": 7})
    return tmp_path


def test_what_is_written_is_read(folder):
    opened = open_shards(folder)
    tiles, expected = read_shard(opened, 0), some_tiles()

    assert opened.about == {"random_state": 7}
    assert len(tiles) == 3
    for name in ("planes", "geometry", "labels", "masks", "ids", "source"):
        np.testing.assert_array_equal(getattr(tiles, name), getattr(expected, name))


def test_one_flipped_byte_is_found_and_its_file_named(folder):
    path = folder / "shard-000.planes.npy"
    content = bytearray(path.read_bytes())
    content[-7] ^= 1
    path.write_bytes(content)

    with pytest.raises(ValueError, match=r"shard-000\.planes\.npy.*damaged"):
        read_shard(open_shards(folder), 0)


def test_a_folder_that_was_not_finished_is_refused(tmp_path):
    write_shard(tmp_path, 0, some_tiles())

    with pytest.raises(FileNotFoundError, match="cut off"):
        open_shards(tmp_path)


def test_another_format_version_is_refused(folder):
    index = json.loads((folder / INDEX).read_text())
    (folder / INDEX).write_text(json.dumps({**index, "format_version": 99}))

    with pytest.raises(ValueError, match="99"):
        open_shards(folder)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "Expecting value"),
        (b'{"format_version": 2, "abo', "Unterminated"),
        (b"\xff\xfe", "'utf-8' codec"),
        (b"[]", "it has no 'format_version', 'shards', 'about'"),
        (b'{"format_version": 2, "shards": []}', "it has no 'about'"),
    ],
)
def test_a_damaged_index_is_named(folder, content, told):
    (folder / INDEX).write_bytes(content)

    with pytest.raises(ValueError, match=rf"index\.json' is damaged: {re.escape(told)}"):
        open_shards(folder)


def test_sources_are_read_in_their_order(tmp_path):
    sums = write_shard(tmp_path, 0, some_tiles())
    named = [{"dataset": "d", "marker": "CD8"}, {"dataset": "d", "marker": "CD3"}]
    write_index(tmp_path, [sums], {"sources": named})

    assert open_shards(tmp_path).sources == (Source("d", "CD8"), Source("d", "CD3"))


def test_a_folder_of_version_1_has_one_source(folder):
    index = json.loads((folder / INDEX).read_text())
    del index["shards"][0]["source"]
    (folder / "shard-000.source.npy").unlink()
    (folder / INDEX).write_text(json.dumps({**index, "format_version": 1}))

    opened = open_shards(folder)

    assert opened.sources == (SIMULATED,)
    np.testing.assert_array_equal(read_shard(opened, 0).source, [0, 0, 0])
