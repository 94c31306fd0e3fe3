"""Figure: a channel, the cells, and what was measured of them, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from anndata import AnnData
from matplotlib.axes import Axes
from numpy.typing import NDArray
from spatialdata import SpatialData

from nimbus._check import listed, one_or_more, require_known, require_once
from nimbus._keys import Layers
from nimbus._types import FloatArray
from nimbus.data.elements import channel_names, pair_elements, require_sdata
from nimbus.data.layers import layer_names, marker_values, scores_or_labels
from nimbus.data.part import Part, Span, placed_field, read_part
from nimbus.data.tables import annotated_labels, find_table, region_rows

from ._panels import draw_cells, draw_channel, draw_mask, scale_bar, values_of_pixels
from ._show import AxesGiven, finish, flat_axes

_BRIGHT = 0.998
"""Quantile of the drawn pixels that is white unless `vmax` is given."""


def overlay(  # noqa: PLR0913 - the public signature
    sdata: SpatialData,
    *,
    channel: str | Sequence[str],
    layer: str | Sequence[str] | None = Layers.SCORE,
    image_key: str | None = None,
    labels_key: str | None = None,
    table_key: str = "table",
    coordinate_system: str | None = None,
    xlim: Span | None = None,
    ylim: Span | None = None,
    pixel_size: float | None = None,
    vmax: float | None = None,
    outlines: bool = True,
    max_pixels: int = 1024,
    panel_size: float = 3.6,
    ax: AxesGiven = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> list[Axes] | None:
    """Draw a channel, the mask and the cells coloured by their score, side by side.

    Only what is drawn is read, at the resolution it is drawn at, so that a whole slide can be
    looked at: the image is averaged, from the coarsest level that is fine enough. Give `xlim` and
    `ylim` to look closer.

    Parameters
    ----------
    sdata
        Image, labels and the table with scores.
    channel
        Channel to draw; several make one row of panels each.
    layer
        What colours the cells, one panel for each: ``"nimbus"``, ``"integrated"``, ``"truth"`` or
        another layer; ``None`` draws channel and mask alone.
    image_key, labels_key
        The field. May be left out where there is one, or its image has the same stem.
    table_key
        Table with the layers.
    coordinate_system
        Where image and labels meet; ``None`` takes one they share.
    xlim, ylim
        From and to, in units of the coordinate system (those of ``obsm["spatial"]``); ``None`` is
        the whole field.
    pixel_size
        Micrometres per pixel of the image, for the scale bar; ``None`` takes what the
        transformation says, or what the scores were computed with. Where neither is known the bar
        counts pixels.
    vmax
        Intensity that is drawn white; ``None`` is the 99.8th percentile of what is drawn.
    outlines
        Draw the outlines of the cells on the channel; left out where cells are too small.
    max_pixels
        Most pixels along a side of a panel.
    panel_size
        Side of a panel in inches; not used with `ax`.
    ax
        Axes to draw into, one for each panel, row by row; ``None`` makes a figure.
    show
        ``None`` shows the figure, unless `ax` or `save` is given.
    save
        File to write, e.g. ``"cd3.png"`` or ``"cd3.pdf"``.

    Returns
    -------
    The axes row by row, each row channel, mask, then one for each layer; ``None`` where the figure
    was shown. Their data coordinates are those of the coordinate system. The scores go from 0 to 1;
    intensities of cells up to the 99th percentile of the cells that are drawn, and from the first
    where some are below 0. Cells without a
    value (NaN, no row of the table, or -1 where a layer holds labels) are grey.

    Raises
    ------
    TypeError
        No SpatialData object.
    ValueError
        Unknown channel, layer or element; several fields and no choice; limits that hold no part of
        the image.

    Examples
    --------
    >>> import nimbus
    >>> sdata = nimbus.datasets.tissue(shape=(64, 64), n_cells=9, markers=["CD3"], random_state=0)
    >>> axes = nimbus.pl.overlay(sdata, channel="CD3", layer="truth", show=False)
    >>> [ax.get_title() for ax in axes]
    ['CD3', 'mask', 'truth']
    """
    require_sdata(sdata)
    names = one_or_more(channel)
    layers = one_or_more(layer or ())
    table = find_table(sdata, table_key)
    image_key, labels_key = _one_field(sdata, table, image_key, labels_key, table_key=table_key)
    there = channel_names(sdata.images[image_key], image_key=image_key)
    require_known(f"channel of image {image_key!r}", names, there)
    cells = _cells(table, names, layers, labels_key, table_key=table_key)
    field = placed_field(
        sdata,
        image_key=image_key,
        labels_key=labels_key,
        coordinate_system=coordinate_system,
        pixel_size=pixel_size or _recorded_pixel_size(table, layers, labels_key),
    )
    part = read_part(
        sdata,
        field,
        channels=[there.index(name) for name in names],
        xlim=xlim,
        ylim=ylim,
        max_pixels=max_pixels,
    )
    n_columns = 2 + len(layers)
    axes = (
        _new_axes(len(names), n_columns, panel_size, part)
        if ax is None
        else flat_axes(ax, len(names) * n_columns, what="channel, mask, one for each layer")
    )
    for row, name in enumerate(names):
        own = axes[row * n_columns : (row + 1) * n_columns]
        _draw_row(own, name, part, row, cells, vmax=vmax, outlines=outlines)
        scale_bar(own[0], part.extent, field.um_per_unit)
    return finish(axes, given=ax is not None, show=show, save=save)


@dataclass(frozen=True, slots=True, eq=False)
class _Cells:
    """Values of the cells of one field: ``{layer: {marker: (cells,)}}``."""

    ids: NDArray[np.int64]
    values: dict[str, dict[str, FloatArray]]


def _one_field(
    sdata: SpatialData,
    table: AnnData | None,
    image_key: str | None,
    labels_key: str | None,
    *,
    table_key: str,
) -> tuple[str, str]:
    """Names of the image and the labels to draw."""
    wanted: str | Sequence[str] | None = labels_key
    if table is not None and labels_key is None:
        wanted = annotated_labels(table, None, sorted(sdata.labels), table_key=table_key)
    pairs = pair_elements(sdata, image_key=image_key, labels_key=wanted)
    if len(pairs) > 1:
        raise ValueError(
            f"an overlay draws one field; pass labels_key=, one of {listed(sorted(pairs))}"
        )
    [(labels, image)] = pairs.items()
    return image, labels


def _cells(
    table: AnnData | None,
    names: Sequence[str],
    layers: Sequence[str],
    labels_key: str,
    *,
    table_key: str,
) -> _Cells:
    """Values of the cells of a field, as far as they are drawn."""
    if not layers:
        return _Cells(np.zeros(0, dtype=np.int64), {})
    if table is None:
        raise ValueError(
            f"there is no table {table_key!r} to colour the cells by; run nimbus.tl.score first, "
            "or pass layer=None"
        )
    require_known("layer", layers, layer_names(table))
    require_once("layers", layers)
    rows, ids = region_rows(table).get(labels_key, (np.zeros(0, int), np.zeros(0, np.int64)))
    values = {
        layer: {name: scores_or_labels(marker_values(table, name, layer))[rows] for name in names}
        for layer in layers
    }
    return _Cells(ids, values)


def _recorded_pixel_size(
    table: AnnData | None, layers: Sequence[str], labels_key: str
) -> float | None:
    """Pixel size that the scores of a field were computed with."""
    for layer in layers:
        record = {} if table is None else table.uns.get(layer, {})
        fields = record.get("fields") if isinstance(record, dict) else None
        if fields is not None:
            sizes = fields.loc[fields["labels"] == labels_key, "pixel_size_um"]
            return float(sizes.iloc[0]) if len(sizes) else None
    return None


def _new_axes(n_rows: int, n_columns: int, panel_size: float, part: Part) -> list[Axes]:
    height, width = part.labels.shape
    longest = max(height, width)
    size = (
        n_columns * panel_size * width / longest,
        n_rows * (panel_size * height / longest + 0.55),
    )
    figure, axes = plt.subplots(n_rows, n_columns, figsize=size, squeeze=False)
    figure.set_layout_engine("constrained", h_pad=0.06, w_pad=0.06)
    return list(axes.ravel())


def _draw_row(
    axes: Sequence[Axes],
    name: str,
    part: Part,
    row: int,
    cells: _Cells,
    *,
    vmax: float | None,
    outlines: bool,
) -> None:
    """Panels of one channel."""
    pixels = part.channels[row]
    white = vmax or float(np.nanquantile(pixels, _BRIGHT)) or float(np.nanmax(pixels)) or 1.0
    draw_channel(axes[0], pixels, part.labels, part.extent, vmax=white, outlines=outlines)
    draw_mask(axes[1], part.labels, part.extent)
    for ax, (layer, markers) in zip(axes[2:], cells.values.items(), strict=True):
        values = values_of_pixels(part.labels, cells.ids, markers[name])
        limits = _limits(values, layer)
        draw_cells(ax, values, part.labels, part.extent, limits=limits, label=_quantity(layer))
    titles = [name, "mask", *cells.values]
    for ax, title in zip(axes, titles, strict=True):
        ax.set_title(title, fontsize="medium")
        ax.set_xticks([])
        ax.set_yticks([])


def _quantity(layer: str) -> str:
    """What the colours of a layer mean."""
    known = {Layers.SCORE: "score", Layers.INTEGRATED: "mean intensity", Layers.TRUTH: "positive"}
    return known.get(layer, layer)


def _limits(values: FloatArray, layer: str) -> tuple[float, float]:
    """Where colours begin and end: 0 and 1 for what lies between them, else percentiles of cells.

    Values that are never below 0 begin there.
    """
    finite = values[np.isfinite(values)]
    if finite.size == 0 or (layer != Layers.INTEGRATED and finite.min() >= 0 and finite.max() <= 1):
        return 0.0, 1.0
    low, high = (float(end) for end in np.quantile(finite, [0.01, 0.99]))
    low = low if finite.min() < 0 else 0.0
    return low, high if high > low else low + 1.0
