"""What an OME-XML says about the first image of its file; read without entities or look-ups."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import isfinite, isnan, nan
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from .errors import read_error

MAX_CHANNELS = 10_000
"""More than this is taken as damage: it would only cost memory."""

_SQUARE = 0.01  # relative difference between the sides of a pixel that passes as rounding
_UM = {  # micrometres; names of the OME schema, and spellings seen in files
    "pm": 1e-6, "Å": 1e-4, "nm": 1e-3, "µm": 1.0, "μm": 1.0, "um": 1.0, "micron": 1.0,
    "microns": 1.0, "micrometer": 1.0, "micrometre": 1.0, "mm": 1e3, "cm": 1e4, "dm": 1e5,
    "m": 1e6, "in": 25_400.0, "inch": 25_400.0,
}  # fmt: skip
_NO_LENGTH = {"pixel", "pixels", "px", "reference frame"}


@dataclass(frozen=True, slots=True)
class TiffData:
    """Where consecutive planes lie.

    Parameters
    ----------
    ifd
        Page of the first; ``None`` where it is not said (then 0, and all planes follow).
    first_channel
        Channel of the first.
    count
        How many; ``None`` where it is not said.
    file, uuid
        The file that holds them, by name and by identity; "" where it is the same file.
    """

    ifd: int | None
    first_channel: int
    count: int | None
    file: str
    uuid: str


@dataclass(frozen=True, slots=True)
class OmeImage:
    """The first image of a document.

    Parameters
    ----------
    shape
        ``(c, y, x)``.
    channels
        Name and number of samples of each ``Channel`` element.
    sides_um
        Sides of a pixel ``(x, y)``; ``None`` where not stated, ``nan`` where that is no length.
    tiff_data
        Where the planes lie; empty where all lie in order in the same file.
    """

    shape: tuple[int, int, int]
    channels: tuple[tuple[str, int], ...]
    sides_um: tuple[float | None, float | None]
    tiff_data: tuple[TiffData, ...]

    def pixel_size_um(self) -> float | None:
        """Side of a pixel.

        Raises
        ------
        ValueError
            What is stated is no length, or not the same in x and y.
        """
        stated = [side for side in self.sides_um if side is not None]
        if any(isnan(side) for side in stated):
            raise ValueError("its PhysicalSize is not a length")
        if stated and max(stated) > (1 + _SQUARE) * min(stated):
            raise ValueError(f"its pixels are not square, {stated[0]:g} x {stated[1]:g} um (x, y)")
        return stated[0] if stated else None


@dataclass(frozen=True, slots=True)
class OmeDocument:
    """An OME-XML document.

    Parameters
    ----------
    uuid
        Identity of the file that holds it; "" where not said.
    metadata_file
        Name of the companion file that has the content, for a document without any.
    image
        The first image; ``None`` where there is none.
    n_images
        How many there are.
    """

    uuid: str
    metadata_file: str
    image: OmeImage | None
    n_images: int

    def files(self) -> tuple[str, ...]:
        """Names of the other files that hold planes, in order of mention."""
        if self.image is None:
            return ()
        others = (d.file for d in self.image.tiff_data if not self.uuid or d.uuid != self.uuid)
        return tuple(dict.fromkeys(name for name in others if name))


def is_ome_xml(text: str) -> bool:
    """Whether an image description is meant as OME-XML.

    Examples
    --------
    >>> is_ome_xml('<?xml version="1.0"?><OME xmlns="...">'), is_ome_xml("ImageJ=1.53")
    (True, False)
    """
    return re.search(r"<(\w+:)?OME[\s>]", text[:10_000]) is not None


def parse_ome_xml(text: str | bytes, *, source: str) -> OmeDocument:
    """The document's first image, its channels and where their planes lie.

    Parameters
    ----------
    text
        OME-XML.
    source
        File it is from, for messages.

    Raises
    ------
    ReadError
        Not well-formed, with a document type or entities, a stack in z or t, or numbers that
        cannot be right.

    Examples
    --------
    >>> document = parse_ome_xml(
    ...     '<OME><Image><Pixels SizeX="4" SizeY="3" SizeC="1" SizeZ="1" SizeT="1"'
    ...     ' PhysicalSizeX="500" PhysicalSizeXUnit="nm"><Channel Name="CD3"/>'
    ...     '</Pixels></Image></OME>',
    ...     source="fov1.ome.tiff",
    ... )
    >>> document.image.shape, document.image.channels, document.image.pixel_size_um()
    ((1, 3, 4), (('CD3', 1),), 0.5)
    """
    root = _tree(text, source)
    images = list(_children(root, "Image"))
    binary = next(_children(root, "BinaryOnly"), None)
    return OmeDocument(
        uuid=root.get("UUID", ""),
        metadata_file="" if binary is None else binary.get("MetadataFile", ""),
        image=_image(images[0], source) if images else None,
        n_images=len(images),
    )


def _tree(text: str | bytes, source: str) -> Element:
    """Elements of the document; their names without namespace.

    A document type could define entities that swell or fetch files; no OME-XML needs one.
    """
    builder = TreeBuilder()
    parser = expat.ParserCreate(namespace_separator="}")
    parser.StartElementHandler = lambda name, attrs: builder.start(_local(name), attrs)
    parser.EndElementHandler = lambda name: builder.end(_local(name))
    parser.CharacterDataHandler = builder.data

    def refuse(*_: object) -> None:
        raise read_error(source, "its OME-XML has a document type, which is refused")

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(text.strip("\0 \n\r\t") if isinstance(text, str) else text, True)
    except (expat.ExpatError, UnicodeError, LookupError) as error:
        raise read_error(source, f"its OME-XML is damaged ({error})") from error
    return builder.close()


def _image(image: Element, source: str) -> OmeImage:
    pixels = next(_children(image, "Pixels"), None)
    if pixels is None:
        raise read_error(source, "its OME-XML has an Image without Pixels")
    for axis, name in (("Z", "planes in z"), ("T", "points in time")):
        if (n := _number(pixels, f"Size{axis}", source, 1)) != 1:
            raise read_error(
                source, f"has {n} {name}; nimbus reads 2D images: choose one or project the stack"
            )
    shape = tuple(_number(pixels, f"Size{axis}", source) for axis in "CYX")
    if not 1 <= shape[0] <= MAX_CHANNELS or min(shape) < 1:
        raise read_error(source, f"its OME-XML declares the size {shape} (c, y, x)")
    return OmeImage(
        shape=(shape[0], shape[1], shape[2]),
        channels=tuple(
            (channel.get("Name", "").strip(), _number(channel, "SamplesPerPixel", source, 1))
            for channel in _children(pixels, "Channel")
        ),
        sides_um=(_side_um(pixels, "X"), _side_um(pixels, "Y")),
        tiff_data=tuple(_tiff_data(entry, source) for entry in _children(pixels, "TiffData")),
    )


def _tiff_data(entry: Element, source: str) -> TiffData:
    uuid = next(_children(entry, "UUID"), None)
    for axis in ("FirstZ", "FirstT"):
        if _number(entry, axis, source, 0):
            raise read_error(source, f"its OME-XML places a plane at {axis}={entry.get(axis)}")
    return TiffData(
        ifd=_number(entry, "IFD", source) if "IFD" in entry.attrib else None,
        first_channel=_number(entry, "FirstC", source, 0),
        count=_number(entry, "PlaneCount", source) if "PlaneCount" in entry.attrib else None,
        file="" if uuid is None else uuid.get("FileName", ""),
        uuid="" if uuid is None else (uuid.text or "").strip(),
    )


def _side_um(pixels: Element, axis: str) -> float | None:
    """Side of a pixel; ``nan`` where what is stated is no length, ``None`` where nothing is."""
    text = pixels.get(f"PhysicalSize{axis}")
    unit = pixels.get(f"PhysicalSize{axis}Unit", "µm").strip()
    if text is None or unit in _NO_LENGTH:
        return None
    try:
        side = float(text) * _UM[unit]
    except (ValueError, KeyError):
        return nan
    return side if isfinite(side) and side > 0 else nan


def _number(element: Element, name: str, source: str, default: int | None = None) -> int:
    """A non-negative integer attribute."""
    text = element.get(name)
    if text is None and default is not None:
        return default
    if text is None or not re.fullmatch(r"[0-9]{1,12}", text.strip()):
        raise read_error(source, f"its OME-XML has {element.tag} with {name}={text!r}")
    return int(text)


def _children(element: Element, name: str) -> Iterator[Element]:
    return (child for child in element if child.tag == name)


def _local(name: str) -> str:
    return name.rpartition("}")[2]
