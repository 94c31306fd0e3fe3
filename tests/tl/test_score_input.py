"""What tl.score does with each kind of input: correct, or one clear error."""

from __future__ import annotations

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import spatialdata
from spatialdata import SpatialData
from spatialdata.models import Image2DModel, Labels2DModel, Labels3DModel
from spatialdata.transformations import (
    Affine,
    Identity,
    Scale,
    Sequence,
    Translation,
    set_transformation,
)

import nimbus
from nimbus.data.fields import Field, build_sdata
from nimbus.data.part import placed_field
from support.tissue import brightness, draw_image, draw_labels, draw_sdata

QUIET = {"model": brightness, "tta": False, "show_progress_bar": False}


def one_field(image, labels, *, pixel_size=0.5, channels=None):
    names = channels or tuple(f"m{k}" for k in range(image.shape[0]))
    return build_sdata([Field("a", image, labels, names, pixel_size)])


def uneven(shape):
    return np.arange(1.0, 1.0 + np.prod(shape)).reshape(shape)


def scores_of(sdata, **options):
    nimbus.tl.score(sdata, **QUIET | options)
    return sdata.tables["table"]


class TestElements:
    def test_unknown_labels_are_refused_with_the_nearest_name(self):
        with pytest.raises(ValueError, match="'a_lables' does not exist; did you mean 'a_labels'"):
            scores_of(draw_sdata([(40, 40)]), labels_key="a_lables")

    def test_an_unknown_channel_is_refused_with_the_nearest_name(self):
        with pytest.raises(ValueError, match="channel 'M1' does not exist; did you mean 'm1'"):
            scores_of(draw_sdata([(40, 40)]), channels=["M1"])

    def test_one_string_of_channels_is_one_channel(self):
        of_text, of_list = (
            scores_of(draw_sdata([(40, 40)]), channels=given).layers["nimbus"]
            for given in ("m1", ["m1"])
        )
        assert of_list.shape[1] == 1
        np.testing.assert_array_equal(of_text, of_list)

    def test_an_unknown_channel_as_text_is_named_whole(self):
        with pytest.raises(ValueError, match="channel 'm11' does not exist; did you mean 'm1'"):
            scores_of(draw_sdata([(40, 40)]), channels="m11")

    def test_without_labels_the_error_lists_what_there_is(self):
        sdata = draw_sdata([(40, 40)])
        del sdata.labels["a_labels"]
        with pytest.raises(ValueError, match="images 'a_image' and labels none"):
            scores_of(sdata)

    def test_fields_of_data_sets_that_were_put_together_find_their_images(self):
        parts = {name: draw_sdata([(40, 40)], seed=k) for k, name in enumerate("xy")}
        together = spatialdata.concatenate(parts)
        with pytest.raises(ValueError, match=r"dict.fromkeys\(sdata.coordinate_systems"):
            scores_of(together)
        fields = scores_of(together, pixel_size=0.5).uns["nimbus"]["fields"]
        assert dict(zip(fields["labels"], fields["image"], strict=True)) == {
            "a_labels-x": "a_image-x",
            "a_labels-y": "a_image-y",
        }

    def test_an_ambiguous_image_is_refused_with_the_candidates(self):
        sdata = draw_sdata([(40, 40)])
        images = {"one": sdata["a_image"], "two": sdata["a_image"]}
        both = SpatialData(images=images, labels={"cells": sdata["a_labels"]})
        with pytest.raises(ValueError, match="which image belongs to labels 'cells'.*'one', 'two'"):
            scores_of(both)
        table = scores_of(both, image_key={"cells": "two"}, pixel_size=0.5)
        assert table.uns["nimbus"]["fields"]["image"].tolist() == ["two"]

    def test_channels_of_one_name_are_refused(self):
        image, labels = np.ones((2, 20, 20)), np.ones((20, 20), dtype=int)
        with pytest.raises(ValueError, match="several channels of the name 'CD3'"):
            scores_of(one_field(image, labels, channels=("CD3", "CD3")))

    def test_only_the_asked_channels_are_scored_in_their_order(self):
        table = scores_of(draw_sdata([(60, 60)], n_channels=3), channels=["m2", "m0"])
        assert list(table.var_names) == ["m2", "m0"]

    @staticmethod
    def two_panels(second):
        a, b = draw_labels((40, 50), n_cells=9, seed=1), draw_labels((40, 40), n_cells=7, seed=2)
        return build_sdata(
            [
                Field("a", draw_image(a, n_channels=2, seed=1), a, ("CD3", "CD8"), 0.5),
                Field("b", draw_image(b, n_channels=1, seed=2), b, (second,), 0.5),
            ]
        )

    def test_fields_may_have_different_panels(self):
        table = scores_of(self.two_panels("CD20"))
        assert list(table.var_names) == ["CD3", "CD8", "CD20"]
        of_a = (table.obs["region"] == "a_labels").to_numpy()
        scores = table.layers["nimbus"]
        assert np.isnan(scores[of_a, 2]).all()
        assert np.isnan(scores[~of_a, :2]).all()
        assert np.isfinite(scores[of_a, :2]).all()
        assert np.isfinite(scores[~of_a, 2]).all()

    @pytest.mark.parametrize("aggregate", ["cell", "interior"])
    @pytest.mark.parametrize("filled", [False, True])
    def test_a_field_without_the_channel_keeps_its_cells_with_nan(self, aggregate, filled):
        sdata, whole = self.two_panels("CD3"), scores_of(self.two_panels("CD3"))
        n_seen = []

        def counted(planes):
            n_seen.append(len(planes))
            return brightness(planes)

        if filled:
            sdata.tables["table"] = whole.copy()
            sdata.tables["table"].layers.clear()
        options = {"channels": ["CD8"], "aggregate": aggregate, "model": counted, "save_maps": True}
        table = scores_of(sdata, **options, tta=True, uncertainty=True)
        of_a = (table.obs["region"] == "a_labels").to_numpy()
        scores = table[:, "CD8"].layers["nimbus"]
        assert len(n_seen) == 8, "the network sees eight views of one field"
        assert 0 < of_a.sum() < table.n_obs == whole.n_obs
        assert np.isfinite(scores[of_a]).all()
        assert np.isnan(table.layers["nimbus"][~of_a]).all()
        np.testing.assert_array_equal(table.obs["area"], whole.obs["area"])
        np.testing.assert_array_equal(table.obsm["spatial"], whole.obsm["spatial"])
        assert sorted(sdata.images) == ["a_image", "a_image_nimbus", "b_image"]

    @pytest.mark.parametrize("keys", [["b_image"], ["a_image", "b_image"], ("b_image",)])
    @pytest.mark.parametrize("verb", [nimbus.tl.score, nimbus.pp.integrate])
    def test_images_without_their_labels_are_refused_and_not_passed_over(self, verb, keys):
        sdata = draw_sdata([(40, 40), (40, 40)])
        given = QUIET if verb is nimbus.tl.score else {"show_progress_bar": False}
        with pytest.raises(TypeError, match="the name of one image, or {labels_key: image_key}"):
            verb(sdata, image_key=keys, labels_key="a_labels", **given)
        assert not sdata.tables

    @pytest.mark.parametrize("key", ["integrated", "spatialdata_attrs"])
    def test_a_key_that_holds_something_else_is_refused(self, key):
        sdata = draw_sdata([(40, 40)])
        with pytest.raises(ValueError, match="replace what the table holds"):
            scores_of(sdata, key_added=key)
        assert not sdata.tables

    @pytest.mark.parametrize("with_table", [False, True])
    def test_no_labels_at_all_are_refused_with_those_there_are(self, with_table):
        sdata = draw_sdata([(40, 40), (40, 40)])
        if with_table:
            scores_of(sdata)
        with pytest.raises(ValueError, match=r"no labels were named.*'a_labels', 'b_labels'"):
            scores_of(sdata, labels_key=[])

    @pytest.mark.parametrize("verb", [nimbus.tl.score, nimbus.pp.integrate])
    def test_no_channel_at_all_is_refused_with_those_there_are(self, verb):
        given = QUIET if verb is nimbus.tl.score else {"show_progress_bar": False}
        with pytest.raises(ValueError, match=r"channels=\[\] names no channel.*'m0', 'm1'"):
            verb(draw_sdata([(40, 40)]), channels=[], **given)


class TestGeometry:
    def test_different_extents_are_refused_with_both(self):
        image, labels = np.ones((1, 40, 40)), np.ones((40, 30), dtype=int)
        with pytest.raises(ValueError, match=r"0:40, 0:40 and the labels 0:40, 0:30"):
            scores_of(one_field(image, labels))

    def test_elements_without_a_common_system_are_refused(self):
        sdata = draw_sdata([(40, 40)])
        set_transformation(sdata["a_labels"], {"other": Identity()}, set_all=True)
        with pytest.raises(ValueError, match="share no coordinate system: 'a' against 'other'"):
            scores_of(sdata, pixel_size=0.5)

    def test_a_fractional_scale_is_refused_with_the_matrix(self):
        sdata = draw_sdata([(40, 40)])
        set_transformation(sdata["a_labels"], Scale([0.7, 0.7], axes=("x", "y")), "a")
        with pytest.raises(ValueError, match=r"do not lie pixel on pixel.*1\.4"):
            scores_of(sdata)

    @pytest.mark.parametrize("times", [2, 3])
    def test_coarser_labels_equal_labels_repeated_to_the_image(self, times):
        coarse = draw_labels((30, 41), n_cells=15, seed=4, radius=5)
        fine = coarse.repeat(times, axis=0).repeat(times, axis=1)
        image = draw_image(fine, n_channels=1, seed=4)
        sdata = one_field(image, coarse)
        scale = Scale([0.5 * times] * 2, axes=("x", "y"))
        set_transformation(sdata["a_labels"], scale, "a")
        got, expected = scores_of(sdata), scores_of(one_field(image, fine))
        np.testing.assert_array_equal(got.obs["instance_id"], expected.obs["instance_id"])
        np.testing.assert_allclose(got.X, expected.X, rtol=1e-6)
        np.testing.assert_allclose(got.obsm["spatial"], expected.obsm["spatial"], rtol=1e-6)
        if times == 2:  # at 3 the nearest network pixel of a coarse label pixel differs
            np.testing.assert_allclose(
                got.layers["nimbus"], expected.layers["nimbus"], atol=0.1, rtol=0
            )

    def test_labels_of_a_part_give_the_scores_of_that_part(self):
        labels = draw_labels((80, 90), n_cells=40, seed=5)
        image = draw_image(labels, n_channels=1, seed=5)
        whole = np.zeros_like(labels)
        whole[20:60, 30:80] = labels[20:60, 30:80]
        part = one_field(image, labels[20:60, 30:80])
        shift = Translation([30 * 0.5, 20 * 0.5], axes=("x", "y"))
        from spatialdata.transformations import Sequence

        placed = Sequence([Scale([0.5, 0.5], axes=("x", "y")), shift])
        set_transformation(part["a_labels"], placed, "a")
        got, expected = scores_of(part), scores_of(one_field(image, whole))
        np.testing.assert_array_equal(got.obs["instance_id"], expected.obs["instance_id"])
        np.testing.assert_allclose(got.layers["nimbus"], expected.layers["nimbus"], atol=1e-6)
        np.testing.assert_allclose(got.X, expected.X, rtol=1e-6)
        np.testing.assert_allclose(got.obsm["spatial"], expected.obsm["spatial"], rtol=1e-6)

    def test_cells_off_the_image_are_left_out_with_a_warning(self):
        labels = np.zeros((20, 20), dtype=int)
        labels[:5, :5], labels[15:, 15:] = 1, 2
        sdata = one_field(uneven((1, 20, 20)), labels)
        placed = Translation([10, 10], axes=("x", "y"))
        for element in ("a_image", "a_labels"):
            set_transformation(sdata[element], {"um": Identity()}, set_all=True)
        set_transformation(sdata["a_labels"], placed, "um")
        with pytest.warns(UserWarning, match="labels 'a_labels' reach beyond image 'a_image'"):
            table = scores_of(sdata)
        assert table.obs["instance_id"].tolist() == [1]

    def test_a_multiscale_image_is_read_at_the_coarsest_level_that_is_fine_enough(self):
        labels = draw_labels((64, 96), n_cells=20, seed=6)
        image = draw_image(labels, n_channels=1, seed=6).astype(np.float32)
        plain = one_field(image, labels)
        pyramid = Image2DModel.parse(
            image,
            dims=("c", "y", "x"),
            c_coords=["m0"],
            scale_factors=[2, 2],
            transformations={"a": Scale([0.5, 0.5], axes=("x", "y"))},
        )
        fine = SpatialData(images={"a_image": pyramid}, labels={"a_labels": plain["a_labels"]})
        fine.attrs.update(plain.attrs)
        scales = {"m0": 200.0}
        table = scores_of(fine, scales=scales)
        assert table.uns["nimbus"]["fields"]["level"].tolist() == ["scale1"]
        expected = scores_of(plain, scales=scales)
        np.testing.assert_allclose(
            table.layers["nimbus"], expected.layers["nimbus"], atol=1e-2, rtol=0
        )
        # intensities come from the level that was read
        np.testing.assert_allclose(table.X, expected.X, rtol=0.15)
        finest = scores_of(fine, scales=scales, scale="scale0", key_added="fine")
        np.testing.assert_allclose(finest.layers["fine"], expected.layers["nimbus"], atol=1e-6)

    def test_cells_at_the_edge_of_an_odd_pyramid_keep_their_pixels(self):
        labels = np.zeros((131, 131), dtype=np.int32)
        labels[40:50, 40:50], labels[118:131, 20:30], labels[129:131, 60:80] = 3, 1, 2
        image = np.random.default_rng(0).integers(1, 200, (1, 131, 131)).astype(np.float32)
        placed = {"um": Scale([0.25, 0.25], axes=("x", "y"))}
        plain, pyramid = (
            SpatialData(
                images={
                    "a_image": Image2DModel.parse(
                        image,
                        dims=("c", "y", "x"),
                        c_coords=["m0"],
                        scale_factors=factors,
                        transformations=placed,
                    )
                },
                labels={
                    "a_labels": Labels2DModel.parse(labels, dims=("y", "x"), transformations=placed)
                },
            )
            for factors in (None, [2, 2])
        )
        expected, got = scores_of(plain), scores_of(pyramid)
        assert got.uns["nimbus"]["fields"]["level"].tolist() == ["scale2"]
        assert pyramid["a_image"]["scale2"]["image"].shape == (1, 32, 32), "proves nothing: 128"
        assert expected.obs["area"].tolist() == [130, 40, 100]
        np.testing.assert_array_equal(got.obs["instance_id"], expected.obs["instance_id"])
        np.testing.assert_array_equal(got.obs["area"], expected.obs["area"])
        np.testing.assert_allclose(got.obsm["spatial"], expected.obsm["spatial"])
        assert np.isfinite(got.layers["nimbus"]).all()
        assert np.isfinite(got.X).all()

    def test_labels_that_a_small_turn_moves_off_the_cells_are_refused(self):
        labels = np.zeros((1000, 20), dtype=np.int32)
        labels[990:996, 5:12] = 1
        sdata = one_field(np.arange(20_000).reshape(1, 1000, 20), labels)
        far, near = (np.array([[1, slope, 0], [0, 1, 0], [0, 0, 1]]) for slope in (9e-4, 4e-4))
        own = Scale([0.5, 0.5], axes=("x", "y"))
        for matrix in (near, far):
            turned = Affine(matrix, input_axes=("x", "y"), output_axes=("x", "y"))
            set_transformation(sdata["a_labels"], Sequence([turned, own]), "a")
            if matrix is near:  # less than half a pixel at the far end
                assert scores_of(sdata).n_obs == 1
        with pytest.raises(ValueError, match=r"do not lie pixel on pixel.*\[1\.0, 0\.0009"):
            scores_of(sdata)

    @staticmethod
    def cropped(first_row, first_column, *, factors):
        """80 rows and 96 columns of a field with as many levels as `factors`, and one more."""
        labels = draw_labels((128, 152), n_cells=90, seed=4)
        placed = {"um": Scale([0.25, 0.25], axes=("x", "y"))}
        image = Image2DModel.parse(
            draw_image(labels, n_channels=1, seed=4).astype(np.float32),
            dims=("c", "y", "x"),
            c_coords=["m0"],
            scale_factors=factors,
            transformations=placed,
        )
        cells = Labels2DModel.parse(labels, dims=("y", "x"), transformations=placed)
        return spatialdata.bounding_box_query(
            SpatialData(images={"a_image": image}, labels={"a_labels": cells}),
            axes=("y", "x"),
            min_coordinate=[first_row / 4, first_column / 4],
            max_coordinate=[(first_row + 80) / 4, (first_column + 96) / 4],
            target_coordinate_system="um",
        )

    @pytest.mark.parametrize(
        ("first_row", "first_column", "level"),
        [(8, 12, "scale2"), (10, 12, "scale1"), (9, 12, "scale0"), (21, 33, "scale0")],
    )
    def test_of_a_crop_the_coarsest_level_that_begins_where_it_does_is_read(
        self, first_row, first_column, level
    ):
        crop = self.cropped(first_row, first_column, factors=[2, 2])
        plain = self.cropped(first_row, first_column, factors=None)
        scales = {"m0": 300.0}
        table, expected = (scores_of(one, scales=scales) for one in (crop, plain))
        assert table.uns["nimbus"]["fields"]["level"].tolist() == [level]
        np.testing.assert_allclose(
            table.layers["nimbus"], expected.layers["nimbus"], atol=0.03, rtol=0
        )

    def test_a_wanted_level_that_does_not_lie_on_the_crop_is_refused(self):
        crop = self.cropped(9, 12, factors=[2, 2])
        with pytest.raises(ValueError, match=r"level 'scale1' has \(41, 48\).*\(80, 96\).*scale="):
            scores_of(crop, scale="scale1")

    def test_an_unknown_pixel_size_is_refused_with_the_way_to_give_it(self):
        sdata = one_field(uneven((1, 20, 20)), np.ones((20, 20), int), pixel_size=None)
        with pytest.raises(
            ValueError, match=r"pixel size of image 'a_image' is unknown.*pixel_size="
        ):
            scores_of(sdata)
        assert scores_of(sdata, pixel_size=0.5).n_obs == 1

    def test_a_coordinate_system_called_microns_has_a_known_unit(self):
        image = Image2DModel.parse(
            uneven((1, 20, 20)),
            dims=("c", "y", "x"),
            c_coords=["m0"],
            transformations={"microns": Scale([0.5, 0.5], axes=("x", "y"))},
        )
        labels = Labels2DModel.parse(
            np.ones((20, 20), int),
            dims=("y", "x"),
            transformations={"microns": Scale([0.5, 0.5], axes=("x", "y"))},
        )
        table = scores_of(SpatialData(images={"i": image}, labels={"l": labels}))
        assert table.uns["nimbus"]["fields"]["pixel_size_um"].tolist() == [0.5]

    @staticmethod
    def in_systems(**sides):
        """A field with an identity as "global", and systems with pixels of some sides."""
        sdata = one_field(uneven((1, 20, 20)), np.ones((20, 20), int), pixel_size=None)
        placed = {"global": Identity()}
        placed |= {name: Scale([side, side], axes=("x", "y")) for name, side in sides.items()}
        for element in ("a_image", "a_labels"):
            set_transformation(sdata[element], placed, set_all=True)
        return sdata

    def test_another_system_of_known_unit_tells_the_pixel_size(self):
        sdata = self.in_systems(um=0.5, nowhere=3)
        table = scores_of(sdata)
        fields = table.uns["nimbus"]["fields"]
        assert fields["pixel_size_um"].tolist() == [0.5]
        assert fields["coordinate_system"].tolist() == ["global"]
        assert table.obsm["spatial"].tolist() == [[10, 10]], "centroids are not in global"

        sdata.attrs["nimbus_units"] = {"global": "micrometer"}
        assert scores_of(sdata).uns["nimbus"]["fields"]["pixel_size_um"].tolist() == [1]

    def test_systems_that_tell_different_pixel_sizes_are_named(self):
        sdata = self.in_systems(um=0.5, microns=0.25)
        with pytest.raises(
            ValueError, match=r"0\.25 micrometres in 'microns', 0\.5 micrometres in 'um'.*coord"
        ):
            scores_of(sdata)
        for options, size in (({"coordinate_system": "um"}, 0.5), ({"pixel_size": 2}, 2)):
            table = scores_of(sdata, **options)
            assert table.uns["nimbus"]["fields"]["pixel_size_um"].tolist() == [size]

    def test_a_figure_whose_systems_tell_different_pixel_sizes_is_drawn_in_pixels(self):
        ends = {"image_key": "a_image", "labels_key": "a_labels"}
        ends |= {"coordinate_system": None, "pixel_size": None}
        assert placed_field(self.in_systems(um=0.5), **ends).um_per_unit == 0.5
        assert placed_field(self.in_systems(um=0.5, microns=0.25), **ends).um_per_unit is None

    def test_an_unusual_pixel_size_is_warned_of(self):
        with pytest.warns(UserWarning, match="5 micrometres, outside the usual range 0.1-4"):
            scores_of(draw_sdata([(40, 40)]), pixel_size=5)

    @pytest.mark.parametrize("size", [0, -1, np.nan])
    def test_an_impossible_pixel_size_is_refused(self, size):
        with pytest.raises(ValueError, match="pixel_size must be a number above 0"):
            scores_of(draw_sdata([(40, 40)]), pixel_size=size)


class TestLabels:
    def test_float_labels_are_refused(self):
        sdata = draw_sdata([(30, 30)])
        sdata["a_labels"].data = sdata["a_labels"].data.astype(float)
        with pytest.raises(TypeError, match="labels 'a_labels' are of type float64"):
            scores_of(sdata)

    def test_labels_of_three_dimensions_are_refused(self):
        sdata = draw_sdata([(30, 30)])
        sdata.labels["a_labels"] = Labels3DModel.parse(
            np.ones((2, 30, 30), int), dims=("z", "y", "x"), transformations={"a": Identity()}
        )
        with pytest.raises(ValueError, match="labels 'a_labels' have 3 dimensions"):
            scores_of(sdata)

    def test_negative_ids_are_refused(self):
        labels = np.ones((20, 20), dtype=np.int32)
        labels[3, 4] = -7
        with pytest.raises(ValueError, match="hold ids from -7 to 1"):
            scores_of(one_field(uneven((1, 20, 20)), labels))

    def test_ids_above_the_limit_are_refused(self):
        labels = np.full((20, 20), 2**31, dtype=np.uint32)
        with pytest.raises(ValueError, match="ids from 2147483648 to 2147483648"):
            scores_of(one_field(uneven((1, 20, 20)), labels))

    def test_empty_labels_give_an_empty_table_and_a_warning(self):
        with pytest.warns(UserWarning, match="no cell in the labels 'a_labels'"):
            table = scores_of(one_field(uneven((1, 20, 20)), np.zeros((20, 20), int)))
        assert table.shape == (0, 1)
        assert table.layers["nimbus"].shape == (0, 1)

    def test_a_cell_larger_than_cells_are_is_warned_of(self):
        #  cell 7: 60 x 50 pixels of 2 um are 12,000 um2
        labels = np.zeros((80, 70), dtype=np.uint16)
        labels[10:70, 10:60], labels[2:5, 3:8] = 7, 4
        image = draw_image(labels, n_channels=1, seed=3)
        scores_of(one_field(image, labels, pixel_size=1.8))  # 9,720 um2: no warning

        with pytest.warns(UserWarning, match=r"'a_labels \(cell 7: 12,000 um2\)'"):
            table = scores_of(one_field(image, labels, pixel_size=2.0))

        assert not np.isnan(table.layers["nimbus"]).any()

    def test_sizes_of_cells_are_told_in_micrometres_whatever_the_pixels_of_the_labels(self):
        labels = np.zeros((80, 70), dtype=np.uint16)
        labels[10:70, 10:60] = 7
        image = draw_image(np.kron(labels, np.ones((2, 2), int)), n_channels=1, seed=3)
        sdata = one_field(image, np.kron(labels, np.ones((2, 2), np.uint16)), pixel_size=1.0)
        coarse = Labels2DModel.parse(
            labels, dims=("y", "x"), transformations={"a": Scale([2.0, 2.0], axes=("x", "y"))}
        )
        sdata.labels["a_labels"] = coarse
        with pytest.warns(UserWarning, match=r"'a_labels \(cell 7: 12,000 um2\)'"):
            scores_of(sdata)

    @pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.uint16, np.int64, np.uint64])
    def test_every_integer_type_gives_the_same_scores(self, dtype):
        labels = draw_labels((40, 40), n_cells=12, seed=1)
        image = draw_image(labels, n_channels=1, seed=1)
        got = scores_of(one_field(image, labels.astype(dtype)))
        expected = scores_of(one_field(image, labels))
        np.testing.assert_array_equal(got.layers["nimbus"], expected.layers["nimbus"])

    def test_huge_and_scattered_ids_keep_their_cells_apart(self):
        labels = draw_labels((60, 50), n_cells=20, seed=2)
        far = np.where(labels > 0, labels.astype(np.int64) * 15_000_017, 0)
        assert far.max() > 2**24, "proves nothing: float32 could hold these"
        image = draw_image(labels, n_channels=1, seed=2)
        got, expected = scores_of(one_field(image, far)), scores_of(one_field(image, labels))
        np.testing.assert_array_equal(
            got.obs["instance_id"], expected.obs["instance_id"] * 15_000_017
        )
        np.testing.assert_array_equal(got.layers["nimbus"], expected.layers["nimbus"])

    def test_a_cell_of_one_pixel_gets_the_score_of_its_pixel(self):
        labels = np.zeros((20, 20), dtype=int)
        labels[6, 9] = 5
        image = np.zeros((1, 20, 20), dtype=np.float32)
        image[0, 6:8, 8:10] = 0.5
        table = scores_of(one_field(image, labels), scales={"m0": 1.0})
        np.testing.assert_allclose(table.layers["nimbus"], [[0.7 * 0.5]])
        assert table.obs["area"].tolist() == [1]
        np.testing.assert_allclose(table.obsm["spatial"], [[9.5 * 0.5, 6.5 * 0.5]])

    @pytest.mark.parametrize("shape", [(1, 1), (1, 7), (2, 2), (5, 1), (17, 16), (33, 31)])
    def test_images_of_any_size_are_scored(self, shape):
        labels = np.ones(shape, dtype=int)
        image = np.full((1, *shape), 0.5, dtype=np.float32)
        table = scores_of(one_field(image, labels), scales={"m0": 1.0})
        np.testing.assert_allclose(table.layers["nimbus"], [[0.7 * 0.5 + 0.2]], atol=1e-6)


class TestIntensities:
    def test_a_nan_is_refused_with_channel_and_place(self):
        image = np.ones((2, 20, 30), dtype=np.float32)
        image[1, 7, 11] = np.nan
        sdata = one_field(image, np.ones((20, 30), int))
        with pytest.raises(ValueError, match="'m1' of image 'a_image' is nan at row 7, column 11"):
            scores_of(sdata)
        with pytest.raises(ValueError, match="'m1' of image 'a_image' is nan at row 7, column 11"):
            scores_of(sdata, scales={"m0": 1, "m1": 1})

    def test_nan_zero_reads_such_pixels_as_zeros(self):
        image = np.ones((1, 20, 30), dtype=np.float32)
        zeros = image.copy()
        image[0, 7, 11], image[0, 3, 3] = np.nan, np.inf
        zeros[0, 7, 11] = zeros[0, 3, 3] = 0
        labels = np.ones((20, 30), int)
        got = scores_of(one_field(image, labels), nan="zero")
        expected = scores_of(one_field(zeros, labels))
        np.testing.assert_array_equal(got.layers["nimbus"], expected.layers["nimbus"])
        np.testing.assert_array_equal(got.X, expected.X)

    def test_a_channel_without_signal_is_scored_on_zeros_with_a_warning(self):
        labels = draw_labels((30, 30), n_cells=5, seed=1)
        image = np.zeros((2, 30, 30), dtype=np.uint8)
        image[1] = labels > 0
        with pytest.warns(UserWarning, match=r"no signal in 'm0 \(a_image\)'"):
            table = scores_of(one_field(image, labels))
        assert table.var["nimbus_scale"].tolist() == [0, 1]
        assert (table.layers["nimbus"][:, 0] <= 0.2 + 1e-6).all()

    def test_a_constant_channel_scales_to_one_with_a_warning(self):
        image = np.concatenate([np.full((1, 20, 20), 37), uneven((1, 20, 20))]).astype(int)
        with pytest.warns(UserWarning, match=r"no contrast in 'm0 \(a_image\)': all pixels"):
            table = scores_of(one_field(image, np.ones((20, 20), int)))
        np.testing.assert_allclose(table.var["nimbus_scale"]["m0"], 37)

    def test_what_normalize_returns_for_a_channel_without_signal_can_be_given(self):
        image = draw_sdata([(30, 30)])["a_image"].to_numpy()
        image[0] = 0
        sdata = one_field(image, draw_labels((30, 30), n_cells=5, seed=1))
        with pytest.warns(UserWarning, match="no signal"):
            scales = nimbus.pp.normalize(sdata, model=brightness, show_progress_bar=False)
        assert scales["m0"] == 0 < scales["m1"], "proves nothing: both have signal"
        with pytest.warns(UserWarning, match=r"no signal in 'm0 \(a_image\)'.*scored as zeros"):
            table = scores_of(sdata, scales=scales)
        assert (table.layers["nimbus"][:, 0] <= 0.2 + 1e-6).all()

    @pytest.mark.parametrize("scale", [-2.0, np.inf, np.nan])
    def test_given_scales_must_be_divisors(self, scale):
        with pytest.raises(ValueError, match=r"divisors above 0.*'a_image' has \{'m0'"):
            scores_of(draw_sdata([(30, 30)]), scales={"m0": scale, "m1": 1.0})

    @pytest.mark.parametrize("scales", [255, [1.0, 2.0], {"a_image": [1.0, 2.0]}])
    def test_scales_without_names_are_refused(self, scales):
        with pytest.raises((TypeError, ValueError), match="scales? (must be {name|of image 'a_im)"):
            scores_of(draw_sdata([(30, 30)]), scales=scales)

    def test_values_by_name_are_taken_from_series_too(self):
        sizes, scales = {"a_image": 0.25}, {"m0": 20.0, "m1": 40.0}
        one = scores_of(draw_sdata([(40, 40)]), pixel_size=sizes, scales={"a_image": scales})
        two = scores_of(
            draw_sdata([(40, 40)]),
            pixel_size=pd.Series(sizes),
            scales={"a_image": pd.Series(scales)},
        )
        own = scores_of(draw_sdata([(40, 40)]))
        assert not np.allclose(one.layers["nimbus"], own.layers["nimbus"]), "proves nothing"
        np.testing.assert_array_equal(two.layers["nimbus"], one.layers["nimbus"])

    def test_a_missing_scale_is_named(self):
        with pytest.raises(ValueError, match="scale of image 'a_image' for channel 'm1'"):
            scores_of(draw_sdata([(30, 30)]), scales={"m0": 1.0})

    def test_a_damaged_chunk_is_named_with_its_place(self):
        def damaged(block, block_info=None):
            if block_info[0]["chunk-location"][2] == 1:
                raise RuntimeError("error during blosc decompression")
            return block

        labels = draw_labels((30, 60), n_cells=9, seed=1)
        image = da.from_array(draw_image(labels, n_channels=1, seed=1), chunks=(1, 30, 30))
        broken = image.map_blocks(damaged, dtype=image.dtype)
        with pytest.raises(OSError, match="'a_image' cannot be read at .*columns 30:60.*blosc"):
            scores_of(one_field(broken, labels))


class TestTiles:
    def test_tiles_without_cells_are_not_read(self):
        read = []

        def watched(block, block_info=None):
            read.append(block_info[0]["chunk-location"])
            return block

        labels = np.zeros((256, 1024), dtype=int)
        labels[10:20, 10:20] = 1
        image = da.ones((1, 256, 1024), chunks=(1, 256, 256)).map_blocks(watched, dtype=float)
        scores_of(one_field(image, labels, pixel_size=1.0), tile_size=64, scales={"m0": 1.0})
        assert read, "proves nothing: nothing was watched"
        assert {place[2] for place in read} == {0}

    def test_a_cell_cut_by_tiles_keeps_its_score(self):
        labels = np.zeros((200, 200), dtype=int)
        labels[40:160, 40:160] = 1
        image = draw_image(labels, n_channels=1, seed=3)
        cut = scores_of(one_field(image, labels, pixel_size=0.8), tile_size=32)
        whole = scores_of(one_field(image, labels, pixel_size=0.8), tile_size=512)
        np.testing.assert_allclose(cut.layers["nimbus"], whole.layers["nimbus"], rtol=1e-6)
        assert cut.obs["area"].tolist() == [120 * 120]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"tile_size": 0}, "tile_size must be at least 1"),
            ({"batch_size": 0}, "batch_size must be at least 1"),
            ({"n_jobs": 0}, "n_jobs must be at least 1"),
            ({"aggregate": "mean"}, "aggregate='mean' is not one of"),
            ({"uncertainty": True}, "needs tta=True"),
            ({"nan": "ignore"}, "nan='ignore' is not one of"),
        ],
    )
    def test_settings_that_make_no_sense_are_refused(self, options, message):
        with pytest.raises(ValueError, match=message):
            scores_of(draw_sdata([(30, 30)]), **options)
