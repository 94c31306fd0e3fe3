"""Probability images as lazy image elements."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from itertools import groupby

import dask.array as da
import numpy as np
from dask.delayed import delayed
from spatialdata import SpatialData
from spatialdata.models import Image2DModel
from spatialdata.transformations import Affine

from nimbus._check import require_once
from nimbus._keys import Attrs
from nimbus.data.geometry import network_to_world
from nimbus.data.names import require_new_element
from nimbus.engine.score import ScoreTask, TileItem, map_tile, tiles_of

from ._prepare import Prepared


def map_names(
    sdata: SpatialData, pairs: Mapping[str, str], *, name: str | bool | None
) -> dict[str, str]:
    """Name of the map of each labels element; refuses those that other elements have.

    Parameters
    ----------
    sdata
        Is to get the maps; may hold those of an earlier run, which are replaced.
    pairs
        Image of each labels element.
    name
        Last part of the names; ``None`` or ``False``: no maps.

    Raises
    ------
    ValueError
        A name that is taken, or that SpatialData does not take.
    """
    if not name:
        return {}
    n_labels = Counter(pairs.values())
    names = {
        labels: f"{image}_{name}" if n_labels[image] == 1 else f"{image}_{labels}_{name}"
        for labels, image in pairs.items()
    }
    require_once("names of maps", names.values())
    for key in names.values():
        if key not in sdata.images or key not in sdata.attrs.get(Attrs.MAPS, []):
            require_new_element(sdata, key, what=f"save_maps={name!r} gives the image {key!r}")
    return names


def add_maps(sdata: SpatialData, run: Prepared, names: Mapping[str, str]) -> list[str]:
    """Add one lazy image element for each field, on the network's grid; gives their names.

    A field whose image has none of the channels gets none.

    Parameters
    ----------
    sdata
        Gets the elements: float32 in [0, 1], axes ``(c, y, x)``, mean over the views.
    run
        Fields, model and plan.
    names
        By labels element; those that are not named get none.
    """
    added = []
    for index, (labels, field) in enumerate(run.fields.items()):
        if labels not in names or not field.source.channels:
            continue
        system = field.placement.coordinate_system
        placed = Affine(
            network_to_world(sdata.images[field.source.image_name], field.placement),
            input_axes=("x", "y"),
            output_axes=("x", "y"),
        )
        sdata.images[names[labels]] = Image2DModel.parse(
            _lazy_maps(run.task, index),
            dims=("c", "y", "x"),
            c_coords=list(field.source.channels),
            transformations={system: placed},
        )
        added.append(names[labels])
    if added:
        maps = sorted({*sdata.attrs.get(Attrs.MAPS, []), *added})
        sdata.attrs = {**sdata.attrs, Attrs.MAPS: maps}  # a crop shares those of the whole
    return added


def _lazy_maps(task: ScoreTask, index: int) -> da.Array:
    """Probabilities ``(c, y, x)`` of one field; a chunk is one channel of one tile."""
    source = task.sources[index]
    planes = []
    for channel in range(len(source.channels)):
        one = replace(
            task,
            sources=(
                replace(
                    source,
                    image=source.image[channel : channel + 1],
                    channels=source.channels[channel : channel + 1],
                    scales=source.scales[channel : channel + 1],
                ),
            ),
        )
        tiles = tiles_of(source, task.plan)
        rows = [list(row) for _, row in groupby(tiles, key=lambda tile: tile.write.y0)]
        name = source.labels_name
        planes.append([[_chunk(one, TileItem(0, tile, name)) for tile in row] for row in rows])
    maps: da.Array = da.concatenate([da.block(plane) for plane in planes], axis=0)
    return maps


def _chunk(task: ScoreTask, item: TileItem) -> da.Array:
    # The fields are bound, not passed: Dask would compute whole arrays that are arguments.
    lazy = delayed(partial(map_tile, task, item), pure=False)()
    chunk: da.Array = da.from_delayed(lazy, (1, *item.tile.write.shape), dtype=np.float32)
    return chunk
