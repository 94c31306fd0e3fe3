"""Probability images as lazy image elements."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from itertools import groupby

import dask.array as da
import numpy as np
from dask.delayed import delayed
from spatialdata import SpatialData
from spatialdata.models import Image2DModel
from spatialdata.transformations import Affine

from nimbus._keys import Attrs
from nimbus.data.geometry import network_to_world
from nimbus.engine.score import ScoreTask, TileItem, map_tile, tiles_of

from ._prepare import Prepared


def add_maps(sdata: SpatialData, run: Prepared, *, name: str | bool | None) -> list[str]:
    """Add one lazy image element for each field, on the network's grid; gives their names.

    A field whose image has none of the channels gets none.

    Parameters
    ----------
    sdata
        Gets elements ``f"{image_key}_{name}"``: float32 in [0, 1], axes ``(c, y, x)``, mean over
        the views.
    run
        Fields, model and plan.
    name
        Second part of the names; ``None`` or ``False`` adds nothing.
    """
    if not name:
        return []
    names = []
    for index, field in enumerate(run.fields.values()):
        if not field.source.channels:
            continue
        key = f"{field.source.image_name}_{name}"
        system = field.placement.coordinate_system
        placed = Affine(
            network_to_world(sdata.images[field.source.image_name], field.placement),
            input_axes=("x", "y"),
            output_axes=("x", "y"),
        )
        sdata.images[key] = Image2DModel.parse(
            _lazy_maps(run.task, index),
            dims=("c", "y", "x"),
            c_coords=list(field.source.channels),
            transformations={system: placed},
        )
        names.append(key)
    sdata.attrs[Attrs.MAPS] = sorted({*sdata.attrs.get(Attrs.MAPS, []), *names})
    return names


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
