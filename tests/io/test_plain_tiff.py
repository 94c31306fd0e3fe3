"""TIFF without OME-XML."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from nimbus.io.errors import ReadError
from nimbus.io.plain_tiff import read_tiff

IMAGE = np.random.default_rng(2).integers(0, 999, (3, 17, 26)).astype(np.uint16)
ROWS = np.moveaxis(IMAGE, 0, 2)


def _check(path, *, channels=("channel_0", "channel_1", "channel_2"), image=IMAGE):
    stack = read_tiff(path)
    assert stack.channels == channels
    np.testing.assert_array_equal(stack.array.compute(), image)
    return stack


def test_pages_are_channels(tmp_path):
    tifffile.imwrite(tmp_path / "a.tiff", IMAGE, photometric="minisblack")
    tifffile.imwrite(tmp_path / "b.tiff", IMAGE[:, None, None], photometric="minisblack")
    tifffile.imwrite(tmp_path / "c.tiff", IMAGE, photometric="minisblack", metadata=None)

    for name in ("a", "b", "c"):
        _check(tmp_path / f"{name}.tiff")


def test_axes_yxc_interleaved_and_as_rows(tmp_path):
    options = {"metadata": {"axes": "YXC"}, "photometric": "minisblack"}
    tifffile.imwrite(tmp_path / "rows.tiff", ROWS, compression="zlib", **options)
    with tifffile.TiffFile(tmp_path / "rows.tiff") as tiff:
        assert len(tiff.pages) == 17, "proves nothing: tifffile writes one page"
    tifffile.imwrite(tmp_path / "samples.tiff", ROWS, planarconfig="contig", **options)

    _check(tmp_path / "rows.tiff")
    _check(tmp_path / "samples.tiff")


def test_imagej_labels_and_calibration(tmp_path):
    tifffile.imwrite(
        tmp_path / "a.tif",
        IMAGE,
        imagej=True,
        resolution=(4, 4),
        metadata={"axes": "CYX", "unit": "um", "Labels": ["DAPI", "CD3", "CD8"]},
    )

    assert _check(tmp_path / "a.tif", channels=("DAPI", "CD3", "CD8")).pixel_size_um == 0.25


def test_dots_per_inch_are_no_pixel_size(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", IMAGE[0], resolution=(72, 72), resolutionunit="INCH")

    assert read_tiff(tmp_path / "a.tif").pixel_size_um is None


def test_names_of_pages_if_they_differ(tmp_path):
    for names in (["DAPI", "CD3", "CD8"], ["page", "page", "page"]):
        with tifffile.TiffWriter(tmp_path / "a.tif") as tiff:
            for plane, name in zip(IMAGE, names, strict=True):
                tiff.write(plane, extratags=[(285, "s", 0, name, True)], metadata=None)
        distinct = len(set(names)) == 3
        _check(
            tmp_path / "a.tif",
            channels=tuple(names) if distinct else ("channel_0", "channel_1", "channel_2"),
        )


@pytest.mark.parametrize("options", [{}, {"imagej": True, "metadata": {"axes": "CYX"}}])
def test_planes_of_one_block_under_a_single_directory(tmp_path, options):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, IMAGE, photometric="minisblack", truncate=True, **options)
    with tifffile.TiffFile(path) as tiff:
        assert len(tiff.pages) == 1, "proves nothing: a directory per plane"

    _check(path)
    path.write_bytes(path.read_bytes()[:-900])
    with pytest.raises(ReadError, match="cut off"):
        read_tiff(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"imagej": True, "metadata": {"axes": "ZYX"}}, "3 slices in z"),
        ({"imagej": True, "metadata": {"axes": "TYX"}}, "3 frames in time"),
        ({"metadata": {"axes": "ZYX"}}, "3 slices in z"),
    ],
)
def test_stacks_in_z_or_t_are_refused(tmp_path, options, message):
    tifffile.imwrite(tmp_path / "a.tif", IMAGE, photometric="minisblack", **options)

    with pytest.raises(ReadError, match=f"a.tif: has {message}; nimbus reads 2D"):
        read_tiff(tmp_path / "a.tif")


def test_smaller_copies_are_passed_over_and_other_sizes_refused(tmp_path):
    path = tmp_path / "a.tif"
    for subfiletype in (1, 0):
        with tifffile.TiffWriter(path) as tiff:
            tiff.write(IMAGE, photometric="minisblack", metadata=None)
            tiff.write(IMAGE[0, :5, :5], subfiletype=subfiletype, metadata=None)
        if subfiletype:
            _check(path)
    with pytest.raises(ReadError, match=r"page 0 has \(17, 26\) \(y, x\) .* page 3 \(5, 5\)"):
        read_tiff(path)
