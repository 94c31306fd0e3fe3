"""Folders of one TIFF per channel."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from nimbus.io.errors import ReadError
from nimbus.io.tiff_folder import read_folder

PLANES = np.random.default_rng(3).integers(0, 200, (3, 11, 13)).astype(np.uint8)


def _write(folder, names):
    for name, plane in zip(names, PLANES, strict=False):
        tifffile.imwrite(folder / name, plane)


def test_each_file_is_a_channel_of_its_name(tmp_path):
    _write(tmp_path, ["HLA-DR (β chain).tiff", "CD3.tif", "CD45.RA.TIFF"])

    stack = read_folder(tmp_path)

    assert stack.channels == ("CD3", "CD45.RA", "HLA-DR (β chain)")
    np.testing.assert_array_equal(stack.array.compute(), PLANES[[1, 2, 0]])


def test_what_systems_and_people_leave_behind_is_passed_over(tmp_path):
    _write(tmp_path, ["CD3.tiff"])
    for name in (".DS_Store", "._CD3.tiff", ".hidden.tiff", "Thumbs.db", "notes.txt", "CD8.png"):
        (tmp_path / name).write_bytes(b"no TIFF")
    (tmp_path / "old.tiff").mkdir()

    assert read_folder(tmp_path).channels == ("CD3",)


def test_types_may_differ_between_files(tmp_path):
    tifffile.imwrite(tmp_path / "a.tiff", PLANES[0])
    tifffile.imwrite(tmp_path / "b.tiff", PLANES[1].astype(np.float32) / 3)

    array = read_folder(tmp_path).array

    assert array.dtype == np.float32
    np.testing.assert_array_equal(array[1].compute(), PLANES[1].astype(np.float32) / 3)


def test_another_size_is_an_error_that_names_both_files(tmp_path):
    _write(tmp_path, ["CD3.tiff", "CD8.tiff"])
    tifffile.imwrite(tmp_path / "CD9.tiff", PLANES[0, :9])

    with pytest.raises(ReadError, match=r"'CD3.tiff' has \(11, 13\) .* 'CD9.tiff' has \(9, 13\)"):
        read_folder(tmp_path)


def test_two_files_of_one_channel_are_an_error(tmp_path):
    _write(tmp_path, ["CD3.tiff", "CD3.ome.tif"])

    with pytest.raises(ReadError, match=r"'CD3.ome.tif' and 'CD3.tiff' hold one channel"):
        read_folder(tmp_path)


def test_a_file_of_several_channels_is_an_error(tmp_path):
    _write(tmp_path, ["CD3.tiff"])
    tifffile.imwrite(tmp_path / "all.tiff", PLANES, photometric="minisblack")

    with pytest.raises(ReadError, match=r"all\.tiff: holds 3 channels \('channel_0', "):
        read_folder(tmp_path)


def test_a_folder_without_tiffs_is_an_error(tmp_path):
    with pytest.raises(ReadError, match="holds no TIFF file"):
        read_folder(tmp_path)


@pytest.mark.parametrize(("other", "expected"), [(0.5, 0.5), (0.25, None)])
def test_pixel_sizes_of_the_files_must_agree(tmp_path, other, expected):
    for name, size in (("a.ome.tiff", 0.5), ("b.ome.tiff", other)):
        metadata = {"axes": "YX", "PhysicalSizeX": size, "PhysicalSizeY": size}
        tifffile.imwrite(tmp_path / name, PLANES[0], metadata=metadata)
    _write(tmp_path, ["c.tiff"])

    if expected:
        assert read_folder(tmp_path).pixel_size_um == expected
    else:
        with pytest.raises(ReadError, match=r"differ: 0.25 um in 'b.ome.tiff', 0.5 um in 'a.ome"):
            read_folder(tmp_path)


def test_a_folder_that_holds_one_image_in_several_files(tmp_path):
    def xml(own):
        planes = "".join(
            f'<TiffData FirstC="{i}" IFD="0"><UUID FileName="ch{i}.ome.tif">urn:uuid:{i}</UUID>'
            "</TiffData>"
            for i in range(3)
        )
        return (
            f'<OME UUID="urn:uuid:{own}"><Image><Pixels SizeX="13" SizeY="11" SizeC="3">'
            f'<Channel Name="DAPI"/><Channel Name="CD3"/><Channel Name="CD8"/>{planes}</Pixels>'
            "</Image></OME>"
        ).encode()

    for i, plane in enumerate(PLANES):
        tifffile.imwrite(tmp_path / f"ch{i}.ome.tif", plane, description=xml(i), metadata=None)

    stack = read_folder(tmp_path)

    assert stack.channels == ("DAPI", "CD3", "CD8")
    np.testing.assert_array_equal(stack.array.compute(), PLANES)
    _write(tmp_path, ["extra.tiff"])
    with pytest.raises(ReadError, match=r"others beside it: 'extra\.tiff'"):
        read_folder(tmp_path)
