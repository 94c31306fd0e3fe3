"""Figure: the cells of fields in the colour of their type, over the tissue."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from spatialdata import SpatialData

from nimbus._optional import required_module
from nimbus.data.elements import require_sdata
from nimbus.data.groups import group_colors, group_key, groups_of
from nimbus.data.part import Span
from nimbus.data.tables import annotated_labels, table_of

from ._panels import scale_bar
from ._show import TITLE, UNDEFINED, AxesGiven, finish, flat_axes, legend_look, make_room
from ._tissue import TissueField, tissue_field


def celltypes(  # noqa: PLR0913 - the public signature
    sdata: SpatialData,
    *,
    cell_type_key: str | None = None,
    labels_key: str | Sequence[str] | None = None,
    table_key: str = "table",
    coordinate_system: str | None = None,
    xlim: Span | None = None,
    ylim: Span | None = None,
    na_color: str = UNDEFINED,
    background: str = "black",
    outlines: bool = True,
    panel_size: float = 4.5,
    n_columns: int = 4,
    ax: AxesGiven = None,
    show: bool | None = None,
    save: str | Path | None = None,
) -> list[Axes] | None:
    """Draw every cell in the colour of its type, where it lies in the tissue: a panel each field.

    The drawing is that of spatialdata-plot: ``pip install 'nimbus-spatial[plot]'``.

    Parameters
    ----------
    sdata
        Labels, and the table that annotates them.
    cell_type_key
        Column of ``obs`` with groups: types, metaclusters, nodes, leiden. ``None`` takes
        ``"nimbus_cell_type"``, or where there is none ``"nimbus_metacluster"``.
    labels_key
        Fields to draw; ``None`` draws all that the table annotates.
    table_key
        The table.
    coordinate_system
        Where to draw; ``None`` takes one that the labels lie in, ``"global"`` if it is among them.
    xlim, ylim
        From and to, in units of the coordinate system; only this part is read.
    na_color
        Colour of cells without a group (NaN, or no row of the table).
    background
        Colour of what is no cell.
    outlines
        Draw thin lines between cells; left out where cells are too small.
    panel_size
        Longer side of a panel in inches; not used with `ax`.
    n_columns
        Most panels beside each other.
    ax
        One axes for each field; ``None`` makes a figure.
    show
        ``None`` shows the figure, unless `ax` or `save` is given.
    save
        File to write, e.g. ``"types.png"``.

    Returns
    -------
    One axes for each field, in data coordinates of its coordinate system; ``None`` where the figure
    was shown. Colours are those of ``uns[f"{cell_type_key}_colors"]``; the legend lists the groups
    that are drawn.

    Raises
    ------
    TypeError
        No SpatialData object.
    ImportError
        spatialdata-plot is not installed.
    ValueError
        Unknown column, table or labels; a column of too many values; limits that hold no part of
        a field.

    Examples
    --------
    >>> import nimbus
    >>> sdata = nimbus.datasets.tissue(shape=(64, 64), n_cells=9, markers=["CD3"], random_state=0)
    >>> [ax] = celltypes(sdata, cell_type_key="cell_type", show=False)
    >>> ax.get_title()
    'fov0'
    """
    require_sdata(sdata)
    required_module("spatialdata_plot", extra="plot")
    table = table_of(sdata, table_key)
    wanted = annotated_labels(table, labels_key, sorted(sdata.labels), table_key=table_key)
    key = group_key(table, cell_type_key)
    groups = groups_of(table, key)
    colors = group_colors(table, key, list(groups.cat.categories))
    fields = [
        tissue_field(
            sdata, name, table, groups, coordinate_system=coordinate_system, xlim=xlim, ylim=ylim
        )
        for name in wanted
    ]
    axes = (
        _new_axes(fields, panel_size, n_columns)
        if ax is None
        else flat_axes(ax, len(fields), what="one for each field")
    )
    drawn: set[str] = set()
    some_without = False
    for own, field in zip(axes, fields, strict=True):
        names, without = field.draw(own, colors, na_color=na_color)
        drawn, some_without = drawn | names, some_without or without
        own.set_facecolor(background)
        if outlines:
            field.draw_outlines(own, background)
        own.set_title(field.title, fontsize="medium")
        scale_bar(own, (*field.x, *field.y[::-1]), field.um_per_unit)
    shown = {name: color for name, color in colors.items() if name in drawn}
    entries = shown | ({"none": na_color} if some_without else {})
    _draw_legend(axes, key, entries, outside=ax is None)
    return finish(axes, given=ax is not None, show=show, save=save)


def _new_axes(fields: Sequence[TissueField], panel_size: float, n_columns: int) -> list[Axes]:
    """Panels in the proportions of the largest field, in rows."""
    width, height = (
        max(span[1] - span[0] for span in spans)
        for spans in ([field.x for field in fields], [field.y for field in fields])
    )
    columns = min(max(1, n_columns), len(fields))
    rows = math.ceil(len(fields) / columns)
    unit = panel_size / max(width, height)
    size = (columns * width * unit, rows * (height * unit + TITLE))
    axes = plt.subplots(rows, columns, figsize=size, squeeze=False, layout="constrained")[1]
    for spare in axes.ravel()[len(fields) :]:
        spare.remove()
    return list(axes.ravel()[: len(fields)])


def _draw_legend(
    axes: Sequence[Axes], title: str, entries: Mapping[str, str], *, outside: bool
) -> None:
    """At the right of the figure; of given axes, of the last panel of the first row."""
    look = legend_look(title, entries)
    if outside:
        make_room(axes[0].figure.legend(loc="outside right upper", **look))
        return
    corner = max(axes, key=_height_and_place)
    corner.legend(loc="upper left", bbox_to_anchor=(1.02, 1.0), borderaxespad=0, **look)


def _height_and_place(ax: Axes) -> tuple[float, float]:
    """How high an axes stands and how far to the right, before it took the shape of its field."""
    place = ax.get_position(original=True)
    return place.y1, place.x0
