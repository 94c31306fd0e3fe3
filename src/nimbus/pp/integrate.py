"""Verb: mean intensity per cell, the baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from anndata import AnnData
from spatialdata import SpatialData

from nimbus._keys import Layers
from nimbus.data.cellvalues import RegionRows, aligned, new_table
from nimbus.data.elements import require_sdata
from nimbus.data.layers import dense
from nimbus.data.names import require_table_names
from nimbus.data.sources import OpenField, Request, open_field, to_world, wanted_channels
from nimbus.data.store import require_writable, write_table
from nimbus.data.targets import find_target
from nimbus.engine.integrate import CellMeans, integrate_fields
from nimbus.engine.run import default_jobs
from nimbus.engine.source import NanRule, require_nan_rule
from nimbus.engine.spare import give_back


def integrate(  # noqa: PLR0913 - the public signature
    sdata: SpatialData,
    *,
    image_key: str | Mapping[str, str] | None = None,
    labels_key: str | Sequence[str] | None = None,
    table_key: str = "table",
    channels: str | Sequence[str] | None = None,
    scale: str | None = None,
    coordinate_system: str | None = None,
    key_added: str = Layers.INTEGRATED,
    nan: NanRule = "raise",
    n_jobs: int | None = None,
    write: bool = False,
    show_progress_bar: bool = True,
) -> None:
    """Add the layer ``"integrated"``: mean intensity of each marker over each cell.

    Parameters
    ----------
    sdata
        Images ``(c, y, x)`` and labels ``(y, x)``.
    image_key
        The image, or ``{labels_key: image_key}``; ``None`` takes the only image, or that of the
        same stem.
    labels_key
        Labels elements; ``None`` takes all, or those that the table annotates.
    table_key
        Table to write to; made where it does not exist.
    channels
        Channels; ``None`` takes all.
    scale
        Level of a multiscale image; ``None`` takes the finest.
    coordinate_system
        Where image and labels meet; ``None`` takes one they share.
    key_added
        Name of the layer.
    nan
        ``"raise"`` refuses NaN and infinite pixels; ``"zero"`` reads them as 0.
    n_jobs
        Threads that read; an active :class:`distributed.Client` is used instead.
    write
        Also write what was touched to the store of `sdata`; a table whose rows or columns are not
        those in the store (it was filtered or sorted) takes the place of that one, with a warning.
    show_progress_bar
        Show the tiles that are done.

    Returns
    -------
    None. Sets ``tables[table_key].layers[key_added]``: float32 ``(cells, markers)`` in the units
    of the image; NaN for rows whose cell is not in the labels and markers that were not read,
    except that a layer that exists keeps its values of other labels and markers. A new table also
    gets ``X``, ``obs["area"]`` and ``obsm["spatial"]``.

    Raises
    ------
    TypeError
        No SpatialData object.
    ValueError
        Elements that do not exist, are ambiguous, or do not lie on each other; a name that
        SpatialData does not take.

    Examples
    --------
    >>> import nimbus
    >>> sdata = nimbus.datasets.tissue(shape=(64, 64), n_cells=9, markers=["CD3"], random_state=0)
    >>> nimbus.pp.integrate(sdata, show_progress_bar=False)
    >>> sdata.tables["table"].layers["integrated"].dtype
    dtype('float32')
    """
    require_sdata(sdata)
    require_nan_rule(nan)
    if write:
        require_writable(sdata)
    target = find_target(
        sdata,
        table_key=table_key,
        image_key=image_key,
        labels_key=labels_key,
        channels=channels,
    )
    require_table_names(sdata, table_key, {"layers": [key_added]}, key_added=key_added)
    # The pixel size does not matter here: any number serves.
    request = Request(target.pairs, target.channels, scale, coordinate_system, 1.0, nan)
    panels = wanted_channels(sdata, request)
    fields = {
        key: open_field(sdata, key, request, panels[image], model_pixel_size_um=1.0)
        for key, image in target.pairs.items()
    }
    measured = integrate_fields(
        [field.source for field in fields.values()],
        n_jobs=default_jobs(n_jobs),
        show_progress_bar=show_progress_bar,
    )
    give_back()
    regions = [
        (key, RegionRows(cells.ids, field.source.channels, cells.intensity))
        for (key, field), cells in zip(fields.items(), measured, strict=True)
    ]
    table = target.table if target.table is not None else _new_table(fields, measured)
    held = table.layers.get(key_added)
    values = aligned(table, regions, before=None if held is None else dense(held))
    table.layers[key_added] = values
    if target.table is None:
        table.X = values.copy()  # scanpy changes X in place
        sdata.tables[table_key] = table
    if write:
        touched = None if target.table is None else {"layers": [key_added]}
        write_table(sdata, table_key, keys=touched)


def _new_table(fields: Mapping[str, OpenField], measured: Sequence[CellMeans]) -> AnnData:
    """Table of the cells of all fields, without values."""
    pairs = zip(fields.values(), measured, strict=True)
    return new_table(
        {key: cells.ids for key, cells in zip(fields, measured, strict=True)},
        [name for field in fields.values() for name in field.source.channels],
        areas=[cells.area for cells in measured],
        spatial=(to_world(field.placement, cells.centroid) for field, cells in pairs),
    )
