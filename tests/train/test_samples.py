import dataclasses
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from nimbus.core.shards import (  # noqa: E402
    Source,
    open_shards,
    read_shard,
    write_index,
    write_shard,
)
from nimbus.train.samples import TileSampler, split, turned  # noqa: E402

from .conftest import drawn_tiles  # noqa: E402


def test_the_eight_turns_differ():
    image = np.arange(6).reshape(2, 3)

    assert (
        len({turned(image, turn).tobytes() + bytes(turned(image, turn).shape) for turn in range(8)})
        == 8
    )


def test_a_batch_depends_on_seed_and_number_alone(shards):
    sampler, _ = split([open_shards(shards)], held_out=1)
    first, again = (sampler.batch(5, size=4, seed=1) for _ in range(2))
    other = sampler.batch(6, size=4, seed=1)

    assert torch.equal(first.planes, again.planes)
    assert not torch.equal(first.planes, other.planes)


def test_plane_mask_and_ids_are_turned_together(shards):
    sampler, _ = split([open_shards(shards)], held_out=0)
    batch = sampler.batch(0, size=16, seed=0)

    bright = batch.planes > 0.5
    assert torch.equal(bright, (batch.ids > 0) & (batch.ids < 3))
    assert torch.equal(batch.masks > 0, batch.ids > 0)


def test_held_out_shards_are_the_last_ones(shards):
    train, held_out = split([open_shards(shards)], held_out=1)

    assert (len(train), len(held_out)) == (12, 6)
    first = next(held_out.in_order(size=6)).planes[0].numpy()
    expected = read_shard(open_shards(shards), 2).planes[0] / 65535
    np.testing.assert_allclose(first, expected, rtol=1e-6)


def test_holding_out_everything_is_refused(shards):
    with pytest.raises(ValueError, match="hold out 3 of the 3"):
        split([open_shards(shards)], held_out=3)


def test_folders_of_different_tile_size_are_refused_with_both_sizes(shards, tmp_path):
    wide = tmp_path / "wide"
    write_index(wide, [write_shard(wide, 0, drawn_tiles(5, size=32))], {})

    with pytest.raises(
        ValueError, match=r"16 x 16 pixels in .*shards', 32 x 32 .*wide'.*tile_size"
    ):
        split([open_shards(shards), open_shards(wide)], held_out=0)


def test_shards_with_fewer_cells_are_filled_up_with_undecided(shards):
    tiles = read_shard(open_shards(shards), 0)
    fewer = dataclasses.replace(tiles, labels=tiles.labels[:, :2])

    labels = next(TileSampler([fewer, tiles]).in_order(size=12)).labels

    assert labels.shape == (12, 4)
    assert (labels[:6, 2:] == -1).all()


def test_sources_of_several_folders_have_different_numbers(shards, tmp_path):
    tiles = read_shard(open_shards(shards), 0)
    named = [{"dataset": "real", "marker": name} for name in ("CD3", "CD8")]
    two = dataclasses.replace(tiles, source=np.array([0, 1, 1, 0, 1, 0], dtype=np.int32))
    write_index(tmp_path / "b", [write_shard(tmp_path / "b", 0, two)], {"sources": named})
    folders = [open_shards(shards), open_shards(tmp_path / "b")]

    sampler, held_out = split(folders, held_out=0)

    source = torch.cat([batch.source for batch in sampler.in_order(size=5)])
    assert source.dtype == torch.int64
    assert source.tolist() == [0] * 18 + [1, 2, 2, 1, 2, 1]
    assert sampler.sources == held_out.sources
    assert sampler.sources[1:] == (Source("real", "CD3"), Source("real", "CD8"))


@pytest.fixture
def two_folders(shards, tmp_path):
    """18 samples of sources 0, and 6 of source 1."""
    tiles = read_shard(open_shards(shards), 0)
    write_index(tmp_path / "b", [write_shard(tmp_path / "b", 0, tiles)], {})
    return [open_shards(shards), open_shards(tmp_path / "b")]


def source_counts(sampler, n_batches=40, size=50):
    batches = (sampler.batch(k, size=size, seed=3) for k in range(n_batches))
    return torch.bincount(torch.cat([b.source for b in batches]), minlength=2) / (n_batches * size)


def test_shares_say_how_much_comes_from_each_folder(two_folders):
    plain, _ = split(two_folders, held_out=0)
    shared, _ = split(two_folders, held_out=0, shares=(9, 1))
    none, _ = split(two_folders, held_out=0, shares=(0, 1))

    assert source_counts(plain)[1] == pytest.approx(0.25, abs=0.03), "6 of 24 samples"
    assert source_counts(shared)[1] == pytest.approx(0.1, abs=0.02)
    assert source_counts(none)[1] == 1


def test_within_a_folder_every_sample_of_every_shard_is_drawn_equally_often(shards):
    tiles = read_shard(open_shards(shards), 0)
    first = dataclasses.replace(tiles, source=np.arange(6, dtype=np.int32))
    two = {
        name: getattr(tiles, name)[:2] for name in ("planes", "geometry", "labels")
    }  # a shorter shard
    second = dataclasses.replace(tiles, **two, source=np.array([6, 7], dtype=np.int32))
    sampler = TileSampler([first, second], shares=[6 / 8, 2 / 8])

    drawn = torch.cat([sampler.batch(k, size=100, seed=0).source for k in range(80)])

    counts = torch.bincount(drawn, minlength=8) / len(drawn)
    assert counts.numpy() == pytest.approx(np.full(8, 1 / 8), abs=0.02)


@pytest.mark.parametrize("shares", [(1,), (1, 1, 1), (1, -1), (0, 0)])
def test_shares_that_do_not_fit_the_folders_are_refused(two_folders, shares):
    with pytest.raises(ValueError, match="for each of the 2 folders"):
        split(two_folders, held_out=0, shares=shares)


def test_batches_made_by_threads_are_those_made_one_by_one(two_folders):
    sampler, _ = split(two_folders, held_out=0, shares=(1, 1))

    def make(number):
        return sampler.batch(number, size=4, seed=1)

    with ThreadPoolExecutor(4) as pool:
        threaded = list(pool.map(make, range(30)))

    for number, batch in enumerate(threaded):
        expected = make(number)
        for name in ("planes", "masks", "ids", "labels", "source"):
            assert torch.equal(getattr(batch, name), getattr(expected, name))


def test_images_stay_on_disk_until_they_are_asked_for(shards):
    tiles = read_shard(open_shards(shards), 0)

    for name in ("planes", "masks", "ids"):
        assert isinstance(getattr(tiles, name), np.memmap)
    for name in ("geometry", "labels", "source"):
        assert not isinstance(getattr(tiles, name), np.memmap)
