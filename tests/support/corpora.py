"""Small good files of every kind that nimbus reads, how each is read, and what may come of it."""

from __future__ import annotations

import json
import shutil
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import imagecodecs
import numpy as np
import tifffile

from .mutation import (
    Mutation,
    bytes_changed,
    csv_changed,
    header_changed,
    json_changed,
    member_changed,
    tag_changed,
    xml_changed,
)

IMAGE = np.random.default_rng(5).integers(0, 40, (2, 33, 47)).astype(np.uint16)


@dataclass(frozen=True)
class Case:
    """One good input: what is read, which of its files may be changed, and how."""

    path: Path
    victims: tuple[Path, ...]
    mutations: tuple[Mutation, ...]


@dataclass(frozen=True)
class Reader:
    """A reader under test.

    Parameters
    ----------
    name
        As in the table of docs/reliability.md.
    named
        Types of its named errors. One counts as named if nimbus itself raised it; a library's own
        error of the same type does not.
    cases
        Makes the good inputs in a folder.
    read
        Reads one, all that a user of it would touch.
    """

    name: str
    named: tuple[type[Exception], ...]
    cases: Callable[[Path], Sequence[Case]]
    read: Callable[[Path], object]


def outcome(reader: Reader, path: Path) -> tuple[str, str]:
    """``"read"``, ``"named"`` or ``"unnamed"``, and what was told."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            reader.read(path)
    except reader.named as error:
        *_, (frame, _) = traceback.walk_tb(error.__traceback__)
        if "/nimbus/" in frame.f_code.co_filename.replace("\\", "/"):
            return "named", f"{type(error).__name__}: {error}"
        return "unnamed", _place(error)
    except Exception as error:  # noqa: BLE001  # what else may come is the question
        return "unnamed", _place(error)
    return "read", ""


def _place(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if "/nimbus/" in frame.filename]
    frame = (own or frames)[-1]
    return f"{type(error).__name__} through {Path(frame.filename).name}:{frame.lineno}: {error}"


def folder_of(path: Path) -> Path:
    path.mkdir(parents=True, exist_ok=True)
    return path


def _tiff_case(path: Path, **options: object) -> Case:
    tifffile.imwrite(path, **{"photometric": "minisblack", "metadata": None, **options})
    return Case(path, (path,), (bytes_changed, tag_changed, tag_changed))


def _plain_tiffs(folder: Path) -> list[Case]:
    big = {"bigtiff": True, "byteorder": ">", "predictor": True}
    float_image = IMAGE.astype(np.float32) / 7
    cases = [
        _tiff_case(folder / "none.tiff", data=IMAGE),
        _tiff_case(folder / "zstd.tiff", data=IMAGE, compression="zstd", rowsperstrip=5, **big),
        _tiff_case(folder / "lzw.tiff", data=IMAGE, compression="lzw", tile=(16, 16)),
        _tiff_case(folder / "pack.tiff", data=IMAGE, compression="packbits", rowsperstrip=9),
        _tiff_case(folder / "lzma.tiff", data=IMAGE, compression="lzma"),
        _tiff_case(folder / "deflate.tiff", data=float_image, compression="zlib", predictor=True),
        _tiff_case(folder / "jpeg.tiff", data=IMAGE.astype(np.uint8), compression="jpeg"),
        _tiff_case(folder / "j2k.tiff", data=IMAGE, compression="jpeg2000", tile=(32, 32)),
        _tiff_case(
            folder / "imagej.tif",
            data=IMAGE,
            imagej=True,
            photometric=None,
            metadata={"axes": "CYX", "Labels": ["CD3", "CD8"], "unit": "um"},
            resolution=(2, 2),
        ),
        _tiff_case(folder / "shaped.tif", data=IMAGE, metadata={"axes": "CYX"}),
    ]
    channels = folder_of(folder / "fov1")
    for name, plane in zip(("CD3", "CD8"), IMAGE, strict=True):
        tifffile.imwrite(channels / f"{name}.tiff", plane, compression="zlib")
    victim = channels / "CD8.tiff"
    return [*cases, Case(channels, (victim,), (bytes_changed, tag_changed))]


def _ome_tiffs(folder: Path) -> list[Case]:
    named = {"axes": "CYX", "Channel": {"Name": ["CD3", "CD8"]}, "PhysicalSizeX": 0.5}
    tiled, strips = folder / "a.ome.tiff", folder / "b.ome.tiff"
    tifffile.imwrite(tiled, IMAGE, tile=(16, 16), compression="lzw", metadata=named)
    tifffile.imwrite(strips, IMAGE, photometric="minisblack", bigtiff=True, metadata=named)
    return [
        Case(path, (path,), (bytes_changed, tag_changed, _description_changed))
        for path in (tiled, strips)
    ]


def _description_changed(data: bytes, rng: np.random.Generator) -> bytes:
    """The OME-XML inside changed as text; what is longer than before goes to the end."""
    start, stop = data.index(b"<?xml"), data.index(b"</OME>") + 6
    new = xml_changed(data[start:stop], rng)
    if len(new) <= stop - start:
        return data[:start] + new.ljust(stop - start) + data[stop:]
    place = {b"II*\0": (8, "<H", "<I"), b"II+\0": (16, "<Q", "<Q")}[data[:4]]
    out = bytearray(data + b"\0" * (len(data) % 2) + new + b"\0")
    _set_description(out, place[0], len(data) + len(data) % 2, len(new) + 1, big=place[0] == 16)
    return bytes(out)


def _set_description(out: bytearray, first: int, at: int, n: int, *, big: bool) -> None:
    """Point the first directory's image description elsewhere."""
    width, entry, head = (8, 20, 8) if big else (4, 12, 2)
    offset = int.from_bytes(out[8:16] if big else out[4:8], "little")
    for k in range(int.from_bytes(out[offset : offset + head], "little")):
        place = offset + head + entry * k
        if int.from_bytes(out[place : place + 2], "little") == 270:
            out[place + 4 : place + 4 + width] = n.to_bytes(width, "little")
            out[place + 4 + width : place + 4 + 2 * width] = at.to_bytes(width, "little")


def _companions(folder: Path) -> list[Case]:
    planes = "".join(
        f'<TiffData FirstC="{i}" IFD="{i}"><UUID FileName="b.tif">urn:uuid:b</UUID></TiffData>'
        for i in range(2)
    )
    path = folder / "a.companion.ome"
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?><OME UUID="urn:uuid:a"><Image ID="Image:0"><Pixels '
        'SizeX="47" SizeY="33" SizeC="2" SizeZ="1" SizeT="1" PhysicalSizeX="0.5" '
        'PhysicalSizeXUnit="µm" PhysicalSizeY="0.5"><Channel Name="CD3" SamplesPerPixel="1"/>'
        f'<Channel Name="CD8"/>{planes}</Pixels></Image></OME>',
        encoding="utf-8",
    )
    tifffile.imwrite(folder / "b.tif", IMAGE, photometric="minisblack", metadata=None)
    return [Case(path, (path,), (xml_changed, xml_changed, xml_changed, bytes_changed))]


def _label_tiffs(folder: Path) -> list[Case]:
    ids = IMAGE[0].astype(np.uint32) + 70_000
    colours = np.stack([IMAGE[0].astype(np.uint8)] * 4, -1)
    return [
        _tiff_case(folder / "a.tiff", data=ids, compression="zlib", tile=(16, 32)),
        _tiff_case(folder / "b.tiff", data=IMAGE[0].astype(np.uint8)),
        _tiff_case(folder / "c.tiff", data=IMAGE[0].astype(np.int16), compression="lzw"),
        _tiff_case(folder / "d.tiff", data=colours, photometric="rgb"),
    ]


def _label_arrays(folder: Path) -> list[Case]:
    few, many = folder / "a.png", folder / "b.png"
    few.write_bytes(imagecodecs.png_encode(IMAGE[0].astype(np.uint8)))
    many.write_bytes(imagecodecs.png_encode(IMAGE[0] + np.uint16(300)))
    plain, turned = folder / "a.npy", folder / "b.npy"
    np.save(plain, IMAGE[0].astype(np.uint32) + 70_000)
    np.save(turned, np.asfortranarray(IMAGE[:1].astype(">i8")))
    return [Case(path, (path,), (bytes_changed,)) for path in (few, many, plain, turned)]


def _read_image(path: Path) -> None:
    from nimbus.io._discover import read_image

    _corners(read_image(path).array)


def _read_labels(path: Path) -> None:
    from nimbus.io.masks import read_labels

    _corners(read_labels(path))


def _corners(array) -> None:
    """Pixels at both ends: a declared size may be large, and an image is never read whole."""
    array[..., :64, :64].compute(scheduler="synchronous")
    if max(array.shape[-2:]) > 64:
        array[..., -64:, -64:].compute(scheduler="synchronous")


def _geojsons(folder: Path) -> list[Case]:
    from nimbus.io.geojson import CellClass, CellObject, write_objects

    square = np.array([[0, 0], [9, 0], [9, 9.5], [0, 9]])
    inner = np.array([[2, 2], [4, 2], [4, 4], [2, 4]])
    path = folder / "CD3.geojson"
    cells = [
        CellObject(70_000, ((square, inner),), CellClass("Positive", (250, 62, 62)), {"mean": 3.5}),
        CellObject(2, ((square,), (inner,)), CellClass("Negative", (1, 2, 3))),
        CellObject(3, ((square,),)),
    ]
    write_objects(path, cells)
    old = folder / "old.geojson"
    content = json.loads(path.read_text())["features"]
    content[0]["properties"]["classification"] = {"name": "Positive", "colorRGB": -3140401}
    content[0]["properties"]["measurements"] = [{"name": "a", "value": 1.5}]
    old.write_text(json.dumps(content))
    return [Case(p, (p,), (json_changed, json_changed, bytes_changed)) for p in (path, old)]


def _read_geojson(path: Path) -> None:
    from nimbus.io import read_qupath

    read_qupath(path)


def _maps(folder: Path) -> list[Case]:
    from nimbus.cluster.clustermap import ClusterMap
    from nimbus.cluster.mapcsv import map_to_csv
    from nimbus.cluster.mapfiles import write_map

    edited = (
        ClusterMap.of([0, 1, 1, 2, 0, -1], names={1: 'T, "helper"', 2: "Zelle ü"})
        .split([0], name="x")
        .move([1], "x")
        .merge([2, "x"])
        .recolor(2, "#00ff00")
        .assign(ClusterMap.of([3, 1, 1, 2, 0, -1]))
        .rename(3, "c")
        .undo()
    )
    paths = [folder / name for name in ("map.json", "map.csv", "pixie.csv")]
    for path in paths[:2]:
        write_map(edited, path)
    paths[2].write_text(map_to_csv(edited, style="pixie"), encoding="utf-8")
    changes = [(json_changed, json_changed, bytes_changed)] + 2 * [(csv_changed, bytes_changed)]
    return [Case(p, (p,), change) for p, change in zip(paths, changes, strict=True)]


def _read_map(path: Path) -> None:
    from nimbus.cluster.mapfiles import read_map

    read_map(path)
    if path.suffix == ".csv":
        read_map(path, n_nodes=6)


def _golds(folder: Path) -> list[Case]:
    path = folder / "gold.csv"
    rows = ["a,70000,CD3,1", 'a,2,"CD4, b",likely negative', "NA,3,CD3,0", "b,1,CD8,-1"]
    path.write_text("fov,instance_id,marker,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    other = folder / "semicolon.csv"
    other.write_text("\ufefffov;instance_id;marker;label;note\na;1;CD3;positive;x\n", "utf-8")
    return [Case(p, (p,), (csv_changed, csv_changed, bytes_changed)) for p in (path, other)]


def _read_gold(path: Path) -> None:
    from nimbus.io import read_gold

    read_gold(path)


def _assignments(folder: Path) -> list[Case]:
    path = folder / "assignment.csv"
    path.write_text(",CD3,CD8,CD20\nT cell,1,,0\nB cell,0,0.0,1\nother,,,\n", encoding="utf-8")
    return [Case(path, (path,), (csv_changed, bytes_changed))]


def _read_assignment(path: Path) -> None:
    from nimbus.core.assignment import read_assignment

    read_assignment(path)


def _safetensors(folder: Path) -> list[Case]:
    from nimbus.core.scalerule import ScaleRule
    from nimbus.model import ModelCard, UNet, save_checkpoint

    card = ModelCard(
        name="tiny", depth=2, root_filters=2, pixel_size_um=1.0, scale=ScaleRule(0.999)
    )
    path = folder / "tiny.safetensors"
    written = save_checkpoint(path, UNet(depth=2, root_filters=2), card)
    beside = path.with_suffix(".json")
    beside.write_text(written.to_json().replace(written.sha256, ""))  # else the hash refuses all
    return [
        Case(path, (path,), (header_changed, header_changed, bytes_changed)),
        Case(path, (beside,), (json_changed, json_changed, bytes_changed)),
    ]


def _published(folder: Path) -> list[Case]:
    import torch

    from nimbus.model import UNet

    state = UNet(depth=2, root_filters=2).state_dict()
    paths = [folder / "zip.pt", folder / "old.pt", folder / "nested.pt"]
    torch.save(state, paths[0])
    torch.save(state, paths[1], _use_new_zipfile_serialization=False)
    torch.save({"epoch": 3, "model_state_dict": state}, paths[2])
    changes = [(member_changed, member_changed, bytes_changed), (bytes_changed,), (member_changed,)]
    return [Case(p, (p,), change) for p, change in zip(paths, changes, strict=True)]


def _read_weights(path: Path) -> None:
    from nimbus.model import load_checkpoint

    load_checkpoint(path)


def _stores(folder: Path) -> list[Case]:
    from .tissue import add_labels, draw_sdata

    cases = []
    for name, with_table in (("plain.zarr", False), ("table.zarr", True)):
        sdata = draw_sdata([(40, 56)], n_channels=2, density=1 / 300)
        path = folder / name
        (add_labels(sdata) if with_table else sdata).write(path)
        files = sorted(p for p in path.rglob("*") if p.is_file())
        metadata = tuple(p for p in files if p.suffix == ".json" or p.name.startswith(".z"))
        chunks = tuple(p for p in files if p not in metadata)
        cases += [
            Case(path, metadata, (json_changed, json_changed, bytes_changed)),
            Case(path, chunks, (bytes_changed,)),
        ]
    return cases


def _read_store(path: Path) -> None:
    import nimbus
    from nimbus.io.stores import open_store

    from .tissue import brightness

    sdata = open_store(path)
    nimbus.tl.score(sdata, model=brightness, tta=False, show_progress_bar=False)


def readers() -> dict[str, Reader]:
    """All readers, by name; those of weights need PyTorch."""
    from nimbus.cluster.edits import ClusterMapError
    from nimbus.io import ReadError
    from nimbus.model import CardError

    every = [
        Reader("tiff", (ReadError,), _plain_tiffs, _read_image),
        Reader("ome-tiff", (ReadError,), _ome_tiffs, _read_image),
        Reader("companion", (ReadError,), _companions, _read_image),
        Reader("labels", (ReadError,), _label_tiffs, _read_labels),
        Reader("label-arrays", (ReadError,), _label_arrays, _read_labels),
        Reader("geojson", (ReadError,), _geojsons, _read_geojson),
        Reader("cluster-map", (ClusterMapError,), _maps, _read_map),
        Reader("gold", (ReadError,), _golds, _read_gold),
        Reader("assignment", (ValueError,), _assignments, _read_assignment),
        # FileNotFoundError and KeyError: an element that the damage removed, by its name.
        Reader("store", (ValueError, TypeError, OSError, KeyError), _stores, _read_store),
    ]
    try:
        from nimbus.model import CheckpointError
    except ImportError:
        return {reader.name: reader for reader in every}
    refused = (CheckpointError, CardError)
    every.append(Reader("safetensors", refused, _safetensors, _read_weights))
    every.append(Reader("published", refused, _published, _read_weights))
    return {reader.name: reader for reader in every}


def damaged(case: Case, good: dict[Path, bytes], rng: np.random.Generator) -> Path:
    """Damage one file of a case; gives the file. `good` keeps the contents."""
    victim = case.victims[rng.integers(len(case.victims))]
    if victim not in good:
        good[victim] = victim.read_bytes()
    mutation = case.mutations[rng.integers(len(case.mutations))]
    victim.write_bytes(mutation(good[victim], rng))
    return victim


def keep(victim: Path, target: Path) -> None:
    """Keep a copy of a damaged file that was not refused by name."""
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(victim, target)
