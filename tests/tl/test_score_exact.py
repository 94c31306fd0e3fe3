"""The score equals its definition: against the untiled network, by other libraries."""

from __future__ import annotations

import numpy as np
import pytest

import nimbus
from support.tissue import draw_sdata

torch = pytest.importorskip("torch")

from support.nets import calibrated_net, saved_net  # noqa: E402 - needs torch
from support.reference import slow_scores  # noqa: E402

SCALES = {"m0": 60.0, "m1": 110.0}
SHAPES = [(981, 743), (1024, 1024)]


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    return saved_net(tmp_path_factory.mktemp("weights") / "random.safetensors", root_filters=2)


@pytest.fixture(scope="module", params=SHAPES, ids=str)
def field(request):
    return drawn_field(request.param, calibrated_net(root_filters=2))


def drawn_field(shape, net, **options):
    """A field, what the network says of its cells, slowly, and their ids."""
    sdata = draw_sdata([shape])
    image, labels = sdata["a_image"].to_numpy(), sdata["a_labels"].to_numpy()
    return sdata, *slow_scores(image, labels, list(SCALES.values()), net, **options)


def scored(sdata, weights, **options):
    fresh = draw_like(sdata, options.pop("chunks", None))
    nimbus.tl.score(
        fresh,
        model=weights,
        scales=SCALES,
        precision="float32",
        show_progress_bar=False,
        **options,
    )
    return fresh.tables["table"]


def draw_like(sdata, chunks):
    """The same elements without a table, in other chunks."""
    from nimbus.data.fields import Field, build_sdata

    image, labels = sdata["a_image"].data, sdata["a_labels"].data
    if chunks is not None:
        image, labels = image.rechunk(chunks), labels.rechunk(chunks[1:])
    return build_sdata([Field("a", image, labels, ("m0", "m1"), 0.5)])


@pytest.mark.parametrize("tile_size", [128, 256, 320, None])
def test_every_tile_size_gives_the_untiled_score(field, weights, tile_size):
    sdata, expected, ids = field
    table = scored(sdata, weights, tile_size=tile_size)
    np.testing.assert_array_equal(table.obs["instance_id"], ids)
    assert expected.std() > 0.05, "proves nothing: all cells score alike"
    np.testing.assert_allclose(table.layers["nimbus"], expected, atol=1e-5, rtol=0)


def test_tiles_of_a_network_of_patches_give_the_untiled_score(tmp_path):
    random = {"depth": 4, "root_filters": 2, "patch": 2, "seed": 1}
    field = drawn_field((491, 373), calibrated_net(**random), multiple=16)
    saved = saved_net(tmp_path / "patches.safetensors", **random)
    for tile_size in (40, 128, None):
        test_every_tile_size_gives_the_untiled_score(field, saved, tile_size)


@pytest.mark.parametrize("chunks", [(1, 100, 256), (2, 333, 97), (2, 4096, 4096)], ids=str)
def test_every_chunking_gives_the_same_bits(field, weights, chunks):
    sdata, _, _ = field
    one = scored(sdata, weights, tile_size=256, tta=False)
    other = scored(sdata, weights, tile_size=256, tta=False, chunks=chunks)
    np.testing.assert_array_equal(other.layers["nimbus"], one.layers["nimbus"])
    np.testing.assert_array_equal(other.X, one.X)


def test_serial_and_threads_give_the_same_bits(field, weights):
    sdata, _, _ = field
    one = scored(sdata, weights, tile_size=128, tta=False, n_jobs=1)
    four = scored(sdata, weights, tile_size=128, tta=False, n_jobs=4)
    np.testing.assert_array_equal(four.layers["nimbus"], one.layers["nimbus"])


def test_a_halo_below_the_reach_would_show(field, weights, monkeypatch):
    sdata, expected, _ = field
    monkeypatch.setattr("nimbus.model.card.ModelCard.halo", 16)
    table = scored(sdata, weights, tile_size=128)
    assert np.abs(table.layers["nimbus"] - expected).max() > 1e-4


def test_interior_averages_over_the_mask_plane_alone(weights):
    sdata = draw_sdata([(200, 260)], seed=3)
    image, labels = sdata["a_image"].to_numpy(), sdata["a_labels"].to_numpy()
    net, divisors = calibrated_net(root_filters=2), list(SCALES.values())
    expected, ids = slow_scores(image, labels, divisors, net, interior=True)
    whole, _ = slow_scores(image, labels, divisors, net)
    table = scored(sdata, weights, aggregate="interior")
    has = table.obs["instance_id"].isin(ids).to_numpy()
    got = table.layers["nimbus"]
    assert np.abs(got - whole).max() > 1e-3, "proves nothing: interior and whole score alike"
    np.testing.assert_allclose(got[has], expected, atol=1e-5, rtol=0)
    # a cell without interior takes all of its pixels
    np.testing.assert_allclose(got[~has], whole[~has], atol=1e-5, rtol=0)
