"""read_fovs: which fields there are, how they are paired, and what the SpatialData holds."""

from __future__ import annotations

import pickle
import re
import warnings

import numpy as np
import pytest
import tifffile
from spatialdata import read_zarr
from spatialdata.models import get_channel_names
from spatialdata.transformations import get_transformation

from nimbus.io import ReadError, read_fovs

SHAPE = (24, 31)
RNG = np.random.default_rng(4)


def _plane():
    return RNG.integers(0, 250, SHAPE).astype(np.uint8)


def _folder(root, fov, channels=("CD3", "CD8")):
    (root / "images" / fov).mkdir(parents=True, exist_ok=True)
    for channel in channels:
        tifffile.imwrite(root / "images" / fov / f"{channel}.tiff", _plane())


def _ome(root, name, channels=("CD3", "CD8"), **metadata):
    (root / "images").mkdir(exist_ok=True)
    tifffile.imwrite(
        root / "images" / name,
        np.stack([_plane() for _ in channels]),
        ome=True,
        photometric="minisblack",
        metadata={"axes": "CYX", "Channel": {"Name": list(channels)}, **metadata},
    )


def _labels(root, *fovs, shape=SHAPE, pattern="{}_whole_cell.tiff"):
    (root / "masks").mkdir(exist_ok=True)
    for fov in fovs:
        labels = np.zeros(shape, np.uint16)
        labels[3:6, 4:8] = 300
        path = root / "masks" / pattern.format(fov)
        path.parent.mkdir(exist_ok=True)
        tifffile.imwrite(path, labels)


def _read(root, **options):
    return read_fovs(root / "images", root / "masks", **options)


def test_folders_and_files_side_by_side_with_a_panel_each(tmp_path):
    _folder(tmp_path, "fov1", ["CD3", "Pan Keratin", "HLA-DR β"])
    _ome(tmp_path, "fov2.ome.tiff", ["DAPI", "CD3"], PhysicalSizeX=0.5, PhysicalSizeY=0.5)
    _labels(tmp_path, "fov1", "fov2")
    for name in (".DS_Store", "._fov2.ome.tiff", "._fov2_whole_cell.tiff", "Thumbs.db"):
        (tmp_path / "images" / name).write_bytes(b"x")
        (tmp_path / "masks" / name).write_bytes(b"x")
    (tmp_path / "images" / "empty").mkdir()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sdata = _read(tmp_path)

    assert sorted(sdata.images) == ["fov1_image", "fov2_image"]
    assert sorted(sdata.labels) == ["fov1_labels", "fov2_labels"]
    assert list(get_channel_names(sdata["fov1_image"])) == ["CD3", "HLA-DR β", "Pan Keratin"]
    assert list(get_channel_names(sdata["fov2_image"])) == ["DAPI", "CD3"]
    assert sdata.attrs["nimbus_units"] == {"fov2": "micrometer"}
    to_um = get_transformation(sdata["fov2_labels"], to_coordinate_system="fov2")
    np.testing.assert_allclose(
        np.diag(to_um.to_affine_matrix(("x", "y"), ("x", "y"))), [0.5, 0.5, 1]
    )
    written = tifffile.imread(tmp_path / "images" / "fov2.ome.tiff")
    np.testing.assert_array_equal(sdata["fov2_image"].data.compute(), written)
    assert set(np.unique(sdata["fov1_labels"].data.compute())) == {0, 300}


def test_nothing_is_decoded_when_opened(tmp_path, monkeypatch):
    def refuse(*_):
        raise AssertionError("decoded")

    _folder(tmp_path, "a")
    _labels(tmp_path, "a")
    monkeypatch.setattr("nimbus.io._lazy.read_box", refuse)

    sdata = _read(tmp_path)

    with pytest.raises(AssertionError, match="decoded"):
        sdata["a_labels"].data.compute()


def test_elements_go_to_another_process(tmp_path):
    _ome(tmp_path, "a.ome.tiff")
    _labels(tmp_path, "a")
    sdata = _read(tmp_path)

    copy = pickle.loads(pickle.dumps(sdata["a_image"].data))

    np.testing.assert_array_equal(copy.compute(), sdata["a_image"].data.compute())


def test_what_was_read_survives_writing_and_reading_as_zarr(tmp_path):
    _folder(tmp_path, "a")
    _labels(tmp_path, "a")
    sdata = _read(tmp_path, pixel_size=0.4)

    sdata.write(tmp_path / "a.zarr")

    again = read_zarr(tmp_path / "a.zarr")
    np.testing.assert_array_equal(again["a_image"].values, sdata["a_image"].values)
    assert again.attrs["nimbus_units"] == {"a": "micrometer"}


@pytest.mark.parametrize("given", [0.4, None])
def test_pixel_size_given_counts_more_than_that_of_the_file(tmp_path, given):
    _ome(tmp_path, "a.ome.tiff", PhysicalSizeX=500, PhysicalSizeXUnit="nm")
    _labels(tmp_path, "a")

    sdata = _read(tmp_path, pixel_size=given)

    matrix = get_transformation(sdata["a_image"], "a").to_affine_matrix(("x", "y"), ("x", "y"))
    np.testing.assert_allclose(np.diag(matrix), [given or 0.5, given or 0.5, 1])


def test_an_unlikely_pixel_size_is_warned_of(tmp_path):
    for name in ("a", "b"):
        _ome(tmp_path, f"{name}.ome.tiff", PhysicalSizeX=500, PhysicalSizeXUnit="µm")
        _labels(tmp_path, name)

    with pytest.warns(UserWarning, match=r"500 um in 'a', 'b'; .*pixel_size= \(--pixel-size\)"):
        _read(tmp_path)
    with pytest.raises(ValueError, match=r"pixel_size=-0\.5 is not a length"):
        _read(tmp_path, pixel_size=-0.5)


def test_the_folder_of_one_field_is_refused_with_the_folder_to_give(tmp_path):
    _folder(tmp_path, "a")
    _labels(tmp_path, "a")

    with pytest.raises(ReadError, match=r"without image: 'a'. None has both: give the folder"):
        read_fovs(tmp_path / "images" / "a", tmp_path / "masks")


def test_images_without_labels_and_labels_without_images_are_both_listed(tmp_path):
    _folder(tmp_path, "a")
    _folder(tmp_path, "b")
    _labels(tmp_path, "b", "c")

    message = "Without labels: 'a'; without image: 'c'. Choose fields that have both with fovs="
    with pytest.raises(ReadError, match=re.escape(message)):
        _read(tmp_path)
    assert list(_read(tmp_path, fovs=["b"]).images) == ["b_image"]
    assert list(_read(tmp_path, fovs="b").images) == ["b_image"]
    (tmp_path / "images" / "a").rename(tmp_path / "a")
    with pytest.raises(ReadError, match="Without labels: none; without image: 'c'"):
        _read(tmp_path)
    (tmp_path / "a").rename(tmp_path / "images" / "a")
    with pytest.raises(
        ValueError, match="field among the labels 'a' does not exist; there is: 'b'"
    ):
        _read(tmp_path, fovs=["a"])
    with pytest.raises(ValueError, match="field among the images 'c' does not exist"):
        _read(tmp_path, fovs=["c"])
    with pytest.raises(ValueError, match="is empty"):
        _read(tmp_path, fovs=[])


def test_images_alone(tmp_path):
    _folder(tmp_path, "a")

    sdata = read_fovs(tmp_path / "images", None)

    assert list(sdata.images) == ["a_image"]
    assert not sdata.labels


def test_other_patterns(tmp_path):
    _folder(tmp_path, "a.1")
    _labels(tmp_path, "a.1", pattern="{0}/{0}[cells].tif")
    (tmp_path / "masks" / "a.1" / "._a.1[cells].tif").write_bytes(b"x")

    assert list(_read(tmp_path, pattern="{fov}/{fov}[cells].tif").labels) == ["a.1_labels"]
    with pytest.raises(
        ReadError, match=r"no file fits pattern='\{fov\}_cell.tif'; there is: 'a.1'"
    ):
        _read(tmp_path, pattern="{fov}_cell.tif")
    for bad in ("cells.tif", "../{fov}.tif", "/data/{fov}.tif"):
        with pytest.raises(ValueError, match=r"must hold '\{fov\}'"):
            _read(tmp_path, pattern=bad)


def test_images_and_labels_in_one_folder(tmp_path):
    _ome(tmp_path, "a.tiff")
    _labels(tmp_path, "a")
    (tmp_path / "masks" / "a_whole_cell.tiff").rename(tmp_path / "images" / "a_whole_cell.tiff")

    assert list(read_fovs(tmp_path / "images", tmp_path / "images").images) == ["a_image"]


def test_absent_and_empty_folders_are_named(tmp_path):
    _folder(tmp_path, "a")
    with pytest.raises(FileNotFoundError, match=r"masks' does not exist"):
        _read(tmp_path)
    (tmp_path / "masks").mkdir()
    with pytest.raises(
        ReadError, match=r"no file fits pattern='\{fov\}_whole_cell.tiff'; there is: none"
    ):
        _read(tmp_path)
    _labels(tmp_path, "a")
    with pytest.raises(FileNotFoundError, match=r"elsewhere' does not exist"):
        read_fovs(tmp_path / "elsewhere", tmp_path / "masks")
    with pytest.raises(NotADirectoryError, match="is a file, not a folder"):
        read_fovs(tmp_path / "masks" / "a_whole_cell.tiff", tmp_path / "masks")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ReadError, match="holds no field: neither folders of one TIFF per channel"):
        read_fovs(tmp_path / "empty", tmp_path / "masks")


def test_two_images_of_one_field_are_an_error(tmp_path):
    _folder(tmp_path, "a")
    _ome(tmp_path, "a.ome.tiff")
    _ome(tmp_path, "b.tif")
    _labels(tmp_path, "a", "b")

    with pytest.raises(ReadError, match=r"field 'a' has several images, '.*a', '.*a.ome.tiff'"):
        _read(tmp_path)
    assert list(_read(tmp_path, fovs=["b"]).images) == ["b_image"]


def test_another_extent_of_the_labels_is_an_error_with_both(tmp_path):
    _folder(tmp_path, "a")
    _labels(tmp_path, "a", shape=(24, 30))

    message = (
        r"a_whole_cell.tiff: labels have \(24, 30\) \(y, x\) pixels, the image .*a has \(24, 31\)"
    )
    with pytest.raises(ReadError, match=message):
        _read(tmp_path)


def test_chosen_channels_in_their_order_from_fields_that_have_them(tmp_path):
    _folder(tmp_path, "a", ["CD3", "CD8", "DAPI"])
    _ome(tmp_path, "b.ome.tiff", ["DAPI", "CD20", "CD3"])
    _labels(tmp_path, "a", "b")

    sdata = _read(tmp_path, channels=["CD20", "DAPI"])

    assert list(get_channel_names(sdata["a_image"])) == ["DAPI"]
    assert list(get_channel_names(sdata["b_image"])) == ["CD20", "DAPI"]
    written = tifffile.imread(tmp_path / "images" / "b.ome.tiff")
    np.testing.assert_array_equal(sdata["b_image"].data.compute(), written[[1, 0]])
    with pytest.raises(ValueError, match="channel 'CD2' does not exist; did you mean 'CD20'"):
        _read(tmp_path, channels=["CD2"])
    with pytest.raises(
        ReadError, match="images/a: has none of the channels 'CD20'; there is: 'CD3'"
    ):
        _read(tmp_path, channels=["CD20"])
    with pytest.raises(ValueError, match="repeats 'CD3'"):
        _read(tmp_path, channels=["CD3", "CD3"])


def test_two_channels_of_one_name_are_an_error_unless_not_chosen(tmp_path):
    _ome(tmp_path, "a.ome.tiff", ["blank", "CD3", "blank"])
    _labels(tmp_path, "a")

    with pytest.raises(ReadError, match=r"a\.ome\.tiff: several channels are called 'blank'"):
        _read(tmp_path)
    assert list(get_channel_names(_read(tmp_path, channels=["CD3"])["a_image"])) == ["CD3"]


def test_names_that_spatialdata_does_not_allow_are_changed_and_kept(tmp_path, caplog):
    _folder(tmp_path, "ROI 1 (β)")
    _labels(tmp_path, "ROI 1 (β)")

    with caplog.at_level("INFO", logger="nimbus"):
        sdata = _read(tmp_path)

    assert list(sdata.images) == ["ROI_1_____image"]
    assert sdata.attrs["nimbus_fovs"] == {"ROI_1____": "ROI 1 (β)"}
    assert "ROI 1 (β)" in caplog.text


def test_names_that_become_equal_are_an_error(tmp_path):
    for fov in ("roi 1", "ROI_1"):
        _folder(tmp_path, fov)
        _labels(tmp_path, fov)

    with pytest.raises(ReadError, match="fields 'ROI_1' and 'roi 1' would both be called 'roi_1'"):
        _read(tmp_path)


def test_an_image_in_several_files_is_one_field(tmp_path):
    (tmp_path / "images").mkdir()
    planes = "".join(
        f'<TiffData FirstC="{i}" IFD="0"><UUID FileName="{name}">urn:uuid:{name}</UUID></TiffData>'
        for i, name in enumerate(["s_c0.tif", "s_c1.tif"])
    )
    pixels = f'<Pixels SizeX="{SHAPE[1]}" SizeY="{SHAPE[0]}" SizeC="2">{planes}</Pixels>'
    for name in ("s_c0.tif", "s_c1.tif"):
        tifffile.imwrite(
            tmp_path / "images" / name,
            _plane(),
            description=f'<OME UUID="urn:uuid:{name}"><Image>{pixels}</Image></OME>',
            metadata=None,
        )
    _labels(tmp_path, "s_c1")
    assert list(_read(tmp_path).images) == ["s_c1_image"], "called like the labels"

    (tmp_path / "images" / "s.companion.ome").write_text(f"<OME><Image>{pixels}</Image></OME>")
    (tmp_path / "masks" / "s_c1_whole_cell.tiff").rename(tmp_path / "masks" / "s_whole_cell.tiff")
    sdata = _read(tmp_path)
    assert list(sdata.images) == ["s_image"]
    assert sdata["s_image"].shape == (2, *SHAPE)


def test_a_damaged_file_is_named_only_if_its_field_is_wanted(tmp_path):
    for name in ("a", "b"):
        _ome(tmp_path, f"{name}.ome.tiff")
        _labels(tmp_path, name)
    damaged = tmp_path / "images" / "b.ome.tiff"
    damaged.write_bytes(damaged.read_bytes()[:6])

    with pytest.raises(ReadError, match=r"b\.ome\.tiff"):
        _read(tmp_path)
    assert list(_read(tmp_path, fovs=["a"]).images) == ["a_image"]
