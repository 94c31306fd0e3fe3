"""What is read for a figure, against the whole arrays."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pytest
from spatialdata import SpatialData, bounding_box_query
from spatialdata.models import Image2DModel, Labels2DModel
from spatialdata.transformations import Affine, Identity, Scale, Sequence, Translation

from nimbus.data.fields import Field, build_sdata
from nimbus.data.part import Part, placed_field, read_part

RNG = np.random.default_rng(5)
IMAGE = RNG.integers(0, 1000, (2, 30, 44)).astype(np.uint16)
LABELS = np.repeat(np.repeat(RNG.integers(0, 9, (15, 22)), 2, axis=0), 2, axis=1)


def one_field(*, pixel_size_um: float | None = 0.5) -> SpatialData:
    return build_sdata([Field("a", IMAGE, LABELS, ("CD3", "CD8"), pixel_size_um)])


def part_of(sdata, *, xlim=None, ylim=None, max_pixels=1000, channels=(1,), **place) -> Part:
    options = {"coordinate_system": None, "pixel_size": None, **place}
    field = placed_field(sdata, image_key="a_image", labels_key="a_labels", **options)
    return read_part(sdata, field, channels=channels, xlim=xlim, ylim=ylim, max_pixels=max_pixels)


def test_a_small_field_is_read_as_it_is():
    part = part_of(one_field())
    np.testing.assert_array_equal(part.channels, IMAGE[1:].astype(np.float32))
    np.testing.assert_array_equal(part.labels, LABELS)
    assert part.extent == (0, 22, 15, 0), "micrometres: 44 x 30 pixels of 0.5"


def test_limits_are_in_the_units_of_the_coordinate_system():
    part = part_of(one_field(), xlim=(5, 8), ylim=(2, 3))
    np.testing.assert_array_equal(part.labels, LABELS[4:6, 10:16])
    np.testing.assert_array_equal(part.channels[0], IMAGE[1, 4:6, 10:16])
    assert part.extent == (5, 8, 3, 2)


def test_limits_beyond_the_image_are_cut_and_those_beside_it_refused():
    assert part_of(one_field(), xlim=(-100, 2)).extent[:2] == (0, 2)
    with pytest.raises(ValueError, match=r"xlim=\(30, 40\).*spans 0 to 22"):
        part_of(one_field(), xlim=(30, 40))
    with pytest.raises(ValueError, match="ylim"):
        part_of(one_field(), ylim=(5, 5))


def test_a_large_field_is_averaged_and_its_labels_sampled():
    part = part_of(one_field(), max_pixels=11)  # 44 pixels: 4 for each drawn one
    assert part.step == 4
    blocks = IMAGE[1, :28].reshape(7, 4, 11, 4).mean(axis=(1, 3))
    np.testing.assert_allclose(part.channels[0], blocks, rtol=1e-6)
    np.testing.assert_array_equal(part.labels, LABELS[2:28:4, 2::4])
    assert part.extent == (0, 22, 14, 0), "the last two rows make no whole drawn pixel"


def test_of_a_multiscale_image_the_coarsest_level_that_is_fine_enough_is_read():
    levels = [np.full((1, 32 // s, 48 // s), s, np.uint16) for s in (1, 2, 4)]
    image = Image2DModel.parse(
        levels[0], dims=("c", "y", "x"), c_coords=["CD3"], scale_factors=[2, 2]
    )
    for k, level in enumerate(levels):  # each level tells which it is
        image[f"scale{k}"]["image"].data = da.from_array(level)
    labels = np.arange(32 * 48).reshape(32, 48)
    sdata = SpatialData(images={"a_image": image}, labels={"a_labels": Labels2DModel.parse(labels)})
    for max_pixels, level in ((48, 1), (24, 2), (12, 4), (6, 4)):
        part = part_of(sdata, max_pixels=max_pixels, channels=(0,))
        assert np.unique(part.channels) == level
        assert part.labels.shape == part.channels.shape[1:]
        step = 48 // max_pixels
        np.testing.assert_array_equal(part.labels, labels[step // 2 :: step, step // 2 :: step])

    # 5 pixels for each drawn one are wanted; of the level of 4 one would be too fine, so it is 2
    part = part_of(sdata, max_pixels=10, channels=(0,))
    assert part.step == 8
    assert part.labels.shape == part.channels.shape[1:] == (4, 6)


@pytest.mark.parametrize("first", [0, 3, 4])
def test_of_a_crop_image_and_labels_stay_on_each_other(first):
    rows = np.repeat(np.arange(1, 65), 64).reshape(64, 64)
    sdata = SpatialData(
        images={
            "a_image": Image2DModel.parse(
                rows[None].astype(np.float32), dims=("c", "y", "x"), scale_factors=[2, 2]
            )
        },
        labels={"a_labels": Labels2DModel.parse(rows, scale_factors=[2, 2])},
    )
    crop = bounding_box_query(
        sdata,
        axes=("y", "x"),
        min_coordinate=[first, 0],
        max_coordinate=[63, 60],
        target_coordinate_system="global",
    )
    part = part_of(crop, max_pixels=15, channels=(0,))
    middle = first + 0.5 + (np.arange(part.labels.shape[0]) + 0.5) * part.step
    np.testing.assert_allclose(part.channels[0, :, 0], middle, atol=0.01)
    np.testing.assert_allclose(part.labels[:, 0], middle, atol=part.step / 2)


def test_only_the_chunks_within_the_limits_are_computed():
    seen = []

    def chunk(block_info=None):
        seen.append(block_info[None]["chunk-location"])
        return np.zeros((1, 10, 10), np.uint16)

    lazy = da.map_blocks(chunk, chunks=((1,), (10,) * 8, (10,) * 8), dtype=np.uint16)
    sdata = build_sdata([Field("a", lazy, np.ones((80, 80), int), ("CD3",), 1.0)])
    seen.clear()
    part_of(sdata, xlim=(20, 40), ylim=(0, 10), channels=(0,))
    assert sorted(set(seen)) == [(0, 0, 2), (0, 0, 3)]


@pytest.mark.parametrize("max_pixels", [1000, 20, 7])
def test_labels_of_half_resolution_and_shifted_lie_where_their_transformation_says(max_pixels):
    coarse = LABELS[:20:2, :36:2]
    places = [Scale([2.0, 2.0], axes=("y", "x")), Translation([6.0, 4.0], axes=("y", "x"))]
    shifted = Sequence(places)
    sdata = SpatialData(
        images={"a_image": Image2DModel.parse(IMAGE, dims=("c", "y", "x"))},
        labels={"a_labels": Labels2DModel.parse(coarse, transformations={"global": shifted})},
    )
    placed = np.zeros((40, 60), int)
    placed[6:26, 4:40] = LABELS[:20, :36]
    part = part_of(sdata, max_pixels=max_pixels)
    step = int(part.step)
    rows, columns = (np.arange(n) * step + step // 2 for n in part.labels.shape)
    if step % 2 == 0 or step == 1:
        np.testing.assert_array_equal(part.labels, placed[np.ix_(rows, columns)])
    assert part.labels.shape == part.channels.shape[1:]


def test_a_turned_image_is_drawn_in_pixels():
    turn = Affine([[0, 1, 0], [1, 0, 0], [0, 0, 1]], input_axes=("x", "y"), output_axes=("x", "y"))
    sdata = SpatialData(
        images={"a_image": Image2DModel.parse(IMAGE, transformations={"w": turn})},
        labels={"a_labels": Labels2DModel.parse(LABELS, transformations={"w": turn})},
    )
    assert part_of(sdata).extent == (0, 44, 30, 0)


def test_the_pixel_size_gives_micrometres_whatever_the_units_are():
    def um_per_unit(sdata, pixel_size=None):
        return placed_field(
            sdata,
            image_key="a_image",
            labels_key="a_labels",
            coordinate_system=None,
            pixel_size=pixel_size,
        ).um_per_unit

    assert um_per_unit(one_field()) == 1, "the coordinate system is in micrometres"
    assert um_per_unit(one_field(pixel_size_um=None)) is None
    assert um_per_unit(one_field(pixel_size_um=None), 0.25) == 0.25
    sdata = one_field(pixel_size_um=None)
    nanometres = {"nm": Scale([250.0, 250.0], axes=("y", "x")), "px": Identity()}
    sdata.images["a_image"] = Image2DModel.parse(IMAGE, transformations=dict(nanometres))
    sdata.labels["a_labels"] = Labels2DModel.parse(LABELS, transformations=dict(nanometres))
    assert um_per_unit(sdata, 0.25) == 0.001


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (300, 2)])
def test_fields_of_any_shape_are_drawn(shape):
    sdata = build_sdata([Field("a", np.ones((1, *shape)), np.ones(shape, int), ("CD3",), None)])
    part = part_of(sdata, max_pixels=10, channels=(0,))
    assert part.labels.shape == part.channels.shape[1:]
    assert part.labels.all()
    assert (part.channels == 1).all()
