"""From SpatialData in memory or on disk to what the page needs."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import get_args

import numpy as np
import spatialdata
from anndata import AnnData
from numpy.typing import NDArray
from spatialdata import SpatialData

from nimbus._check import listed, require_known
from nimbus._exchange import beside
from nimbus._keys import Layers, Obs
from nimbus._types import AnyArray, FloatArray, IntArray
from nimbus.data.annotations import Likely
from nimbus.data.cellrows import cell_rows
from nimbus.data.layers import layer_names, marker_values
from nimbus.data.names import require_key_names
from nimbus.data.store import has_other_rows, require_writable
from nimbus.data.tables import annotated_labels, region_rows, table_of
from nimbus.gui.opening import image_pairs
from nimbus.gui.saving import Keeper, Saving
from nimbus.gui.tissue import LabelledTissue, tissue_of
from nimbus.pp._labels import chosen_markers

from .book import Book
from .crop import AROUND, Microscope
from .desk import Desk, Facts
from .keeping import InMemory, OnDisk, label_folder, read_files
from .ledger import Ledger, open_ledger
from .order import ORDERS, Order, Queues
from .state import Labels, State


@dataclass(frozen=True, slots=True)
class Request:
    """What is judged, by whom, in which order; see :func:`nimbus.gui.review`."""

    annotator: str | None = None
    markers: str | Sequence[str] | None = None
    order: str | None = None
    n_cells: int = 100
    layer: str = Layers.SCORE
    labels_key: str | Sequence[str] | None = None
    image_key: str | Mapping[str, str] | None = None
    second: str | None = None
    likely: Likely = "undetermined"
    table_key: str = "table"
    key_added: str = Layers.GOLD
    random_state: int = 0


def review_desk(
    sdata: SpatialData, request: Request, *, write: bool = False, title: str = ""
) -> Desk:
    """A desk for a SpatialData object; with `write` its labels also go to the store.

    Raises
    ------
    ValueError
        No images, labels or scores; an unknown name; with `write` no store, or one whose table has
        other cells; a layer that holds no labels.
    """
    if not isinstance(sdata, SpatialData):
        raise TypeError(
            f"cells are judged on images, so a SpatialData object is needed, not "
            f"{type(sdata).__name__}; nimbus.io.read_fovs makes one of folders of TIFFs"
        )
    table = table_of(sdata, request.table_key)
    if write:
        require_writable(sdata)
        keys = {"layers": [request.key_added], "uns": [request.key_added]}
        require_key_names(table, keys)
        _require_same_rows(sdata, request.table_key)
    _check(request)
    microscope, channels = _microscope(sdata, table, request)
    markers = _markers(table, request.markers, channels)
    every = tuple(name for name in dict.fromkeys(n for own in channels.values() for n in own))
    if request.second is not None:
        require_known("channel", [request.second], every)
    name = _annotator(request.annotator)
    ledger, keeper = _kept(sdata, table, request, name, write=write)
    queues = _queues(table, request, markers, microscope, channels)
    facts = Facts(
        title=title or request.key_added,
        annotator=name,
        microscope=microscope,
        channels=every,
        side=AROUND * _diameter(table, microscope),
        scores=_values(table, request.layer),
        layer=request.layer,
    )
    state = State.of(queues, ledger.labels(name), goal=request.n_cells)
    return Desk(facts, state, ledger, Saving(keeper, advice="Export the labels to keep them."))


def _require_same_rows(sdata: SpatialData, table_key: str) -> None:
    """Refuse a table that would take the place of the one in the store, behind the page."""
    if has_other_rows(sdata, table_key):
        raise ValueError(
            f"write=True, but table {table_key!r} in the store {str(sdata.path)!r} has other cells "
            "or markers than in memory, or another order of them; write it first with "
            f"nimbus.io.write_table(sdata, {table_key!r}), or pass write=False"
        )


def open_review(path: Path, request: Request) -> Desk:
    """A desk for a SpatialData store; labels go beside it and into its table.

    Raises
    ------
    FileNotFoundError
        There is no such store.
    ValueError
        As :func:`review_desk`, or it is no SpatialData store.
    """
    if not path.exists():
        raise FileNotFoundError(f"there is no store {str(path)!r}")
    if not (path / "tables").is_dir():
        raise ValueError(
            f"{str(path)!r} is no SpatialData store with a table; cells are judged on images: "
            "nimbus score makes such a store"
        )
    title = beside(path, "").name
    return review_desk(spatialdata.read_zarr(path), request, write=True, title=title)


def _check(request: Request) -> None:
    if request.order is not None:
        require_known("order", [request.order], ORDERS)
    if request.likely not in get_args(Likely):
        raise ValueError(f"likely={request.likely!r} is none of {listed(get_args(Likely))}")
    if request.n_cells < 1:
        raise ValueError(f"n_cells must be at least 1, not {request.n_cells}")


def _annotator(given: str | None) -> str:
    name = getpass.getuser() if given is None else given.strip()
    if not name:
        raise ValueError("annotator='' names nobody; pass a name or initials")
    return name


def _microscope(
    sdata: SpatialData, table: AnnData, request: Request
) -> tuple[Microscope, dict[str, tuple[str, ...]]]:
    """Looks at the cells of the fields that were asked for; and the channels of each field."""
    fields = annotated_labels(
        table, request.labels_key, sorted(sdata.labels), table_key=request.table_key
    )
    pairs = image_pairs(sdata, table_key=request.table_key, image_key=request.image_key)
    if not pairs:
        raise ValueError("cells are judged on images, and there is no image in this object")
    own = {field: pairs[field] for field in fields}
    rows = np.arange(table.n_obs, dtype=np.int32)
    tissue = tissue_of(sdata, table, rows, pairs=own, region_key=None)
    if not isinstance(tissue, LabelledTissue):
        raise TypeError("images and labels were found, but no tissue of them")
    field_of, ids = np.full(table.n_obs, -1), np.zeros(table.n_obs, dtype=np.int64)
    for name, (at, cells) in region_rows(table).items():
        ids[at] = cells
        field_of[at] = tissue.fields.index(name) if name in tissue.fields else -1
    guess = np.full((table.n_obs, 2), np.nan)
    if Obs.SPATIAL in table.obsm:
        guess = np.asarray(table.obsm[Obs.SPATIAL], dtype=np.float64)[:, :2]
    channels = {field: tissue.channels(field) for field in tissue.fields}
    return Microscope(tissue, field_of, ids, guess), channels


def _markers(
    table: AnnData,
    wanted: str | Sequence[str] | None,
    channels: Mapping[str, tuple[str, ...]],
) -> tuple[str, ...]:
    """Markers to judge, in the order they were asked for: those of which there is a channel."""
    there = {name for own in channels.values() for name in own}
    chosen = chosen_markers(table, wanted)
    if wanted is not None:
        require_known("channel", chosen, sorted(there))
    shown = tuple(name for name in chosen if name in there)
    if not shown:
        raise ValueError(
            f"no marker of the table ({listed(table.var_names)}) is a channel of the images "
            f"({listed(sorted(there))})"
        )
    return shown


def _kept(
    sdata: SpatialData, table: AnnData, request: Request, name: str, *, write: bool
) -> tuple[Ledger, Keeper[Labels]]:
    book = Book(
        cell_rows(sdata, table, instance_key=Obs.INSTANCE),
        tuple(str(marker) for marker in table.var_names),
    )
    key, likely = request.key_added, request.likely
    if not write:
        ledger = open_ledger(table, book, key=key, likely=likely, files={})
        return ledger, InMemory(ledger, name)
    folder = label_folder(Path(str(sdata.path)), request.table_key, key)
    files = read_files(folder, book)
    ledger = open_ledger(table, book, key=key, likely=likely, files=files)
    return ledger, OnDisk(InMemory(ledger, name), sdata, request.table_key, folder)


def _queues(
    table: AnnData,
    request: Request,
    markers: tuple[str, ...],
    microscope: Microscope,
    channels: Mapping[str, tuple[str, ...]],
) -> Queues:
    there = layer_names(table)
    if request.layer != Layers.SCORE:  # without the usual one cells come by chance
        require_known("layer", [request.layer], there)
    usual = "uncertain" if request.layer in there else "random"
    order: Order = next(one for one in ORDERS if one == (request.order or usual))
    needed = {"uncertain": [request.layer], "random": []}.get(
        order, [request.layer, Layers.INTEGRATED]
    )
    missing = [name for name in needed if name not in there]
    if missing:
        raise ValueError(
            f"order={order!r} looks at the layers {listed(needed)}, and there is no "
            f"{listed(missing)}; run nimbus.tl.score first, or pass order='random'"
        )

    @cache  # most markers are shown by the same fields
    def field_by(shown: tuple[bool, ...]) -> IntArray:
        known: IntArray = microscope.field_of
        return np.where((known >= 0) & np.array([*shown, False])[known], known, -1)

    def field_of(marker: str) -> IntArray:
        return field_by(tuple(marker in channels[field] for field in microscope.tissue.fields))

    return Queues(
        markers,
        field_of,
        _values(table, request.layer),
        _values(table, Layers.INTEGRATED),
        order,
        request.random_state,
    )


def _values(table: AnnData, layer: str) -> Callable[[str], FloatArray]:
    """Values of a marker for every cell; NaN where there is no such layer."""
    if layer not in layer_names(table):
        return lambda _marker: np.full(table.n_obs, np.nan)
    known: dict[str, NDArray[np.float64]] = {}

    def of(marker: str) -> AnyArray:
        if marker not in known:
            known[marker] = marker_values(table, marker, layer)
        return known[marker]

    return of


def _diameter(table: AnnData, microscope: Microscope) -> float:
    """Diameter of a cell in units of the coordinate system: of its area, or of its room."""
    field = microscope.tissue.fields[0]
    axis = microscope.tissue.placed[field].x
    if Obs.AREA in table.obs:
        area = float(np.nanmedian(table.obs[Obs.AREA].to_numpy(dtype=np.float64)))
        return float(np.sqrt(area)) * axis.pixels.label_size * axis.unit
    left, right, top, bottom = microscope.tissue.whole(field)
    n = max(1, int((microscope.field_of == 0).sum()))
    return float(np.sqrt((right - left) * (bottom - top) / n)) / 2
