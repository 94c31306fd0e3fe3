"""One field as spatialdata-plot draws it: its labels, and a small table of groups of cells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import dask.array as da
import numpy as np
import pandas as pd
from anndata import AnnData
from matplotlib.axes import Axes
from spatialdata import SpatialData, bounding_box_query, get_extent
from spatialdata.models import TableModel
from spatialdata.transformations import get_transformation

from nimbus._check import require_known
from nimbus._keys import MICROMETER, Attrs, Obs, Suffix
from nimbus.data.cellrows import field_name
from nimbus.data.elements import element_array
from nimbus.data.part import Span
from nimbus.data.tables import region_rows

from ._panels import MIN_CELL_PIXELS, draw_outlines, mean_area

GROUP = "group"
"""Column of the small table; no marker of the user's can be meant by it."""

TABLE = "table"

MOST_PIXELS = 2**23
"""A larger field is drawn without outlines: they would not be seen."""


@dataclass(frozen=True, slots=True, eq=False)
class TissueField:
    """What is drawn of a field; nothing is computed.

    Parameters
    ----------
    sdata
        The labels alone, perhaps cut.
    labels_key
        Their name.
    system
        Coordinate system.
    title
        Name of the field, as its files have it.
    groups
        Group of each cell that has one, by cell id.
    x, y
        From and to of what is drawn.
    um_per_unit
        Micrometres per unit of the coordinate system; ``None`` where that is unknown.
    """

    sdata: SpatialData
    labels_key: str
    system: str
    title: str
    groups: pd.Series
    x: Span
    y: Span
    um_per_unit: float | None

    def draw(self, ax: Axes, colors: Mapping[str, str], *, na_color: str) -> tuple[set[str], bool]:
        """Draw into axes; the groups that are there, and whether a cell has none.

        Beneath are all cells in the colour of those without a group: what spatialdata-plot does
        with cells that have no row differs between its versions.
        """
        there = da.unique(self._labels()).compute()
        groups = self.groups[self.groups.index.isin(there)].cat.remove_unused_categories()
        names = [str(name) for name in groups.cat.categories]
        plotted = SpatialData(labels={self.labels_key: self.sdata.labels[self.labels_key]})
        if names:
            plotted[TABLE] = self._table(groups, [colors[name] for name in names])
        solid = {"fill_alpha": 1.0, "contour_px": None}
        tree = plotted.pl.render_labels(self.labels_key, color=na_color, **solid)
        if names:
            tree = tree.pl.render_labels(self.labels_key, color=GROUP, table_name=TABLE, **solid)
        tree.pl.show(
            coordinate_systems=self.system,
            ax=ax,
            title=self.title,
            legend_loc=None,
            colorbar=False,
            show=False,
        )
        ax.set(xlim=self.x, ylim=self.y[::-1], xticks=[], yticks=[], xlabel="", ylabel="")
        return set(names), bool((there != 0).sum() > len(groups))

    def draw_outlines(self, ax: Axes, color: str) -> None:
        """Lines around the cells, where they are drawn so large that lines do not hide them."""
        labels = self._labels()
        turned = get_transformation(
            self.sdata.labels[self.labels_key], to_coordinate_system=self.system
        ).to_affine_matrix(("x", "y"), ("x", "y"))[[0, 1], [1, 0]]
        if labels.size > MOST_PIXELS or turned.any():
            return
        ids = np.asarray(labels.compute())
        ax.apply_aspect()
        shrunk = ax.bbox.width / max(ids.shape[1], 1)
        if mean_area(ids) * shrunk**2 >= MIN_CELL_PIXELS:
            draw_outlines(ax, ids, (*self.x, *self.y[::-1]), color=color)

    def _labels(self) -> da.Array:
        return element_array(self.sdata.labels[self.labels_key])

    def _table(self, groups: pd.Series, colors: list[str]) -> AnnData:
        obs = pd.DataFrame(
            {
                Obs.REGION: pd.Categorical([self.labels_key] * len(groups)),
                Obs.INSTANCE: groups.index.to_numpy(),
                GROUP: pd.Categorical(groups),
            },
            index=groups.index.astype(str),
        )
        table: AnnData = TableModel.parse(
            AnnData(obs=obs),
            region=self.labels_key,
            region_key=Obs.REGION,
            instance_key=Obs.INSTANCE,
        )
        table.uns[GROUP + Suffix.COLORS] = colors
        return table


def tissue_field(
    sdata: SpatialData,
    labels_key: str,
    table: AnnData,
    groups: pd.Series,
    *,
    coordinate_system: str | None,
    xlim: Span | None,
    ylim: Span | None,
) -> TissueField:
    """A field, cut to the limits.

    Raises
    ------
    ValueError
        The labels do not lie in the coordinate system, or the limits hold no part of them.
    """
    labels = sdata.labels[labels_key]
    systems = sorted(get_transformation(labels, get_all=True))
    if coordinate_system is not None:
        require_known(f"coordinate system of labels {labels_key!r}", [coordinate_system], systems)
    system = coordinate_system or ("global" if "global" in systems else systems[0])
    extent = get_extent(labels, coordinate_system=system)
    spans = {axis: (float(extent[axis][0]), float(extent[axis][1])) for axis in ("x", "y")}
    for axis, limits in (("x", xlim), ("y", ylim)):
        if limits is not None:
            spans[axis] = _within(spans[axis], limits, f"{axis}lim", labels_key)
    if xlim is not None or ylim is not None:
        labels = bounding_box_query(
            labels,
            axes=("x", "y"),
            min_coordinate=[spans["x"][0], spans["y"][0]],
            max_coordinate=[spans["x"][1], spans["y"][1]],
            target_coordinate_system=system,
        )
        extent = get_extent(labels, coordinate_system=system)  # whole pixels
        spans = {axis: (float(extent[axis][0]), float(extent[axis][1])) for axis in ("x", "y")}
    rows, ids = region_rows(table)[labels_key]
    own = groups.iloc[rows].set_axis(pd.Index(ids)).dropna().sort_index()
    metric = sdata.attrs.get(Attrs.UNITS, {}).get(system) == MICROMETER
    return TissueField(
        SpatialData(labels={labels_key: labels}),
        labels_key,
        system,
        field_name(sdata, labels_key),
        own,
        spans["x"],
        spans["y"],
        1.0 if metric else None,
    )


def _within(span: Span, limits: Span, name: str, labels_key: str) -> Span:
    low, high = max(span[0], float(limits[0])), min(span[1], float(limits[1]))
    if not (limits[0] < limits[1] and low < high):
        raise ValueError(
            f"{name}={tuple(limits)} holds no part of labels {labels_key!r}, which span "
            f"{span[0]:g} to {span[1]:g}"
        )
    return low, high
