import numpy as np
import pytest

from nimbus.core.shards import Tiles, write_index, write_shard


def drawn_tiles(seed, *, n=6, size=16):
    """Tiles of four square cells; the first two are bright and positive."""
    rng = np.random.default_rng(seed)
    ids = np.zeros((1, size, size), dtype=np.int32)
    half = size // 2
    for k, (y, x) in enumerate([(0, 0), (0, half), (half, 0), (half, half)]):
        ids[0, y + 1 : y + half - 1, x + 1 : x + half - 1] = k + 1
    planes = rng.uniform(0, 0.2, (n, size, size))
    planes += 0.6 * ((ids > 0) & (ids < 3))
    return Tiles(
        planes=(planes * 65535).astype(np.uint16),
        geometry=np.zeros(n, dtype=np.int32),
        labels=np.tile(np.array([[1, 1, 0, -1]], dtype=np.int8), (n, 1)),
        masks=(ids > 0).astype(np.uint8),
        ids=ids,
        source=np.zeros(n, dtype=np.int32),
    )


@pytest.fixture
def shards(tmp_path):
    """A folder of three shards."""
    folder = tmp_path / "shards"
    sums = [write_shard(folder, k, drawn_tiles(k)) for k in range(3)]
    write_index(folder, sums, {})
    return folder
