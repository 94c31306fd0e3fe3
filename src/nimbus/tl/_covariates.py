"""Which covariates a table allows to measure, and the long table of them."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import NDArray
from spatialdata import SpatialData

from nimbus._check import listed, one_or_more, require_known
from nimbus._keys import Obs
from nimbus._types import FloatArray
from nimbus.data.centroids import centroids_px
from nimbus.data.layers import layer_names, layer_values
from nimbus.data.tables import column_of, obs_of

from ._judged import JudgedTable, image_numbers
from ._surroundings import MEASURES, Surroundings

COLUMNS = ("cell", "field", "marker", "score", "positive", "wrong")
"""Columns of the long table before those of the covariates; its index is the row of the cell."""


@dataclass(frozen=True, slots=True)
class Sources:
    """Where a table keeps what the covariates are made of.

    Parameters
    ----------
    area_key
        Column of ``obs``: pixels of each cell.
    intensity_layer
        Mean intensities.
    pixel_size
        Units of ``obsm["spatial"]`` per pixel of the labels, if given.
    radius
        Of the circle, in those pixels.
    """

    area_key: str
    intensity_layer: str
    pixel_size: float | None
    radius: float

    def lacking(self, table: AnnData) -> dict[str, str]:
        """Covariates that cannot be measured, and what they would need."""
        lacks = {}
        if self.area_key not in table.obs:
            lacks["cell_size"] = f"obs[{self.area_key!r}] (area_key=)"
        if self.intensity_layer not in layer_names(table):
            lacks["heterogeneity"] = f"layers[{self.intensity_layer!r}] (intensity_layer=)"
        if Obs.SPATIAL not in table.obsm:
            lacks |= dict.fromkeys(("sparsity", "density"), f"obsm[{Obs.SPATIAL!r}]")
        return lacks


def chosen_covariates(
    table: AnnData, wanted: str | Sequence[str] | None, sources: Sources
) -> tuple[str, ...]:
    """Names of the covariates to measure: those wanted, or all the table allows.

    Raises
    ------
    ValueError
        One that is wanted is unknown, no number, or cannot be measured.
    """
    lacks = sources.lacking(table)
    if wanted is None:
        if lacks:
            needs = "; ".join(f"{name} needs {source}" for name, source in lacks.items())
            warnings.warn(f"left out, because the table lacks their source: {needs}", stacklevel=4)
        return tuple(name for name in MEASURES if name not in lacks)
    names = tuple(one_or_more(wanted))
    numeric = [str(name) for name in obs_of(table).select_dtypes("number").columns]
    require_known("covariate", names, [*MEASURES, *numeric])
    taken = [name for name in names if name in COLUMNS]
    if taken:
        raise ValueError(
            f"obs[{taken[0]!r}] has the name of another column of the result ({listed(COLUMNS)}); "
            "give it a name of its own"
        )
    for name in names:
        if name in lacks:
            raise ValueError(f"{name} needs {lacks[name]}, which the table does not have")
    if not names:
        raise ValueError(f"covariates= is empty; there is {listed([*MEASURES, *numeric])}")
    return names


def covariate_values(
    data: AnnData | SpatialData,
    table: AnnData,
    judged: JudgedTable,
    names: Sequence[str],
    sources: Sources,
) -> dict[str, NDArray[np.float64]]:
    """Each covariate of each cell and marker, ``(cells, markers)``."""
    lacks = sources.lacking(table)
    shape = judged.truth.shape
    columns = [table.var_names.get_loc(name) for name in judged.markers]
    area = np.full(shape[0], np.nan)
    if "cell_size" not in lacks:
        area = column_of(table.obs, sources.area_key).to_numpy(dtype=np.float64)
    intensity = np.full(shape, np.nan)
    if "heterogeneity" in names:
        intensity = layer_values(table, sources.intensity_layer, columns).astype(np.float64)
    places = np.full((shape[0], 2), np.nan)
    if {"sparsity", "density"} & set(names):
        places = centroids_px(data, table, pixel_size=sources.pixel_size)
    image = image_numbers(table, judged.field)
    around = Surroundings(judged, area, intensity, places, sources.radius, image)
    return {
        name: MEASURES[name](around)
        if name in MEASURES
        else np.broadcast_to(column_of(table.obs, name).to_numpy(dtype=np.float64)[:, None], shape)
        for name in names
    }


def long_table(
    table: AnnData,
    judged: JudgedTable,
    cuts: FloatArray,
    values: Mapping[str, NDArray[np.float64]],
) -> pd.DataFrame:
    """One row for each cell and marker with truth, score and threshold."""
    kept = (judged.truth >= 0) & np.isfinite(judged.score) & ~np.isnan(cuts)
    called = judged.score.astype(np.float64) >= cuts
    column, row = np.nonzero(kept.T)  # marker by marker
    positive = judged.truth[row, column] == 1
    first = (
        table.obs_names.to_numpy()[row],
        judged.field[row],
        pd.Categorical.from_codes(column, categories=pd.Index(judged.markers)),
        judged.score[row, column],
        positive,
        called[row, column] != positive,
    )
    return pd.DataFrame(
        {
            **dict(zip(COLUMNS, first, strict=True)),
            **{name: own[row, column] for name, own in values.items()},
        },
        index=row,
    )
