"""A user's few labelled cells as tiles, some fields held out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import lcm
from pathlib import Path

import numpy as np
from spatialdata import SpatialData

from nimbus._check import listed, require_known
from nimbus._keys import Layers
from nimbus.core.scalerule import ScaleRule
from nimbus.core.tiles import rounded_up
from nimbus.data.elements import channel_names, require_sdata
from nimbus.data.layers import layer_names, layer_values
from nimbus.data.tables import region_rows
from nimbus.data.targets import Target, find_target

from .cut_settings import CutSettings
from .training_set import write_training_set

LEARN, JUDGE = "train", "validation"

TILE_UM, MULTIPLE = 128.0, 32
"""Edge of a tile: at least so many micrometres, and a multiple of so many pixels."""


def write_finetuning_set(  # noqa: PLR0913 - arguments are handed on
    sdata: SpatialData,
    folder: str | Path,
    *,
    layer: str = Layers.GOLD,
    rule: ScaleRule,
    pixel_size_um: float,
    multiple: int = 1,
    judged: float = 0.25,
    table_key: str = "table",
    image_key: str | Mapping[str, str] | None = None,
    labels_key: str | Sequence[str] | None = None,
    channels: str | Sequence[str] | None = None,
    pixel_size: float | Mapping[str, float] | None = None,
    scales: Mapping[str, float] | None = None,
    random_state: int = 0,
    show_progress_bar: bool = True,
) -> dict[str, Path]:
    """Cut the fields with labelled cells into tiles; of a single field no cell is in two of them.

    Parameters
    ----------
    sdata
        Its table holds `layer`: 1 positive, 0 negative, -1 unlabelled.
    folder
        Where the tiles are written.
    layer
        Name of the layer.
    rule, pixel_size_um
        Scale and pixel size of the model.
    multiple
        Sides of tiles are multiples of so many pixels, too: what the model takes.
    judged
        Share of the fields with labelled cells of the wanted channels that is held out, at least
        one.
    table_key, image_key, labels_key, channels, pixel_size, scales
        As in :func:`nimbus.tl.score`.
    random_state
        Seed of the choice of fields.
    show_progress_bar
        Show what is done.

    Returns
    -------
    Folders ``"train"`` and ``"validation"``; where one field alone has labelled cells, of
    ``"all"``.

    Raises
    ------
    ValueError
        Without table, layer or labelled cell, and for all that
        :func:`nimbus.datasets.write_training_set` refuses.
    """
    require_sdata(sdata)
    tile_size = rounded_up(round(TILE_UM / pixel_size_um), lcm(MULTIPLE, multiple))
    require_known("table", [table_key], list(sdata.tables))
    target = find_target(
        sdata,
        table_key=table_key,
        image_key=image_key,
        labels_key=labels_key,
        channels=channels,
    )
    fields = _labelled_fields(sdata, target, layer)
    split: dict[str, list[str]] | None = None
    if len(fields) > 1:
        order = np.random.default_rng(random_state).permutation(len(fields))
        n_judged = min(max(1, round(judged * len(fields))), len(fields) - 1)
        split = {
            LEARN: [fields[k] for k in sorted(order[n_judged:])],
            JUDGE: [fields[k] for k in sorted(order[:n_judged])],
        }
    return write_training_set(
        sdata,
        folder,
        layer=layer,
        split=split,
        settings=CutSettings(
            tile_size=tile_size,
            overlap=0,
            scale=rule,
            pixel_size_um=pixel_size_um,
            once=split is None,  # tiles of one field are divided: no cell may be in two
        ),
        image_key=image_key,
        labels_key=labels_key,
        table_key=table_key,
        channels=channels,
        pixel_size=pixel_size,
        scales=scales,
        random_state=random_state,
        show_progress_bar=show_progress_bar,
    )


def _labelled_fields(sdata: SpatialData, target: Target, layer: str) -> list[str]:
    """Labels elements with at least one decided cell of a marker that can be read there."""
    if target.table is None:
        raise ValueError("the table has no cells; label some first")
    table, wanted = target.table, target.channels or []
    require_known("layer", [layer], layer_names(table))
    columns = [list(table.var_names).index(name) for name in wanted]
    decided = np.isin(layer_values(table, layer, columns), (0, 1))
    rows = {region: rows for region, (rows, _) in region_rows(table).items()}
    found = []
    for field, image in sorted(target.pairs.items()):
        there = np.isin(wanted, channel_names(sdata.images[image], image_key=image))
        if decided[np.ix_(rows.get(field, []), there)].any():
            found.append(field)
    if not found:
        raise ValueError(
            f"layer {layer!r} has no labelled cell (1 or 0) of {listed(wanted)} in "
            f"{listed(target.pairs)}; label some cells first"
        )
    return found
