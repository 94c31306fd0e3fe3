from __future__ import annotations

from xml.etree import ElementTree

import dask.array as da
import numpy as np
import pandas as pd
import pytest
import spatialdata
import tifffile
from anndata import AnnData
from spatialdata.models import Image2DModel, Labels2DModel, TableModel
from spatialdata.transformations import Scale

import nimbus
from nimbus.io import _write_plane, to_mantis
from nimbus.io._write_plane import write_plane

MARKERS = ["CD3 ε", "CD3/CD8"]
FIELDS = {"f_1": "Feld: 1/5%2F", "f_2": "f_2"}
IDS = np.array([[0, 70_000, 70_000, 5], [9, 0, 70_000, 5], [9, 9, 3, 3]])


@pytest.fixture
def sdata():
    """Two fields of hard names; ids beyond 16 bits in the first, a cell without a type in both."""
    images, labels, rows = {}, {}, []
    for number, key in enumerate(FIELDS):
        pixels = np.arange(24).reshape(2, 3, 4).astype(np.uint16) * (number + 1) + 60_000
        ids = IDS if number == 0 else np.where(IDS == 70_000, 7, IDS)
        images[f"{key}_image"] = Image2DModel.parse(pixels, dims=("c", "y", "x"), c_coords=MARKERS)
        labels[f"{key}_labels"] = Labels2DModel.parse(ids.astype(np.int32), dims=("y", "x"))
        rows += [(f"{key}_labels", cell) for cell in (9, 5, int(ids[0, 1]), 3)]
    obs = pd.DataFrame(rows, columns=["region", "instance_id"])
    obs["region"] = pd.Categorical(obs["region"])
    obs["kind"] = pd.Categorical(["T, CD8", "B", None, "B"] * 2, categories=["B", "NK", "T, CD8"])
    obs.index = obs.index.astype(str)
    table = AnnData(np.zeros((8, 2)), obs=obs, var=pd.DataFrame(index=MARKERS))
    scores = np.linspace(0, 1, 16).reshape(8, 2).astype(np.float32)
    scores[3, 1] = np.nan
    table.layers["nimbus"] = scores
    parsed = TableModel.parse(
        table,
        region=list(obs["region"].cat.categories),
        region_key="region",
        instance_key="instance_id",
    )
    made = spatialdata.SpatialData(images=images, labels=labels, tables={"table": parsed})
    made.attrs["nimbus_fovs"] = {"f_1": FIELDS["f_1"]}
    return made


def written(sdata, folder, **given):
    given = {"cell_type_key": "kind", "show_progress_bar": False} | given
    return nimbus.io.write_mantis(sdata, folder, **given)


class TestRoundTrip:
    def test_images_cells_types_and_scores_come_back(self, sdata, tmp_path):
        again = nimbus.io.read_mantis(written(sdata, tmp_path / "Ausgabe ü"), pixel_size=0.5)
        names = {again.attrs["nimbus_fovs"].get(k, k) for k in again.coordinate_systems}
        assert names == set(FIELDS.values())
        for key in FIELDS:
            new = key if key == "f_2" else "Feld__1_5_2F"
            image = again[f"{new}_image"]
            assert image.c.values.tolist() == MARKERS
            assert image.dtype == np.uint16
            np.testing.assert_array_equal(image.values, sdata[f"{key}_image"].values)
            np.testing.assert_array_equal(
                again[f"{new}_labels"].values, sdata[f"{key}_labels"].values
            )
        table, before = again["table"], sdata["table"]
        assert table.obs["instance_id"].tolist() == before.obs["instance_id"].tolist()
        types = table.obs["cell_type"].iloc[:4].astype(object)
        assert types.where(types.notna(), None).tolist() == ["T, CD8", "B", None, "B"]
        assert table.var_names.tolist() == [f"nimbus {name}" for name in MARKERS]
        np.testing.assert_allclose(table.X, before.layers["nimbus"], rtol=1e-6)

    def test_types_come_back_into_the_table_by_field_and_id(self, sdata, tmp_path):
        folder = written(sdata, tmp_path)
        types = nimbus.io.read_mantis_types(folder / "populations.csv")
        shuffled = types.sample(frac=1, random_state=0)
        nimbus.pp.cell_types(sdata, shuffled, key_added="back")
        pd.testing.assert_series_equal(
            sdata["table"].obs["back"].astype(object),
            sdata["table"].obs["kind"].astype(object),
            check_names=False,
        )

    def test_simulated_tissue_comes_back(self, tmp_path):
        tissue = nimbus.datasets.tissue(shape=(150, 140), n_fovs=2, n_cells=20, random_state=0)
        folder = written(tissue, tmp_path, cell_type_key="cell_type", layer="truth")
        again = nimbus.io.read_mantis(folder, fovs=["fov1"], channels=["CD8", "CD3"])
        assert sorted(again.images) == ["fov1_image"]
        kept = tissue["fov1_image"].sel(c=["CD8", "CD3"])
        np.testing.assert_array_equal(again["fov1_image"].values, kept.values)
        own = tissue["table"].obs["region"] == "fov1_labels"
        assert (
            again["table"].obs["cell_type"].tolist()
            == tissue["table"].obs["cell_type"][own].tolist()
        )


class TestFiles:
    def test_they_are_what_mantis_viewer_expects(self, sdata, tmp_path):
        folder = written(sdata, tmp_path / "p")
        names = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.*"))
        assert names == sorted(
            [
                *(
                    f"{field}/{name}"
                    for field in ("Feld%3A 1%2F5%252F", "f_2")
                    for name in (
                        "CD3 ε.tiff",
                        "CD3%2FCD8.tiff",
                        "cell_segmentation.tiff",
                        "population_mask.tiff",
                        "population_mask.csv",
                    )
                ),
                "populations.csv",
                "segment_features.csv",
            ]
        )
        # Neither has a header in one and both have one in the other; NaN is empty.
        assert (folder / "populations.csv").read_text(encoding="utf-8").splitlines()[:2] == [
            'Feld%3A 1%2F5%252F,9,"T, CD8"',
            "Feld%3A 1%2F5%252F,5,B",
        ]
        features = (folder / "segment_features.csv").read_text(encoding="utf-8").splitlines()
        assert features[0] == "Image Set Name,Segment ID,nimbus CD3 ε,nimbus CD3/CD8"
        assert features[4].startswith("Feld%3A 1%2F5%252F,3,0.4")
        assert features[4].endswith(",")

    def test_a_tiff_names_its_marker(self, sdata, tmp_path):
        written(sdata, tmp_path)
        for marker, file in zip(MARKERS, ["CD3 ε.tiff", "CD3%2FCD8.tiff"], strict=True):
            with tifffile.TiffFile(tmp_path / "f_2" / file) as tiff:
                assert len(tiff.pages) == 1
                assert tiff.pages[0].shape == (3, 4)
                xml = ElementTree.fromstring(tiff.pages[0].description)
            assert xml.find("name").text == marker

    @pytest.mark.parametrize(
        ("field", "dtype"), [("Feld%3A 1%2F5%252F", np.uint32), ("f_2", np.uint16)]
    )
    def test_ids_have_as_many_bits_as_they_need(self, sdata, tmp_path, field, dtype):
        written(sdata, tmp_path)
        ids = tifffile.imread(tmp_path / field / "cell_segmentation.tiff")
        assert ids.dtype == dtype

    def test_the_population_mask_has_the_number_of_each_cell(self, sdata, tmp_path):
        written(sdata, tmp_path)
        mask = tifffile.imread(tmp_path / "f_2" / "population_mask.tiff")
        # 9 is T (third of three), 5 and 3 are B (first), 7 has none
        np.testing.assert_array_equal(mask, [[0, 0, 0, 1], [3, 0, 0, 1], [3, 3, 1, 1]])
        names = pd.read_csv(tmp_path / "f_2" / "population_mask.csv")
        assert names.to_dict("list") == {
            "region_id": [1, 2, 3],
            "region_name": ["B", "NK", "T, CD8"],
        }

    def test_other_types_of_pixels_become_float32(self, sdata, tmp_path):
        pixels = np.linspace(-1, 1, 24).reshape(2, 3, 4)
        sdata.images["f_2_image"] = Image2DModel.parse(
            pixels, dims=("c", "y", "x"), c_coords=MARKERS
        )
        written(sdata, tmp_path, labels_key="f_2_labels")
        found = tifffile.imread(tmp_path / "f_2" / "CD3 ε.tiff")
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, pixels[0], rtol=1e-6)

    def test_labels_of_another_resolution_get_the_pixels_of_the_image(self, tmp_path):
        coarse = np.array([[1, 2, 0], [1, 3, 3]])
        made = nimbus.datasets.tissue(shape=(40, 40), n_cells=4, markers=["CD3"], random_state=0)
        table = made["table"][:3].copy()
        table.obs["instance_id"] = [1, 2, 3]
        table.obs["region"] = pd.Categorical(["f_labels"] * 3)
        del table.uns["spatialdata_attrs"]
        parsed = TableModel.parse(
            table, region="f_labels", region_key="region", instance_key="instance_id"
        )
        sdata = spatialdata.SpatialData(
            images={"f_image": Image2DModel.parse(np.zeros((1, 4, 6)), dims=("c", "y", "x"))},
            labels={
                "f_labels": Labels2DModel.parse(
                    coarse,
                    dims=("y", "x"),
                    transformations={"global": Scale([2.0, 2.0], axes=("y", "x"))},
                )
            },
            tables={"table": parsed},
        )
        written(sdata, tmp_path, cell_type_key="cell_type")
        ids = tifffile.imread(tmp_path / "f" / "cell_segmentation.tiff")
        np.testing.assert_array_equal(ids, np.kron(coarse, np.ones((2, 2), int)))


class TestCare:
    def test_a_folder_that_holds_something_is_refused_and_then_added_to(self, sdata, tmp_path):
        (tmp_path / ".mantisDB").write_text("populations drawn by hand")
        (tmp_path / "f_2").mkdir()
        (tmp_path / "f_2" / "notes.txt").write_text("mine")
        with pytest.raises(FileExistsError, match="overwrite=True"):
            written(sdata, tmp_path)
        assert sorted(path.name for path in tmp_path.iterdir()) == [".mantisDB", "f_2"]
        written(sdata, tmp_path, overwrite=True)
        assert (tmp_path / ".mantisDB").read_text() == "populations drawn by hand"
        assert (tmp_path / "f_2" / "notes.txt").read_text() == "mine"
        assert (tmp_path / "f_2" / "CD3 ε.tiff").exists()

    def test_an_error_leaves_no_half_of_a_file(self, tmp_path):
        def broken(block, block_info=None):
            if block_info[0]["chunk-location"][0] == 1:
                raise OSError("cut off")
            return block

        plane = da.ones((2000, 300), chunks=(1500, 300)).map_blocks(broken, dtype=float)
        write_plane(tmp_path / "a.tiff", da.zeros((4, 4), dtype=np.uint8))
        with pytest.raises(OSError, match="cut off"):
            write_plane(tmp_path / "a.tiff", plane)
        assert [path.name for path in tmp_path.iterdir()] == ["a.tiff"]
        assert tifffile.imread(tmp_path / "a.tiff").shape == (4, 4)

    def test_large_planes_are_read_in_strips(self, tmp_path):
        read = []

        def counted(block, block_info=None):
            read.append(block_info[0]["chunk-location"][0])
            return block

        values = np.random.default_rng(0).integers(0, 99, (3000, 70)).astype(np.uint8)
        plane = da.from_array(values, chunks=(500, 70)).map_blocks(counted, dtype=np.uint8)
        first = next(_write_plane._tiles(plane))
        np.testing.assert_array_equal(first[:256, :70], values[:256])
        assert max(read) == 2, "rows below the first 1024 were read"
        write_plane(tmp_path / "a.tiff", plane)
        np.testing.assert_array_equal(tifffile.imread(tmp_path / "a.tiff"), values)

    def test_a_large_image_gives_the_same_files(self, sdata, tmp_path, monkeypatch):
        written(sdata, tmp_path / "small")
        monkeypatch.setattr(to_mantis, "HELD_BYTES", 0)
        written(sdata, tmp_path / "large")
        for path in sorted((tmp_path / "small").rglob("*.*")):
            other = tmp_path / "large" / path.relative_to(tmp_path / "small")
            assert path.read_bytes() == other.read_bytes()

    def test_rows_without_a_cell_are_left_out_with_a_warning(self, sdata, tmp_path):
        sdata["table"].obs.loc["1", "instance_id"] = 12_345
        with pytest.warns(UserWarning, match="1 rows of the table have no cell"):
            written(sdata, tmp_path)
        assert "12345" not in (tmp_path / "populations.csv").read_text(encoding="utf-8")

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ({"cell_type_key": "kin"}, "did you mean 'kind'"),
            ({"layer": "nimbs"}, "did you mean 'nimbus'"),
            ({"channels": ["CD3"]}, "did you mean 'CD3 ε'"),
            ({"labels_key": "f_3_labels"}, "did you mean"),
        ],
    )
    def test_what_does_not_exist_is_named_before_anything_is_written(
        self, sdata, tmp_path, given, message
    ):
        with pytest.raises(ValueError, match=message):
            written(sdata, tmp_path / "p", **given)
        assert not (tmp_path / "p").exists()

    def test_a_channel_called_like_a_file_of_the_project_is_refused(self, sdata, tmp_path):
        sdata.images["f_2_image"] = Image2DModel.parse(
            np.zeros((1, 3, 4)), dims=("c", "y", "x"), c_coords=["cell_segmentation"]
        )
        with pytest.raises(ValueError, match="called like a file of the project"):
            written(sdata, tmp_path / "p")


class TestOthersProjects:
    def test_those_of_ark_have_no_tables_and_other_masks(self, tmp_path):
        for fov in ("fov0", "fov1"):
            (tmp_path / fov).mkdir()
            for name, dtype in (("CD3", np.float32), ("population_pixel_mask", np.int16)):
                tifffile.imwrite(tmp_path / fov / f"{name}.tiff", np.ones((5, 6), dtype))
            tifffile.imwrite(tmp_path / fov / "cell_segmentation.tiff", np.ones((5, 6), np.int32))
            names = tmp_path / fov / "population_pixel_mask.csv"
            names.write_text("region_id,region_name\n1,stroma\n")
        found = nimbus.io.read_mantis(tmp_path)
        assert found["fov1_image"].c.values.tolist() == ["CD3"]
        assert found["fov1_image"].dtype == np.float32
        assert not found.tables

    def test_a_field_without_segmentation_is_named(self, tmp_path):
        (tmp_path / "fov0").mkdir()
        tifffile.imwrite(tmp_path / "fov0" / "CD3.tiff", np.ones((5, 6), np.uint8))
        with pytest.raises(nimbus.io.ReadError, match=r"'fov0' have no 'cell_segmentation\.tiff'"):
            nimbus.io.read_mantis(tmp_path)

    def test_one_field_and_one_channel_may_be_given_as_text(self, sdata, tmp_path):
        nimbus.io.write_mantis(sdata, tmp_path, cell_type_key="kind", show_progress_bar=False)
        again = nimbus.io.read_mantis(tmp_path, fovs="f_2", channels="CD3 ε")
        assert list(again.images) == ["f_2_image"]
        assert again["f_2_image"].c.values.tolist() == ["CD3 ε"]
        with pytest.raises(ValueError, match="fovs=.*repeats 'f_2'"):
            nimbus.io.read_mantis(tmp_path, fovs=["f_2", "f_2"])

    def test_no_project_at_all(self, tmp_path):
        with pytest.raises(nimbus.io.ReadError, match="holds no folder of TIFF files"):
            nimbus.io.read_mantis(tmp_path)


class TestTypes:
    def test_one_field_has_the_name_of_its_folder(self, tmp_path):
        (tmp_path / "fov7").mkdir()
        path = tmp_path / "fov7" / "populations.csv"
        path.write_text('220,CD4 high\n707,"CD4, CD8"\n220,CD8 high\n')
        found = nimbus.io.read_mantis_types(path)
        assert found.to_numpy().tolist() == [
            ["fov7", 220, "CD4 high"],
            ["fov7", 707, "CD4, CD8"],
            ["fov7", 220, "CD8 high"],
        ]
        assert set(nimbus.io.read_mantis_types(path, fov="x")["fov"]) == {"x"}

    def test_a_field_may_be_called_NA(self, tmp_path):
        path = tmp_path / "p.csv"
        path.write_text("NA,1,None\nNA,2,\n")
        assert nimbus.io.read_mantis_types(path).to_numpy().tolist() == [["NA", 1, "None"]]

    def test_no_population_is_no_error(self, tmp_path):
        path = tmp_path / "p.csv"
        path.write_text("")
        assert len(nimbus.io.read_mantis_types(path)) == 0

    @pytest.mark.parametrize(
        ("text", "message"),
        [("a,b,c,d\n", "has 4 columns"), ("f,x1,T\n", "'x1'"), ("f,1,T\ng,2\n,,,,\n", "no CSV")],
    )
    def test_other_files_are_refused_by_name(self, tmp_path, text, message):
        path = tmp_path / "p.csv"
        path.write_text(text)
        with pytest.raises(nimbus.io.ReadError, match=message) as error:
            nimbus.io.read_mantis_types(path)
        assert "p.csv" in str(error.value)
