"""Places of cells in pixels of their labels."""

from __future__ import annotations

import warnings

import numpy as np
from anndata import AnnData
from numpy.typing import NDArray
from spatialdata import SpatialData
from spatialdata.models import get_table_keys
from spatialdata.transformations import get_transformation

from nimbus._check import listed
from nimbus._keys import Obs


def centroids_px(
    data: AnnData | SpatialData, table: AnnData, *, pixel_size: float | None
) -> NDArray[np.float64]:
    """Centroid (x, y) of each cell in pixels of its labels, but for a shift of the whole field.

    Parameters
    ----------
    data
        Where the labels are, if it is a SpatialData object.
    table
        Its table, with ``obsm["spatial"]`` in units of the coordinate system.
    pixel_size
        Side of a label pixel in those units; ``None`` reads it from the labels. Without labels the
        places are taken as pixels, and a warning says so.

    Returns
    -------
    Shape ``(cells, 2)``.

    Raises
    ------
    ValueError
        There is no ``obsm["spatial"]``, or a size that is not above 0.
    """
    if Obs.SPATIAL not in table.obsm:
        raise ValueError(
            f"the table has no obsm[{Obs.SPATIAL!r}] with the centroids (x, y) of the cells; there "
            f"is {listed(table.obsm)}"
        )
    places = np.asarray(table.obsm[Obs.SPATIAL], dtype=np.float64)[:, :2]
    if pixel_size is not None:
        if not pixel_size > 0:
            raise ValueError(f"pixel_size must be above 0, not {pixel_size}")
        return places / pixel_size
    if isinstance(data, AnnData) or "spatialdata_attrs" not in table.uns:
        warnings.warn(
            f"obsm[{Obs.SPATIAL!r}] is taken as pixels, because there are no labels to tell; pass "
            "pixel_size= (units per pixel, e.g. 0.5 where centroids are in micrometres)",
            stacklevel=4,
        )
        return places
    return places / _sides(data, table)[:, None]


def _sides(sdata: SpatialData, table: AnnData) -> NDArray[np.float64]:
    """Side of a label pixel for each cell."""
    _, region_key, _ = get_table_keys(table)
    sides = np.full(table.n_obs, np.nan)
    regions = table.obs[region_key].astype(str).to_numpy()
    for name in np.unique(regions):
        if name not in sdata.labels:
            raise ValueError(
                f"labels {name!r} of the table are not in the SpatialData object, so the size of "
                "their pixels is unknown; pass pixel_size="
            )
        sides[regions == name] = _side(sdata, name)
    return sides


def _side(sdata: SpatialData, labels_key: str) -> float:
    """Side of a pixel in the coordinate system that `tl.score` prefers: global, else the first."""
    every = get_transformation(sdata.labels[labels_key], get_all=True)
    chosen = every["global"] if "global" in every else every[min(every)]
    matrix = chosen.to_affine_matrix(("x", "y"), ("x", "y"))[:2, :2]
    return float(np.sqrt(abs(np.linalg.det(matrix))))
