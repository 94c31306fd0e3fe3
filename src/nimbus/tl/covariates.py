"""Verb: what of cells and their surroundings may make calls wrong."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
from anndata import AnnData
from spatialdata import SpatialData

from nimbus._keys import Layers, Obs
from nimbus.data.tables import table_of

from ._covariates import Sources, chosen_covariates, covariate_values, long_table
from ._judged import judged_table
from ._surroundings import RADIUS_PX
from ._thresholds import DEFAULT, Threshold, thresholds_of


def covariates(  # noqa: PLR0913 - the public signature
    adata: AnnData | SpatialData,
    *,
    layer: str = Layers.SCORE,
    truth_layer: str = Layers.GOLD,
    covariates: str | Sequence[str] | None = None,
    markers: str | Sequence[str] | None = None,
    threshold: Threshold = DEFAULT,
    radius: float = RADIUS_PX,
    pixel_size: float | None = None,
    intensity_layer: str = Layers.INTEGRATED,
    area_key: str = Obs.AREA,
    field_key: str | None = None,
    table_key: str = "table",
) -> pd.DataFrame:
    """Table of cells and markers of known truth: right or wrong, and what may be the reason.

    Parameters
    ----------
    adata
        Table with scores and truth, or the SpatialData object that holds it. It is not changed.
    layer
        Scores ``(cells, markers)``.
    truth_layer
        1 for positive and 0 for negative cells; others are left out.
    covariates
        Those of the paper, or numeric columns of ``obs``; ``None`` takes all of the paper that the
        table allows:

        - ``"cell_size"``: pixels of the cell;
        - ``"heterogeneity"``: coefficient of variation of the mean intensity over the positive
          cells of field and marker;
        - ``"rarity"``: part of the cells of field and marker that is negative;
        - ``"sparsity"``: part of the other cells within `radius` that is negative;
        - ``"density"``: number of other cells within `radius`.
    markers
        Markers to measure; ``None`` takes all whose truth is known for some cell.
    threshold
        Score from which a cell is called positive: one for all markers; ``{marker: threshold}``,
        where markers that are not named get 0.5; or the key of :func:`nimbus.tl.calibrate`.
    radius
        Of a circle around the centroid, in pixels of the labels.
    pixel_size
        Units of ``obsm["spatial"]`` per pixel of the labels (micrometres, where it is in
        micrometres); ``None`` reads it from the labels of a SpatialData object.
    intensity_layer
        Mean intensities.
    area_key
        Column of ``obs`` with the pixels of each cell.
    field_key
        Column of ``obs`` that names the field of a cell; ``None`` takes the labels it lies in. It
        may name more than one image, as a patient does: neighbours are of the same image.
    table_key
        Table of a SpatialData object.

    Returns
    -------
    One row for each cell and marker whose truth is known and that has a score: ``cell`` (its name
    in ``obs``), ``field`` (a number), ``marker``, ``score``, ``positive``, ``wrong`` and a column
    for each covariate, NaN where it is not defined. Its index is the row of the cell in the table.

    Raises
    ------
    ValueError
        Unknown layers, markers or covariates; a truth that is nowhere known; a covariate whose
        source the table lacks.

    See Also
    --------
    confounders : how much each covariate tells of the errors.

    Examples
    --------
    >>> import nimbus
    >>> sdata = nimbus.datasets.tissue(shape=(128, 128), markers=["CD3"], random_state=1)
    >>> cells = nimbus.tl.covariates(
    ...     sdata, layer="truth", truth_layer="truth", covariates=["cell_size", "density"]
    ... )
    >>> list(cells.columns)
    ['cell', 'field', 'marker', 'score', 'positive', 'wrong', 'cell_size', 'density']
    """
    table = table_of(adata, table_key)
    if not radius > 0:
        raise ValueError(f"radius must be above 0 pixels, not {radius}")
    sources = Sources(area_key, intensity_layer, pixel_size, radius)
    names = chosen_covariates(table, covariates, sources)
    judged = judged_table(
        table,
        layer=layer,
        truth_layer=truth_layer,
        markers=markers,
        baseline_layer=None,
        field_key=field_key,
    )
    cuts = thresholds_of(table, threshold, layer)[table.var_names.get_indexer(list(judged.markers))]
    values = covariate_values(adata, table, judged, names, sources)
    return long_table(table, judged, cuts, values)
