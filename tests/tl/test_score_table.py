"""The table that tl.score makes or fills, and the store it writes."""

from __future__ import annotations

import json
import os
import warnings

import anndata
import dask.array as da
import numpy as np
import pandas as pd
import pytest
import spatialdata
from spatialdata.models import TableModel

import nimbus
from support.tissue import brightness, draw_sdata

QUIET = {"model": brightness, "tta": False, "show_progress_bar": False}
SHAPES = [(60, 70), (50, 90)]


def scored(**options):
    sdata = draw_sdata(SHAPES)
    nimbus.tl.score(sdata, **QUIET | options)
    return sdata


class TestNewTable:
    def test_it_keeps_the_data_contract(self):
        table = scored().tables["table"]
        scores = table.layers["nimbus"]
        assert scores.dtype == np.float32
        assert np.isfinite(scores).all()
        assert 0 <= scores.min() < scores.max() <= 1
        assert table.X.dtype == np.float32
        assert table.obs["region"].cat.categories.tolist() == ["a_labels", "b_labels"]
        assert set(table.obs.columns) == {"region", "instance_id", "area"}
        assert table.uns["spatialdata_attrs"]["instance_key"] == "instance_id"
        assert table.uns["nimbus"]["model"] == "brightness"
        np.testing.assert_array_equal(table.layers["integrated"], table.X)

    def test_areas_and_centroids_are_those_of_the_labels(self):
        sdata = scored()
        table = sdata.tables["table"]
        for region in ("a_labels", "b_labels"):
            rows = (table.obs["region"] == region).to_numpy()
            ids, areas = np.unique(sdata[region].to_numpy(), return_counts=True)
            np.testing.assert_array_equal(table.obs["instance_id"][rows], ids[1:])
            np.testing.assert_array_equal(table.obs["area"][rows], areas[1:])
            centroids = spatialdata.get_centroids(sdata[region], coordinate_system=region[0])
            np.testing.assert_allclose(table.obsm["spatial"][rows], centroids.compute(), rtol=1e-6)

    def test_mean_intensities_equal_a_slow_loop(self):
        sdata = scored()
        table = sdata.tables["table"]
        image, labels = sdata["b_image"].to_numpy(), sdata["b_labels"].to_numpy()
        of_b = table.obs["region"] == "b_labels"
        for row, cell in zip(table.X[of_b], table.obs["instance_id"][of_b], strict=True):
            np.testing.assert_allclose(row, image[:, labels == cell].mean(axis=1), rtol=1e-6)

    def test_the_spread_is_that_over_the_views(self):
        def upper_half(planes):  # differs between the views
            out = np.zeros_like(planes[:, :1])
            out[:, :, : out.shape[2] // 2] = 1
            return out

        table = scored(model=upper_half, tta=True, uncertainty=True).tables["table"]
        np.testing.assert_allclose(table.layers["nimbus"].mean(), 0.5, atol=0.1)
        assert table.layers["nimbus_std"].max() > 0.4
        still = scored(tta=True, uncertainty=True).tables["table"]
        np.testing.assert_allclose(still.layers["nimbus_std"], 0, atol=1e-6)

    def test_the_score_is_the_mean_of_the_views_with_and_without_their_spread(self):
        def corner(planes):  # two of the eight views bring it to each of the four corners
            out = np.zeros_like(planes[:, :1])
            out[:, :, : out.shape[2] // 2, : out.shape[3] // 2] = 1
            return out

        told, plain = (
            scored(model=corner, tta=True, uncertainty=spread).tables["table"]
            for spread in (True, False)
        )
        np.testing.assert_allclose(told.layers["nimbus"], plain.layers["nimbus"], atol=1e-6)
        whole = np.isclose(told.layers["nimbus_std"], np.sqrt(0.25 * 0.75), atol=1e-6)
        assert whole.mean() > 0.5, "most cells lie in one quarter of the field"
        np.testing.assert_allclose(told.layers["nimbus"][whole], 0.25, atol=1e-6)


class TestExistingTable:
    def shuffled(self):
        """A table of some cells in another order, one cell that is not there, other markers."""
        sdata = scored()
        table = sdata.tables["table"]
        rng = np.random.default_rng(0)
        rows = rng.permutation(table.n_obs)[: table.n_obs - 5]
        obs = table.obs.iloc[rows][["region", "instance_id"]].reset_index(drop=True)
        obs.loc[0, "instance_id"] = 99_999
        obs.index = obs.index.astype(str)
        var = pd.DataFrame(index=["other", "m1"])
        bare = anndata.AnnData(np.zeros((len(obs), 2), np.float32), obs=obs, var=var)
        parsed = TableModel.parse(
            bare,
            region=["a_labels", "b_labels"],
            region_key="region",
            instance_key="instance_id",
        )
        expected = table.layers["nimbus"][rows, 1].copy()
        expected[0] = np.nan
        sdata.tables["table"] = parsed
        return sdata, expected

    def test_rows_are_matched_by_region_and_id_and_the_rest_is_nan(self):
        sdata, expected = self.shuffled()
        with pytest.warns(UserWarning, match="1 rows of the table have no cell"):
            nimbus.tl.score(sdata, **QUIET)
        got = sdata.tables["table"].layers["nimbus"]
        np.testing.assert_array_equal(got[:, 1], expected)
        assert np.isnan(got[:, 0]).all()
        np.testing.assert_array_equal(sdata.tables["table"].X, 0)

    def test_a_channel_without_a_column_is_refused(self):
        sdata, _ = self.shuffled()
        with pytest.raises(ValueError, match="'m0' is not among the var_names of table 'table'"):
            nimbus.tl.score(sdata, channels=["m0"], **QUIET)

    @pytest.mark.parametrize("verb", [nimbus.tl.score, nimbus.pp.integrate])
    def test_two_markers_of_one_name_are_refused(self, verb):
        sdata, _ = self.shuffled()
        sdata.tables["table"].var_names = ["m1", "m1"]
        given = QUIET if verb is nimbus.tl.score else {"show_progress_bar": False}
        with pytest.raises(ValueError, match="'m1' of table 'table' stand for several markers"):
            verb(sdata, **given)

    def test_labels_that_it_does_not_annotate_are_refused(self):
        sdata = draw_sdata(SHAPES)
        nimbus.tl.score(sdata, labels_key="a_labels", **QUIET)
        with pytest.raises(ValueError, match="annotates 'a_labels', not 'b_labels'"):
            nimbus.tl.score(sdata, labels_key="b_labels", **QUIET)

    def test_another_table_key_makes_a_new_table(self):
        sdata, _ = self.shuffled()
        nimbus.tl.score(sdata, table_key="mine", **QUIET)
        assert list(sdata.tables["mine"].var_names) == ["m0", "m1"]

    def test_key_added_names_everything(self):
        sdata = scored()
        before = sdata.tables["table"].layers["nimbus"].copy()
        nimbus.tl.score(sdata, **QUIET | {"key_added": "again", "channels": ["m1"]})
        table = sdata.tables["table"]
        np.testing.assert_array_equal(table.layers["nimbus"], before)
        np.testing.assert_array_equal(table.layers["again"][:, 1], before[:, 1])
        assert np.isnan(table.layers["again"][:, 0]).all()
        assert {"again_scale", "nimbus_scale"} <= set(table.var.columns)
        assert {"again", "nimbus"} <= set(table.uns)


def never(planes):
    raise AssertionError("the work began")


class TestNames:
    @pytest.mark.parametrize(
        ("options", "told"),
        [
            ({"key_added": "nimbus v1"}, r"key_added='nimbus v1' .*; 'nimbus_v1' would do"),
            ({"key_added": "__run"}, "do not begin with '__'; '_run' would do"),
            ({"key_added": ""}, "key_added='' gives"),
            ({"key_added": "Integrated"}, r"layers\['Integrated'\]: there is 'integrated'"),
            ({"table_key": "my table"}, r"table_key='my table': .*; 'my_table' would do"),
            ({"table_key": "A_image"}, "table_key='A_image': there is 'a_image'"),
            (
                {"table_key": "a_image"},
                "table_key='a_image': that name is taken by one of the images",
            ),
        ],
    )
    def test_one_that_spatialdata_refuses_is_told_before_the_work(self, options, told):
        with pytest.raises(ValueError, match=told):
            scored(**{"model": never} | options)

    def test_a_suffix_counts_with_the_keys_that_the_table_has(self):
        sdata = scored()
        sdata.tables["table"].layers["run_STD"] = sdata.tables["table"].X
        options = {"key_added": "run", "tta": True, "uncertainty": True}
        with pytest.raises(ValueError, match=r"layers\['run_std'\]: there is 'run_STD'"):
            nimbus.tl.score(sdata, **QUIET | {"model": never} | options)
        nimbus.tl.score(sdata, **QUIET | options | {"uncertainty": False})
        assert "run" in sdata.tables["table"].layers

    def test_integrate_refuses_them_too(self):
        sdata = draw_sdata(SHAPES)
        for options in ({"key_added": "mean intensity"}, {"table_key": "my table"}):
            with pytest.raises(ValueError, match="would do"):
                nimbus.pp.integrate(sdata, show_progress_bar=False, **options)
        assert not sdata.tables

    def test_a_table_that_exists_is_filled_whatever_else_its_owner_keeps_there(self):
        sdata = scored()
        sdata.tables["table"].obs["my column"] = 0
        nimbus.tl.score(sdata, **QUIET | {"key_added": "again"})
        assert "again" in sdata.tables["table"].layers


class TestScalesUsed:
    def test_stored_scales_of_a_chosen_quantile_are_used(self):
        sdata = draw_sdata(SHAPES)
        scales = nimbus.pp.normalize(sdata, quantile=0.9, show_progress_bar=False)
        nimbus.tl.score(sdata, **QUIET)
        np.testing.assert_allclose(sdata.tables["table"].var["nimbus_scale"], list(scales.values()))

    def test_given_scales_win_over_stored_ones(self):
        sdata = draw_sdata(SHAPES)
        nimbus.pp.normalize(sdata, quantile=0.9, show_progress_bar=False)
        nimbus.tl.score(sdata, **QUIET, scales={"m0": 7.0, "m1": 8.0})
        np.testing.assert_allclose(sdata.tables["table"].var["nimbus_scale"], [7, 8])

    def test_scales_by_image_are_stored_long_and_their_common_scale_is_nan(self):
        sdata = draw_sdata(SHAPES)
        by_image = nimbus.pp.normalize(sdata, quantile=0.9, by="image", show_progress_bar=False)
        nimbus.tl.score(sdata, **QUIET)
        table = sdata.tables["table"]
        assert by_image["a_image"] != by_image["b_image"], "proves nothing: the images are alike"
        assert np.isnan(table.var["nimbus_scale"]).any()
        kept = table.uns["nimbus"]["scales"].set_index(["image", "channel"])["scale"]
        assert kept["b_image", "m1"] == by_image["b_image"]["m1"]


class TestStore:
    def test_write_touches_only_its_keys_and_reads_back_equal(self, tmp_path):
        path = tmp_path / "field é.zarr"
        sdata = scored(key_added="first")
        sdata.write(path)
        stamp = (path / "tables/table/X/zarr.json").stat().st_mtime_ns
        sdata = spatialdata.read_zarr(path)
        nimbus.tl.score(sdata, **QUIET, write=True)
        assert (path / "tables/table/X/zarr.json").stat().st_mtime_ns == stamp
        again = spatialdata.read_zarr(path)
        table, here = again.tables["table"], sdata.tables["table"]
        np.testing.assert_array_equal(table.layers["nimbus"], here.layers["nimbus"])
        np.testing.assert_array_equal(table.layers["first"], here.layers["first"])
        assert table.uns["nimbus"]["model"] == "brightness"
        pd.testing.assert_frame_equal(table.uns["nimbus"]["scales"], here.uns["nimbus"]["scales"])
        assert "nimbus_scales" in again.attrs

    def test_a_new_table_is_written_whole(self, tmp_path):
        sdata = draw_sdata(SHAPES)
        sdata.write(tmp_path / "s.zarr")
        nimbus.tl.score(sdata, **QUIET, write=True)
        again = spatialdata.read_zarr(tmp_path / "s.zarr")
        np.testing.assert_array_equal(again.tables["table"].X, sdata.tables["table"].X)

    @pytest.mark.parametrize("verb", [nimbus.tl.score, nimbus.pp.integrate])
    def test_a_table_made_anew_replaces_that_of_other_cells(self, tmp_path, verb):
        """As many cells as before, at other places: not one key of the old table fits."""
        options = QUIET if verb is nimbus.tl.score else {"show_progress_bar": False}
        sdata = draw_sdata([(60, 70)])
        verb(sdata, **options)
        sdata.write(tmp_path / "s.zarr")
        old = sdata.tables["table"].obsm["spatial"]
        del sdata.tables["table"]
        sdata["a_labels"].data = sdata["a_labels"].data[::-1]
        verb(sdata, **options, write=True)
        here, again = sdata["table"], spatialdata.read_zarr(tmp_path / "s.zarr")["table"]
        assert list(here.obs_names) == list(again.obs_names), "proves nothing: names differ"
        assert not np.array_equal(here.obsm["spatial"], old), "proves nothing: nothing moved"
        np.testing.assert_array_equal(again.obsm["spatial"], here.obsm["spatial"])
        np.testing.assert_array_equal(again.X, here.X)

    def test_a_filtered_table_replaces_the_one_in_the_store(self, tmp_path):
        sdata = scored()
        sdata.write(tmp_path / "s.zarr")
        sdata.tables["table"] = sdata.tables["table"][5:].copy()
        with pytest.warns(UserWarning, match="is written whole") as told:
            nimbus.tl.score(sdata, **QUIET, write=True)
        again = spatialdata.read_zarr(tmp_path / "s.zarr").tables["table"]
        assert list(again.obs_names) == list(sdata.tables["table"].obs_names)
        np.testing.assert_array_equal(again.X, sdata.tables["table"].X)
        assert "/nimbus/tl/" in next(one.filename for one in told if "whole" in str(one.message)), (
            "the command line would not show it"
        )

    def test_a_name_with_which_the_store_could_not_be_read_is_refused_before_the_work(
        self, tmp_path
    ):
        sdata = scored()
        sdata.write(tmp_path / "s.zarr")
        sdata["table"].var["my column"] = 1  # is written with the scales
        with pytest.raises(ValueError, match="'my_column' would do"):
            nimbus.tl.score(sdata, **QUIET | {"model": never}, write=True)

    def test_the_record_survives_h5ad(self, tmp_path):
        table = scored().tables["table"]
        table.write_h5ad(tmp_path / "t.h5ad")
        again = anndata.read_h5ad(tmp_path / "t.h5ad")
        assert again.uns["nimbus"]["n_views"] == 1
        assert json.loads(again.uns["nimbus"]["card"])["pixel_size_um"] == 1.0

    def test_without_a_store_write_is_refused_before_the_work(self):
        with pytest.raises(ValueError, match=r"no store; write it once with sdata.write"):
            scored(model=never, write=True)

    @pytest.mark.skipif(os.geteuid() == 0, reason="root writes to read-only folders")
    def test_a_read_only_store_is_refused_before_the_work(self, tmp_path):
        sdata = draw_sdata(SHAPES)
        sdata.write(tmp_path / "s.zarr")
        (tmp_path / "s.zarr").chmod(0o555)
        with pytest.raises(PermissionError, match="cannot be written"):
            nimbus.tl.score(sdata, **QUIET, write=True)

    def test_a_failed_write_leaves_a_readable_store(self, tmp_path, monkeypatch):
        sdata = draw_sdata(SHAPES)
        sdata.write(tmp_path / "s.zarr")

        def full(self, path, **options):
            (path / "tables" / "table").mkdir(parents=True)
            raise OSError("No space left on device")

        monkeypatch.setattr(spatialdata.SpatialData, "write", full)
        with pytest.raises(OSError, match="No space left"):
            nimbus.tl.score(sdata, **QUIET, write=True)
        monkeypatch.undo()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            again = spatialdata.read_zarr(tmp_path / "s.zarr")
        assert sorted(again.images) == ["a_image", "b_image"]


class TestMaps:
    def test_they_hold_the_probabilities_and_lie_on_the_image(self):
        sdata = scored(save_maps=True, tile_size=16, scales={"m0": 60.0, "m1": 110.0})
        maps = sdata["a_image_nimbus"]
        image = sdata["a_image"].to_numpy()
        assert maps.shape == (2, 30, 35)
        scale = np.array([60, 110])[:, None, None]
        plane = np.clip(image / scale, 0, 1).reshape(2, 30, 2, 35, 2).mean(axis=(2, 4))
        inside = maps.to_numpy() - 0.7 * plane
        np.testing.assert_allclose(np.unique(inside.round(5)), [0, 0.2], atol=1e-5)
        extents = [spatialdata.get_extent(sdata[n], "a") for n in ("a_image", "a_image_nimbus")]
        assert extents[0] == extents[1]

    def test_they_are_lazy_and_written_chunk_by_chunk(self, tmp_path):
        sdata = draw_sdata([(60, 70)])
        sdata.write(tmp_path / "s.zarr")
        calls = []

        def counted(planes):
            calls.append(planes.shape)
            return brightness(planes)

        nimbus.tl.score(sdata, model=counted, tta=False, show_progress_bar=False, save_maps="p")
        n_scored = len(calls)
        assert n_scored == 2
        sdata.write_element("a_image_p")
        assert len(calls) == 2 * n_scored
        again = spatialdata.read_zarr(tmp_path / "s.zarr")
        np.testing.assert_array_equal(again["a_image_p"], sdata["a_image_p"])

    def test_a_second_run_does_not_take_them_for_images(self):
        sdata = draw_sdata([(60, 70)])
        nimbus.tl.score(sdata, **QUIET, save_maps=True)
        nimbus.tl.score(sdata, **QUIET, key_added="again", save_maps=True)
        assert sorted(sdata.images) == ["a_image", "a_image_again", "a_image_nimbus"]

    def test_a_crop_tells_the_whole_nothing_of_its_maps(self):
        sdata = draw_sdata(SHAPES[:1])
        crop = sdata.query.bounding_box(
            axes=("x", "y"),
            min_coordinate=[0, 0],
            max_coordinate=[10, 10],
            target_coordinate_system="a",
        )
        nimbus.tl.score(crop, **QUIET, scales={"m0": 1.0, "m1": 1.0}, save_maps=True)
        assert "nimbus_maps" in crop.attrs
        assert "nimbus_maps" not in sdata.attrs

    def test_labels_that_share_an_image_have_a_map_each(self, tmp_path):
        sdata = draw_sdata([(60, 70)])
        upside_down = da.from_array(sdata["a_labels"].to_numpy()[::-1])
        sdata.labels["nuclei"] = sdata["a_labels"].copy(data=upside_down)
        sdata.write(tmp_path / "s.zarr")
        nimbus.tl.score(sdata, **QUIET, image_key="a_image", save_maps=True, write=True)
        names = ["a_image_a_labels_nimbus", "a_image_nuclei_nimbus"]
        again = spatialdata.read_zarr(tmp_path / "s.zarr")
        assert sorted(again.images) == ["a_image", *names]
        for labels, name in zip(("a_labels", "nuclei"), names, strict=True):
            alone = draw_sdata([(60, 70)])
            alone.labels["a_labels"] = sdata[labels]
            nimbus.tl.score(alone, **QUIET, save_maps=True)
            np.testing.assert_array_equal(again[name], alone["a_image_nimbus"])
        assert (again[names[0]].to_numpy() != again[names[1]].to_numpy()).any()

    def test_they_never_take_the_place_of_another_element(self, tmp_path):
        sdata = draw_sdata([(60, 70)])
        sdata.images["a_image_raw"] = sdata["a_image"]
        sdata.write(tmp_path / "s.zarr")
        options = QUIET | {"model": never, "image_key": "a_image", "write": True}
        with pytest.raises(ValueError, match="the image 'a_image_raw': that name is taken"):
            nimbus.tl.score(sdata, **options, save_maps="raw")
        with pytest.raises(ValueError, match="'a_image_Raw': there is 'a_image_raw'"):
            nimbus.tl.score(sdata, **options, save_maps="Raw")
        with pytest.raises(ValueError, match="'a_image_my_maps' would do"):
            nimbus.tl.score(sdata, **options, save_maps="my maps")
        assert not sdata.tables

    def test_those_of_an_earlier_run_are_replaced(self):
        sdata = draw_sdata([(60, 70)])
        nimbus.tl.score(sdata, **QUIET, save_maps=True)
        before = sdata["a_image_nimbus"].to_numpy()
        nimbus.tl.score(sdata, **QUIET, save_maps=True, scales={"m0": 999.0, "m1": 999.0})
        assert (sdata["a_image_nimbus"].to_numpy() <= before).all()
        assert (sdata["a_image_nimbus"].to_numpy() < before).any()
