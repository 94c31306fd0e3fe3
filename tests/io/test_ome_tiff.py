"""OME-TIFF in one file and in several."""

from __future__ import annotations

import re

import numpy as np
import pytest
import tifffile

from nimbus.io._discover import read_image
from nimbus.io.errors import ReadError
from nimbus.io.ome_tiff import sibling

IMAGE = np.random.default_rng(1).integers(0, 999, (3, 37, 45)).astype(np.uint16)
NAMES = ["DAPI", "CD3 ε", "HLA-DR/DP"]


def _write(path, image=IMAGE, axes="CYX", *, names=NAMES, size=0.5, unit="µm", **options):
    metadata = {
        "axes": axes,
        "Channel": {"Name": names},
        "PhysicalSizeX": size,
        "PhysicalSizeXUnit": unit,
        "PhysicalSizeY": size,
        "PhysicalSizeYUnit": unit,
    }
    tifffile.imwrite(path, image, metadata=metadata, ome=True, **options)
    return path


def _xml(planes, *, size_c=3, names=NAMES, extra=""):
    channels = "".join(f'<Channel Name="{name}" SamplesPerPixel="1"/>' for name in names)
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><OME UUID="urn:uuid:own"{extra}><Image><Pixels '
        f'SizeX="45" SizeY="37" SizeC="{size_c}" SizeZ="1" SizeT="1" PhysicalSizeX="500" '
        f'PhysicalSizeXUnit="nm">{channels}{planes}</Pixels></Image></OME>'
    )


def _plane(channel, file, ifd=0, uuid="urn:uuid:other"):
    return (
        f'<TiffData FirstC="{channel}" IFD="{ifd}" PlaneCount="1">'
        f'<UUID FileName="{file}">{uuid}</UUID></TiffData>'
    )


def test_channels_pixels_and_pixel_size(tmp_path):
    stack = read_image(_write(tmp_path / "fov.ome.tiff", tile=(16, 16), compression="zlib"))

    assert stack.channels == tuple(NAMES)
    assert stack.pixel_size_um == 0.5
    np.testing.assert_array_equal(stack.array.compute(), IMAGE)


@pytest.mark.parametrize(
    ("axes", "shape"),
    [("CYX", (3, 37, 45)), ("TZCYX", (1, 1, 3, 37, 45)), ("CZYX", (3, 1, 37, 45))],
)
def test_single_planes_in_z_and_t_are_passed_over(tmp_path, axes, shape):
    stack = read_image(_write(tmp_path / "fov.ome.tif", IMAGE.reshape(shape), axes))

    assert stack.channels == tuple(NAMES)
    np.testing.assert_array_equal(stack.array.compute(), IMAGE)


def test_interleaved_samples_are_channels(tmp_path):
    path = tmp_path / "fov.ome.tiff"
    options = {"photometric": "minisblack", "planarconfig": "contig"}
    _write(path, np.moveaxis(IMAGE, 0, 2), "YXC", names=["stain"], **options)

    stack = read_image(path)

    assert stack.channels == ("stain_0", "stain_1", "stain_2")
    np.testing.assert_array_equal(stack.array.compute(), IMAGE)


def test_one_plane_is_one_channel(tmp_path):
    stack = read_image(_write(tmp_path / "fov.ome.tiff", IMAGE[0], "YX", names=["DAPI"]))

    assert stack.channels == ("DAPI",)
    np.testing.assert_array_equal(stack.array[0].compute(), IMAGE[0])


@pytest.mark.parametrize(("axes", "message"), [("ZYX", "3 planes in z"), ("TYX", "3 points in")])
def test_stacks_in_z_or_t_are_refused(tmp_path, axes, message):
    path = _write(tmp_path / "fov.ome.tiff", IMAGE, axes, names=["DAPI"])

    with pytest.raises(ReadError, match=rf"fov\.ome\.tiff: has {message}"):
        read_image(path)


def test_of_a_pyramid_the_finest_level_is_read(tmp_path):
    path = tmp_path / "fov.ome.tiff"
    with tifffile.TiffWriter(path, ome=True) as tiff:
        options = {"photometric": "minisblack", "tile": (16, 16)}
        tiff.write(IMAGE, subifds=1, metadata={"axes": "CYX"}, **options)
        tiff.write(IMAGE[:, ::2, ::2], subfiletype=1, **options)

    stack = read_image(path)

    assert stack.channels == ("channel_0", "channel_1", "channel_2")
    np.testing.assert_array_equal(stack.array.compute(), IMAGE)


def test_channels_in_the_order_of_the_xml_and_not_of_the_pages(tmp_path):
    path = tmp_path / "fov.ome.tiff"
    planes = "".join(
        _plane(c, path.name, ifd, "urn:uuid:own") for c, ifd in ((0, 2), (2, 1), (1, 0))
    )
    tifffile.imwrite(
        path, IMAGE, photometric="minisblack", description=_xml(planes).encode(), metadata=None
    )

    np.testing.assert_array_equal(read_image(path).array.compute(), IMAGE[[2, 0, 1]])


def test_a_single_file_may_be_renamed(tmp_path):
    path = tmp_path / "new.ome.tiff"
    planes = "".join(_plane(c, "old.ome.tiff", c, "urn:uuid:own") for c in range(3))
    tifffile.imwrite(
        path, IMAGE, photometric="minisblack", description=_xml(planes).encode(), metadata=None
    )

    np.testing.assert_array_equal(read_image(path).array.compute(), IMAGE)


def _companion(folder, files=("c0.ome.tiff", "c1.ome.tiff", "c2.ome.tiff"), *, write=True):
    planes = "".join(_plane(c, file) for c, file in enumerate(files))
    path = folder / "fov.companion.ome"
    path.write_text(_xml(planes), encoding="utf-8")
    for plane, file in zip(IMAGE, files, strict=True):
        if write:
            tifffile.imwrite(folder / file, plane, metadata=None)
    return path


def test_a_companion_file_places_channels_in_files_of_its_folder(tmp_path):
    stack = read_image(_companion(tmp_path))

    assert stack.channels == tuple(NAMES)
    assert stack.pixel_size_um == 0.5
    np.testing.assert_array_equal(stack.array.compute(), IMAGE)


def test_a_master_tiff_places_channels_in_others(tmp_path):
    path = tmp_path / "fov.ome.tiff"
    planes = _plane(0, path.name, 0, "urn:uuid:own") + _plane(1, "b.tif", 1) + _plane(2, "b.tif", 0)
    tifffile.imwrite(path, IMAGE[0], description=_xml(planes).encode(), metadata=None)
    tifffile.imwrite(tmp_path / "b.tif", IMAGE[:0:-1], photometric="minisblack", metadata=None)

    np.testing.assert_array_equal(read_image(path).array.compute(), IMAGE)


def test_a_tiff_without_content_leads_to_its_companion(tmp_path):
    _companion(tmp_path)
    path = tmp_path / "c1.ome.tiff"
    xml = b'<OME><BinaryOnly MetadataFile="fov.companion.ome" UUID="urn:uuid:own"/></OME>'
    tifffile.imwrite(path, IMAGE[1], description=xml, metadata=None)

    np.testing.assert_array_equal(read_image(path).array.compute(), IMAGE)


@pytest.mark.parametrize(
    "name",
    ["../c2.ome.tiff", "sub/../../c2.ome.tiff", "/tmp/c2.ome.tiff", "C:\\c2.tiff", "..\\c2.tiff"],
)
def test_names_that_leave_the_folder_are_refused(tmp_path, name):
    folder = tmp_path / "images"
    folder.mkdir()
    tifffile.imwrite(tmp_path / "c2.ome.tiff", IMAGE[2], metadata=None)
    path = _companion(folder)
    text = path.read_text(encoding="utf-8").replace('FileName="c2.ome.tiff"', f'FileName="{name}"')
    path.write_text(text, encoding="utf-8")

    with pytest.raises(
        ReadError, match=re.escape(f"fov.companion.ome: its OME-XML names {name!r}")
    ):
        read_image(path)


def test_a_link_that_leaves_the_folder_is_refused(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    path = _companion(folder)
    (folder / "c2.ome.tiff").rename(tmp_path / "elsewhere.tiff")
    (folder / "c2.ome.tiff").symlink_to(tmp_path / "elsewhere.tiff")

    with pytest.raises(ReadError, match=r"'c2\.ome\.tiff', a link that leaves its folder"):
        read_image(path)

    (folder / "c2.ome.tiff").unlink()
    (folder / "sub").mkdir()
    (tmp_path / "elsewhere.tiff").rename(folder / "sub" / "c2.ome.tiff")
    (folder / "c2.ome.tiff").symlink_to(folder / "sub" / "c2.ome.tiff")
    assert sibling(path, "sub/c2.ome.tiff").exists()
    np.testing.assert_array_equal(read_image(path).array.compute(), IMAGE)


def test_a_missing_file_is_named(tmp_path):
    path = _companion(tmp_path)
    (tmp_path / "c1.ome.tiff").unlink()

    with pytest.raises(
        ReadError, match=r"companion\.ome: .* channels in 'c1\.ome\.tiff', which is"
    ):
        read_image(path)


@pytest.mark.parametrize(
    ("planes", "options", "message"),
    [
        (_plane(0, "a.ome.tiff") + _plane(2, "a.ome.tiff"), {}, "no page for channel '1'"),
        ("", {"size_c": 4}, "names page 3 of 'a.ome.tiff', which has 3"),
        ("", {"size_c": 3, "names": NAMES[:2]}, "describes 2 channels, the image has 3"),
    ],
)
def test_xml_and_pages_that_disagree_are_refused(tmp_path, planes, options, message):
    path = tmp_path / "a.ome.tiff"
    description = _xml(planes, **options).encode()
    tifffile.imwrite(path, IMAGE, photometric="minisblack", description=description, metadata=None)

    with pytest.raises(ReadError, match=message):
        read_image(path)


def test_another_size_than_declared_is_refused(tmp_path):
    path = tmp_path / "a.ome.tiff"
    smaller = IMAGE[:, :30]
    description = _xml("").encode()
    tifffile.imwrite(
        path, smaller, photometric="minisblack", description=description, metadata=None
    )

    with pytest.raises(
        ReadError, match=r"declares \(37, 45\) \(y, x\) pixels, page 0 .* \(30, 45\)"
    ):
        read_image(path)


def test_a_pixel_size_that_contradicts_itself_is_unknown_with_a_warning(tmp_path):
    path = _write(tmp_path / "fov.ome.tiff", size=-1.0)

    with pytest.warns(
        UserWarning, match=r"PhysicalSize is not a length; .*give pixel_size= \(--pixel-size\)"
    ):
        assert read_image(path).pixel_size_um is None


def test_of_several_images_the_first_is_read_with_a_warning(tmp_path):
    path = tmp_path / "fov.ome.tiff"
    with tifffile.TiffWriter(path, ome=True) as tiff:
        tiff.write(IMAGE, photometric="minisblack", metadata={"axes": "CYX"})
        tiff.write(IMAGE[:1, :9], photometric="minisblack", metadata={"axes": "CYX"})

    with pytest.warns(UserWarning, match="holds 2 images, of which the first is read"):
        stack = read_image(path)
    np.testing.assert_array_equal(stack.array.compute(), IMAGE)
