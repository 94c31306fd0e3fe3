import dataclasses

import numpy as np
import pytest

from nimbus.core.shards import open_shards, read_shard
from nimbus.datasets.tile_settings import TileSettings
from nimbus.datasets.training_tiles import cut, simulate_tiles, write_training_tiles

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


@pytest.mark.parametrize(
    ("given", "message"),
    [
        *(
            ({name: 0}, f"{name} must be at least 1, not 0")
            for name in (
                "n_fields",
                "n_channels",
                "tile_size",
                "tiles_per_side",
                "fields_per_shard",
            )
        ),
        ({"pixel_size_um": 0.0}, "pixel_size_um must be above 0, not 0.0"),
        ({"pixel_size_um": float("nan")}, "pixel_size_um must be above 0, not nan"),
        ({"zoom": (1.4, 0.7)}, r"the smaller first, not \(1.4, 0.7\)"),
        ({"zoom": (0.0, 1.0)}, "two numbers above 0"),
        ({"zoom": (1.0,)}, r"two numbers above 0, the smaller first, not \(1.0,\)"),
        ({"platforms": ()}, "platforms must name one at least; there is 'codex'"),
    ],
)
def test_settings_that_cannot_be_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        TileSettings(**given)


def test_denoised_fields_are_emptier():
    def zeros(*platforms):
        settings = dataclasses.replace(TINY, n_channels=8, platforms=platforms)
        fields = [simulate_tiles(settings, np.random.default_rng(seed)) for seed in range(4)]
        return np.mean([(tiles.planes == 0).mean() for tiles in fields])

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


def test_an_effect_that_does_not_exist_is_named(tmp_path):
    settings = dataclasses.replace(TINY, without=("hase",))

    with pytest.raises(ValueError, match="effect 'hase' does not exist; did you mean 'haze'"):
        write_training_tiles(tmp_path, settings=settings, show_progress_bar=False)


def test_tiles_without_an_effect_are_the_same_tissue():
    plain = simulate_tiles(TINY, np.random.default_rng(3))
    bare = simulate_tiles(
        dataclasses.replace(TINY, without=("haze", "nuclear_haze", "cell_haze")),
        np.random.default_rng(3),
    )

    np.testing.assert_array_equal(plain.ids, bare.ids)
    np.testing.assert_array_equal(plain.masks, bare.masks)
    assert (plain.planes != bare.planes).any()


def test_labels_without_merges_and_splits_are_those_of_single_cells():
    settings = dataclasses.replace(TINY, n_channels=1)
    names = ("merges", "splits", "missed_cells", "wrong_outlines", "shifts")
    counts = [
        [
            simulate_tiles(dataclasses.replace(settings, without=w), np.random.default_rng(s)).ids
            for s in range(4)
        ]
        for w in ((), names)
    ]

    assert any((a != b).any() for a, b in zip(*counts, strict=True))
