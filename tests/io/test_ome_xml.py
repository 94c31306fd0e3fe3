"""OME-XML is read for what it says, and never expanded, followed or trusted."""

from __future__ import annotations

import pytest

from nimbus.io.errors import ReadError
from nimbus.io.ome_xml import TiffData, is_ome_xml, parse_ome_xml

PIXELS = 'SizeX="7" SizeY="5" SizeC="2" SizeZ="1" SizeT="1"'


def _parsed(attributes=PIXELS, inside="", *, prolog="", namespace="", after=""):
    text = (
        f'{prolog}<OME {namespace} UUID="urn:uuid:1"><Image><Pixels {attributes}>{inside}</Pixels>'
        f"</Image>{after}</OME>"
    )
    return parse_ome_xml(text, source="a.ome.tiff")


def test_size_names_and_namespace():
    inside = '<Channel Name="HLA-DR (β)"/><Channel ID="c1" SamplesPerPixel="1"/>'
    for namespace in (
        "",
        'xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"',
        'xmlns="http://www.openmicroscopy.org/Schemas/OME/2012-06"',
    ):
        image = _parsed(inside=inside, namespace=namespace).image
        assert image.shape == (2, 5, 7)
        assert image.channels == (("HLA-DR (β)", 1), ("", 1))


@pytest.mark.parametrize(
    ("size", "unit", "expected"),
    [
        ("0.325", None, 0.325),
        ("0.325", "µm", 0.325),
        ("0.325", "μm", 0.325),
        ("0.325", "um", 0.325),
        ("325", "nm", 0.325),
        ("0.000325", "mm", 0.325),
        ("3.25e-7", "m", 0.325),
        ("1", "pixel", None),
        ("1", "reference frame", None),
        (None, None, None),
    ],
)
def test_pixel_size_in_micrometres(size, unit, expected):
    sides = "".join(
        f' PhysicalSize{axis}="{size}"' + (f' PhysicalSize{axis}Unit="{unit}"' if unit else "")
        for axis in "XY"
        if size
    )

    assert _parsed(PIXELS + sides).image.pixel_size_um() == pytest.approx(expected)


@pytest.mark.parametrize("size", ["0", "-1", "nan", "inf", "1e999", "half"])
def test_a_pixel_size_that_is_no_length_is_an_error(size):
    image = _parsed(f'{PIXELS} PhysicalSizeX="{size}"').image

    with pytest.raises(ValueError, match="not a length"):
        image.pixel_size_um()


def test_pixels_that_are_not_square_have_no_size():
    sides = '{} PhysicalSizeX="0.5" PhysicalSizeY="{}"'

    assert _parsed(sides.format(PIXELS, "0.5001")).image.pixel_size_um() == 0.5
    with pytest.raises(ValueError, match=r"not square, 0\.5 x 0\.65 um"):
        _parsed(sides.format(PIXELS, "0.65")).image.pixel_size_um()


def test_where_planes_lie():
    inside = (
        '<TiffData FirstC="1" IFD="3"><UUID FileName="b.ome.tiff">urn:uuid:2</UUID></TiffData>'
        '<TiffData PlaneCount="2"><UUID FileName="old.ome.tiff">urn:uuid:1</UUID></TiffData>'
    )

    document = _parsed(inside=inside)

    assert document.image.tiff_data == (
        TiffData(3, 1, None, "b.ome.tiff", "urn:uuid:2"),
        TiffData(None, 0, 2, "old.ome.tiff", "urn:uuid:1"),
    )
    assert document.files() == ("b.ome.tiff",), "its own identity is no other file"


@pytest.mark.parametrize(
    "prolog",
    [
        '<!DOCTYPE OME SYSTEM "http://localhost/x.dtd">',
        '<!DOCTYPE OME [<!ENTITY a "b">]>',
        '<!DOCTYPE OME [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
        '<!DOCTYPE lolz [<!ENTITY l "ha"><!ENTITY m "&l;&l;&l;&l;"><!ENTITY n "&m;&m;&m;&m;">]>',
    ],
)
def test_document_types_and_entities_are_refused(prolog):
    with pytest.raises(ReadError, match=r"a\.ome\.tiff: its OME-XML has a document type"):
        _parsed(prolog=prolog)


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        (PIXELS.replace('SizeZ="1"', 'SizeZ="4"'), "has 4 planes in z; nimbus reads 2D"),
        (PIXELS.replace('SizeT="1"', 'SizeT="3"'), "has 3 points in time"),
        (PIXELS.replace('SizeC="2"', 'SizeC="-2"'), "SizeC='-2'"),
        (PIXELS.replace('SizeC="2"', 'SizeC="two"'), "SizeC='two'"),
        (PIXELS.replace('SizeC="2"', 'SizeC="999999999"'), "declares the size"),
        (PIXELS.replace('SizeX="7"', 'SizeX="0"'), "declares the size"),
        (PIXELS.replace('SizeX="7"', ""), "SizeX=None"),
    ],
)
def test_sizes_that_cannot_be_read_are_named(attributes, message):
    with pytest.raises(ReadError, match=message):
        _parsed(attributes)


@pytest.mark.parametrize("text", ["", "<OME>", "<OME><Image/></OME>", b"\xff\xfe<OME/>", "<OME/>x"])
def test_damaged_xml_is_named(text):
    with pytest.raises(ReadError, match=r"b\.companion\.ome"):
        parse_ome_xml(text, source="b.companion.ome")


def test_zero_at_the_end_and_missing_z_and_t_pass():
    text = '<OME><Image><Pixels SizeX="2" SizeY="3" SizeC="1"/></Image></OME>\0\0'

    assert parse_ome_xml(text, source="a").image.shape == (1, 3, 2)


def test_other_descriptions_are_not_taken_for_ome():
    assert is_ome_xml('<?xml version="1.0"?>\n<!-- note -->\n<ome:OME xmlns:ome="x">')
    assert not is_ome_xml('{"shape": [2, 3]}')
    assert not is_ome_xml("<PerkinElmer-QPI-ImageDescription>")
