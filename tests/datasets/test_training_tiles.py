import dataclasses

import numpy as np
import pytest

from nimbus.core.boxes import Box
from nimbus.core.grid import same_grid
from nimbus.core.shards import open_shards, read_shard
from nimbus.datasets.effects import Effects, Recorded
from nimbus.datasets.fields import Channel
from nimbus.datasets.training_tiles import (
    TileSettings,
    cut,
    ids_on_grid,
    judged,
    simulate_tiles,
    write_training_tiles,
)

TINY = TileSettings(n_fields=3, n_channels=3, tile_size=40, fields_per_shard=2)


@pytest.fixture(scope="module")
def tiles():
    return simulate_tiles(TINY, np.random.default_rng(5))


def test_labels_belong_to_the_cells_of_the_tile(tiles):
    for sample in range(len(tiles)):
        ids = tiles.ids[tiles.geometry[sample]]
        assert (tiles.labels[sample, ids.max() :] == -1).all()
    assert set(np.unique(tiles.labels)) <= {-1, 0, 1}
    assert (tiles.labels >= 0).any()


def test_the_mask_plane_lies_inside_the_cells(tiles):
    assert (tiles.ids[tiles.masks > 0] > 0).all()
    assert 0 < (tiles.masks > 0).sum() < (tiles.ids > 0).sum()


def test_ids_are_taken_where_the_mask_plane_samples_them():
    labels = np.arange(1, 13, dtype=np.int32).reshape(1, 12).repeat(8, axis=0)

    ids = ids_on_grid(labels, same_grid(labels.shape, 2.0), Box(0, 4, 0, 6))

    np.testing.assert_array_equal(ids, np.tile([1, 3, 5, 7, 9, 11], (4, 1)))


def test_a_positive_that_cannot_be_seen_is_undecided_and_a_negative_stays_negative():
    #  cell 1 bright, cell 2 positive below the background, cell 3 negative
    visible = np.repeat([[1, 2, 3]], 5, axis=0).repeat(5, axis=1)
    own = np.where(visible == 1, 50.0, np.where(visible == 2, 0.5, 0.0)).astype(np.float32)
    recorded = Recorded(image=own + 20, own=own)
    channel = Channel(recorded, np.array([True, True, False]))

    labels = judged(channel, visible, Effects(photons=50, read_noise=0))

    np.testing.assert_array_equal(labels, [1, -1, 0])


def test_cells_cut_by_the_tile_border_are_undecided():
    ids = np.zeros((4, 8), dtype=np.int32)
    ids[:, :2] = 7
    ids[1:3, 3:8] = 9  # one column of five in the left tile
    truth = np.zeros((1, 9), dtype=np.int8)
    truth[0, [6, 8]] = 1

    tiles = cut(np.ones((1, 4, 8)), (ids > 0).astype(np.uint8), ids, truth, 4)

    np.testing.assert_array_equal(tiles.labels, [[1, -1], [1, -1]])
    np.testing.assert_array_equal(np.unique(tiles.ids[1]), [0, 1])


def test_the_same_seed_writes_the_same_files(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_training_tiles(
            tmp_path / name, settings=TINY, random_state=seed, show_progress_bar=False
        )
    a, b, c = (open_shards(tmp_path / name) for name in "abc")

    assert a.shards == b.shards
    assert a.shards != c.shards
    assert [len(read_shard(a, i)) for i in range(2)] == [2 * 4 * 3, 4 * 3]
    assert a.about["settings"]["tile_size"] == 40


def test_the_source_of_a_tile_is_its_platform(tmp_path):
    settings = dataclasses.replace(TINY, n_fields=8, n_channels=1, platforms=("imc", "codex"))
    write_training_tiles(tmp_path, settings=settings, show_progress_bar=False)
    folder = open_shards(tmp_path)

    assert [one.dataset for one in folder.sources] == ["simulated imc", "simulated codex"]
    used = np.concatenate([read_shard(folder, k).source for k in range(len(folder))])
    assert set(used.tolist()) == {0, 1}


def test_every_scale_is_trained():
    settings = dataclasses.replace(TINY, n_channels=1)
    areas = []
    for seed in range(6):
        tiles = simulate_tiles(settings, np.random.default_rng(seed))
        areas.append((tiles.ids > 0).sum() / max((tiles.labels >= -1).sum(), 1))

    assert max(areas) > 1.3 * min(areas)


def test_an_unknown_platform_is_named(tmp_path):
    settings = dataclasses.replace(TINY, platforms=("xenium",))

    with pytest.raises(ValueError, match="platform 'xenium'"):
        write_training_tiles(tmp_path, settings=settings, show_progress_bar=False)


def test_denoised_fields_are_emptier():
    def zeros(*platforms):
        settings = dataclasses.replace(TINY, n_channels=8, platforms=platforms)
        tiles = simulate_tiles(settings, np.random.default_rng(2))
        return (tiles.planes == 0).mean()

    assert zeros("mibi_denoised") > zeros("codex") + 0.2


def test_two_processes_write_the_same_bytes_as_one(tmp_path):
    settings = dataclasses.replace(TINY, n_fields=3, fields_per_shard=2)
    for n_jobs in (1, 2):
        write_training_tiles(
            tmp_path / str(n_jobs), settings=settings, n_jobs=n_jobs, show_progress_bar=False
        )
    one, two = (sorted((tmp_path / str(n)).iterdir()) for n in (1, 2))
    assert [path.name for path in one] == [path.name for path in two]
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in two]
